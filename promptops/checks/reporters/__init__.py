"""Findings in words for a person, a program, or a code host."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from promptops.checks.finding import Finding

FORMATS = ("text", "json", "github")


class Report(NamedTuple):
    """What a reporter needs to know.

    Attributes:
        label: what was judged, in words.
        accepted: how many old findings were left out.
    """

    label: str
    findings: list[Finding]
    files: int
    prompts: int
    accepted: int


def render(name: str, report: Report) -> str:
    """Return a report in the format ``name``, one of `FORMATS`, without a final newline."""
    made = vars(import_module(f"{__name__}.{name}_format"))["render"]
    return cast("Callable[[Report], str]", made)(report)


def summary(report: Report) -> str:
    """Return one line: how many findings in what."""
    blocks = sum(finding.severity == "block" for finding in report.findings)
    warnings = len(report.findings) - blocks
    parts = [_count(blocks, "finding")] if blocks or not warnings else []
    parts += [_count(warnings, "warning")] if warnings else []
    judged = f"{_count(report.files, 'file')}, {_count(report.prompts, 'prompt')}"
    accepted = f"; {_count(report.accepted, 'old finding')} accepted" if report.accepted else ""
    return f"{' and '.join(parts)} in {report.label} ({judged}){accepted}"


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
