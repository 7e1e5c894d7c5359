"""Findings for a program."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from promptops.text import printable

if TYPE_CHECKING:
    from promptops.checks.reporters import Report


def render(report: Report) -> str:
    """Return one JSON document; paths that are not UTF-8 have their bytes escaped."""
    findings = [
        {**finding._asdict(), "path": printable(finding.path), "message": printable(finding.message)}
        for finding in report.findings
    ]
    blocked = any(finding.severity == "block" for finding in report.findings)
    document = {
        "judged": report.label,
        "passed": not blocked,
        "files": report.files,
        "prompts": report.prompts,
        "accepted": report.accepted,
        "findings": findings,
    }
    return json.dumps(document, indent=2)
