"""Reading what is versioned: prompts, models, templates, digests."""
