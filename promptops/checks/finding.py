"""What a rule says about a file."""

from __future__ import annotations

from typing import NamedTuple

BLOCK = "block"
WARN = "warn"
OFF = "off"


class Finding(NamedTuple):
    """One thing that is wrong.

    Attributes:
        path: the file, relative to the repository.
        line: 1-based.
        column: 1-based.
        rule: stable id, such as ``PO104``.
        message: what is wrong, in one sentence; may quote untrusted text.
        hint: the next step.
        severity: ``block`` or ``warn``.
    """

    path: str
    line: int
    column: int
    rule: str
    message: str
    hint: str = ""
    severity: str = BLOCK
