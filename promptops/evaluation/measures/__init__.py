"""Behavioural measures: pure functions from a case and all that one arm answered to it."""
