"""PO303: a version step is smaller than the change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.checks import versioned
from promptops.checks.rule import PromptSubject, Text
from promptops.checks.standing import GRADE_TOO_SMALL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promptops.checks.finding import Finding

ID = "PO303"
TEXT = Text(
    title="The version step is too small for the change",
    why=(
        "Callers rely on the grade: major when a caller may break (a variable removed, renamed, retyped or newly"
        " required, another output schema), minor when the model, a parameter, a tool or an optional variable"
        " changed, patch for text."
    ),
    fix="`promptops bump PROMPT` writes the least version that is legal.",
    example='# released as 1.2.0, now with the new required variable locale\nversion: "1.2.1"     # PO303: write 2.0.0',
)


def check(subject: PromptSubject) -> Iterator[Finding]:
    """Yield a finding when the step is smaller than the grade of the change."""
    yield from versioned.findings(subject, ID, GRADE_TOO_SMALL)
