"""Findings as annotations of a workflow run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from promptops.checks.reporters import Report, summary
from promptops.text import printable

if TYPE_CHECKING:
    from promptops.checks.finding import Finding

# GitHub shows ten of each level for a step and drops the rest without a word.
_SHOWN = 10
_LEVELS = {"block": "error", "warn": "warning"}
_SUMMARY_ROWS = 1_000


def render(report: Report) -> str:
    """Return workflow commands, at most ten of each level; writes the job summary where there is one."""
    lines = []
    for severity, level in _LEVELS.items():
        of_level = [finding for finding in report.findings if finding.severity == severity]
        lines += [_command(level, finding) for finding in of_level[:_SHOWN]]
        if len(of_level) > _SHOWN:
            lines.append(f"{len(of_level) - _SHOWN} more of level {level} are not shown as annotations")
    lines.append(_data(summary(report)))
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(_markdown(report))
    return "\n".join(lines)


def _command(level: str, finding: Finding) -> str:
    properties = {"file": finding.path, "line": finding.line, "col": finding.column, "title": finding.rule}
    joined = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items())
    text = f"{finding.message} - next: {finding.hint}" if finding.hint else finding.message
    return f"::{level} {joined}::{_data(f'{finding.rule} {text}')}"


def _data(text: str) -> str:
    # A workflow reads commands line by line; printable leaves no line end to forge one with.
    return printable(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _markdown(report: Report) -> str:
    rows = [f"### promptops check\n\n{_cell(summary(report))}\n"]
    if report.findings:
        rows.append("\n| place | rule | message |\n|---|---|---|\n")
        for finding in report.findings[:_SUMMARY_ROWS]:
            place = f"{finding.path}:{finding.line}"
            rows.append(f"| {_cell(place)} | {finding.rule} | {_cell(finding.message)} |\n")
        if len(report.findings) > _SUMMARY_ROWS:
            rows.append(f"\n{len(report.findings) - _SUMMARY_ROWS:,} more findings are not listed.\n")
    return "".join(rows)


def _cell(text: str) -> str:
    """Return ``text`` as Markdown that shows it and does nothing else."""
    safe = printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{character}" if character in "\\`*_[]|!#@" else character for character in safe)
