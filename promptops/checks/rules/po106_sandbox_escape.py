"""PO106: a template reaches outside its sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.checks.finding import Finding
from promptops.checks.rule import PromptSubject, Text
from promptops.registry.template import EscapeError

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = "PO106"
TEXT = Text(
    title="The template reaches outside its sandbox",
    why=(
        "Attributes that start with an underscore lead from any value to the whole interpreter. An include with"
        " a computed name brings in text that no review saw and no digest covers."
    ),
    fix="Use plain variables, filters and tests, and include files by their literal name.",
    example=(
        'content: "{{ ticket.__class__ }}"                # PO106\n'
        "content: \"{% include language ~ '.md' %}\"        # PO106\n"
        "content: \"{% include 'shared/tone.md' %}\"        # right"
    ),
)


def check(subject: PromptSubject) -> Iterator[Finding]:
    """Yield a finding for each message or include that names something outside the sandbox."""
    for part in subject.templates.parts:
        if isinstance(part.error, EscapeError):
            place = part.place(line=part.error.line or 1)
            yield Finding(part.path, *place, ID, part.error.message, "use variables, filters and literal includes only")
