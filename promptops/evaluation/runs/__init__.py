"""Runs of suites outside a release: asking, keeping, summing up, comparing."""
