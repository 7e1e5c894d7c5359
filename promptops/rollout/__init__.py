"""Progressive delivery: plans, the rules that read evidence, and what a plan can be expected to do."""
