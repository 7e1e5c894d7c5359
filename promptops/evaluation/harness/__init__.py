"""Other people's harnesses as gates: each runs once for every arm, against an endpoint that serves that arm."""
