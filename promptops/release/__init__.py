"""From a reviewed commit to a signed tag and back."""
