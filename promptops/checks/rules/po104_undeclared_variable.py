"""PO104: a template uses a variable that the prompt does not declare."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.checks.finding import Finding
from promptops.checks.rule import PromptSubject, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = "PO104"
TEXT = Text(
    title="A variable is not declared",
    why=(
        "The variables of a prompt are its contract with the callers. One that is used without being declared fails"
        " on the first request, and no version grade can tell callers about it."
    ),
    fix="Declare it under `variables` with a type, or correct its spelling in the template.",
    example='variables:\n  ticket: {type: string}\nmessages:\n  - {role: user, content: "{{ tiket }}"}   # PO104',
)


def check(subject: PromptSubject) -> Iterator[Finding]:
    """Yield a finding for each undeclared name in each message or include."""
    declared = subject.prompt.variables
    for part in subject.templates.parts:
        if part.shape is None or part.shape.variables <= declared.keys():
            continue
        for name in sorted(part.shape.variables - declared.keys()):
            known = ", ".join(declared) or "none"
            message = f"variable {name} is not declared by {subject.prompt.name}"
            yield Finding(part.path, *part.place(name), ID, message, f"add it to variables (declared: {known})")
