"""Cases, evaluators, gates and the canary."""
