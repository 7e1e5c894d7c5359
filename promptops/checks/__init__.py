"""Rules about governed files: what they look at, what they find, and how that is told."""
