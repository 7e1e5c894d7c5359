"""Signed statements, policy and approvals."""
