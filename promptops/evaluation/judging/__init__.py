"""Language models as judges, and what has to be known of one before it may decide anything."""
