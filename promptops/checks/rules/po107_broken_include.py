"""PO107: an include cannot be followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.checks.finding import Finding
from promptops.checks.rule import PromptSubject, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = "PO107"
TEXT = Text(
    title="An included file is missing, outside prompts/, circular or not text",
    why="The prompt cannot be rendered, or would be rendered from a file that its digest does not cover.",
    fix=(
        "Name a UTF-8 file below prompts/, by its path from there. After deleting or renaming a file, change the"
        " prompts that include it."
    ),
    example=(
        "content: \"{% include '../secrets.md' %}\"       # outside\n"
        "content: \"{% include 'shared/tone.md' %}\"       # prompts/shared/tone.md"
    ),
)


def check(subject: PromptSubject) -> Iterator[Finding]:
    """Yield a finding for each include that cannot be followed, where it is named."""
    for part, name, error in subject.templates.problems:
        if part.error is None:
            message = f"{error.message} (needed by {subject.prompt.name})"
            yield Finding(part.path, *part.place(name), ID, message, error.hint or "")
