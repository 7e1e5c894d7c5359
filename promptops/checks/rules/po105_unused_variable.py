"""PO105: a declared variable is used nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.checks.finding import Finding
from promptops.checks.rule import PromptSubject, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = "PO105"
TEXT = Text(
    title="A declared variable is used nowhere",
    why="Callers must supply it and it changes nothing; more often the template has lost it or spells it otherwise.",
    fix="Use it in a message or an included file, or remove it (a major version, since callers pass it).",
    example="variables:\n  ticket: {type: string}\n  tone: {type: string}     # PO105 when no template says {{ tone }}",
)


def check(subject: PromptSubject) -> Iterator[Finding]:
    """Yield a finding for each variable that no template mentions; silent while some template cannot be read."""
    prompt = subject.prompt
    if not prompt.variables or not subject.templates.whole:
        return
    used = frozenset[str]().union(*(part.shape.variables for part in subject.templates.parts if part.shape))
    for name in prompt.variables:
        if name not in used:
            place = prompt.document.where(("variables", name))
            yield Finding(
                prompt.path, *place, ID, f"variable {name} is declared and never used", "use it, or remove it"
            )
