"""One check from request to exit code; needs no command line library."""

from __future__ import annotations

import sys

from promptops.checks.finding import BLOCK
from promptops.checks.reporters import render
from promptops.checks.request import Request, carry_out
from promptops.repo.git import Git


def check(request: Request, output: str = "text", *, quiet: bool = False) -> int:
    """Judge, print the report and return the exit code: 0 clean, 1 findings.

    Args:
        request: what to judge.
        output: one of `promptops.checks.reporters.FORMATS`.
        quiet: print nothing when nothing is found.
    """
    with Git() as git:
        report = carry_out(git, request)
    if report.findings or not quiet:
        sys.stdout.write(render(output, report) + "\n")
    return int(any(finding.severity == BLOCK for finding in report.findings))
