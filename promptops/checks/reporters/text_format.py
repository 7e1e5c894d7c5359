"""Findings for a person at a terminal, in the form that editors jump to."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from promptops.checks.reporters import Report, summary
from promptops.text import printable

if TYPE_CHECKING:
    from promptops.checks.finding import Finding

_RED, _YELLOW, _BOLD, _DIM = "31", "33", "1", "2"


def render(report: Report) -> str:
    """Return one line for each finding, its hint below it unless the next has the same, and a summary."""
    colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    lines = []
    findings = report.findings
    for index, finding in enumerate(findings):
        lines.append(_line(finding, colours=colours))
        following = findings[index + 1] if index + 1 < len(findings) else None
        if finding.hint and (following is None or (following.path, following.hint) != (finding.path, finding.hint)):
            lines.append(f"  next: {printable(finding.hint)}")
    blocked = [finding.rule for finding in findings if finding.severity == "block"]
    lines.append(_paint(summary(report), _BOLD, colours))
    if blocked:
        lines.append(_paint(f"promptops explain {blocked[0]} says why and how to fix it", _DIM, colours))
    return "\n".join(lines)


def _line(finding: Finding, *, colours: bool) -> str:
    place = f"{printable(finding.path)}:{finding.line}:{finding.column}:"
    warns = finding.severity == "warn"
    rule = _paint(finding.rule, _YELLOW if warns else _RED, colours)
    return f"{_paint(place, _BOLD, colours)} {rule} {'warning: ' if warns else ''}{printable(finding.message)}"


def _paint(text: str, code: str, colours: bool) -> str:  # noqa: FBT001  an internal switch
    return f"\033[{code}m{text}\033[0m" if colours else text
