"""How strictly rules apply: severities per rule, and accepted old findings."""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from promptops import atomic
from promptops.checks.finding import OFF, Finding
from promptops.errors import InputError, UsageError
from promptops.registry import canonical
from promptops.registry.governed import PROJECT
from promptops.registry.project import Project, parse_project

if TYPE_CHECKING:
    from promptops.repo.source import Source


class Applied(NamedTuple):
    """Findings after the settings, and how many old ones were left out."""

    findings: list[Finding]
    accepted: int


def read(source: Source) -> Project:
    """Return the settings of one state; the strictest where the file cannot be read, which PO101 reports."""
    try:
        return parse_project(PROJECT, source.read(PROJECT))
    except InputError:
        return Project()


def apply(findings: list[Finding], project: Project, source: Source) -> Applied:
    """Return ``findings`` with the project's severities and without its accepted old ones.

    Raises:
        InputError: the file of accepted findings is malformed.
    """
    old = _accepted(project, source)
    kept = []
    left_out = 0
    for finding in findings:
        severity = project.enforcement.get(finding.rule, finding.severity)
        if severity == OFF:
            continue
        key = _key(finding)
        if old[key]:
            old[key] -= 1
            left_out += 1
            continue
        # A rule that only warns of something near does not block because the rule as a whole blocks.
        weaker = finding.severity if severity == "block" else severity
        kept.append(finding._replace(severity=weaker))
    return Applied(kept, left_out)


def _accepted(project: Project, source: Source) -> Counter[tuple[str, str, str]]:
    data = source.read(project.baseline) if project.baseline else None
    if data is None:
        return Counter()
    try:
        entries = canonical.loads(data)["accepted"]
        return Counter((entry["rule"], entry["path"], entry["message"]) for entry in entries)
    except (InputError, KeyError, TypeError) as error:
        hint = "write it anew: promptops check --all --write-baseline"
        raise InputError("the file of accepted findings is malformed", hint=hint, path=project.baseline) from error


def write(findings: list[Finding], project: Project, root: str) -> str:
    """Write ``findings`` as accepted into the project's file below ``root`` and return its path.

    Raises:
        UsageError: the project names no such file.
    """
    if project.baseline is None:
        raise UsageError(
            "promptops.yaml names no file for accepted findings",
            hint="add to promptops.yaml:  enforcement: {baseline: .promptops/accepted.json}",
        )
    full = os.path.realpath(os.path.join(root, project.baseline))
    if os.path.commonpath([full, os.path.realpath(root)]) != os.path.realpath(root):
        raise UsageError(f"{project.baseline} lies outside the repository", hint="name a path inside it")
    keys = ("rule", "path", "message")
    entries = [dict(zip(keys, _key(finding), strict=True)) for finding in findings]
    os.makedirs(os.path.dirname(full), exist_ok=True)
    text = json.dumps({"accepted": entries}, indent=1, sort_keys=True) + "\n"
    atomic.write(full, text.encode(), folder=atomic.staging(root))
    return project.baseline


def _key(finding: Finding) -> tuple[str, str, str]:
    # Lines move with every edit above them.
    return finding.rule, finding.path, finding.message
