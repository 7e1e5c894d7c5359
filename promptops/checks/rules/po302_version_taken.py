"""PO302: a version goes back, or was used for something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.checks import versioned
from promptops.checks.rule import PromptSubject, Text
from promptops.checks.standing import TAKEN_OR_LOWER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promptops.checks.finding import Finding

ID = "PO302"
TEXT = Text(
    title="The version is lower than a release, or already released with other content",
    why=(
        "Releases are never moved and never go back: going back to an older text is a new version with that text, so"
        " that everybody who reads the history sees when it happened."
    ),
    fix="`promptops bump PROMPT` writes the least version that is legal.",
    example='# released: 1.2.0, 1.3.0\nversion: "1.2.1"     # PO302: below 1.3.0; write 1.3.1',
)


def check(subject: PromptSubject) -> Iterator[Finding]:
    """Yield a finding when the version is not above every release."""
    yield from versioned.findings(subject, ID, TAKEN_OR_LOWER)
