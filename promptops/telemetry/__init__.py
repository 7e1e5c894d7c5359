"""What happened in production: events, the numbers that decisions need, and whether the events can be trusted."""
