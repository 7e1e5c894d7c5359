"""PO103: a template does not parse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.checks.finding import Finding
from promptops.checks.rule import PromptSubject, Text
from promptops.registry.template import EscapeError

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = "PO103"
TEXT = Text(
    title="The template has a syntax error",
    why="It would fail on every request.",
    fix="Correct the template. To send {{ or {% literally, write {{ '{{' }} or wrap the text in {% raw %}.",
    example='content: "{% if urgent %}Hurry."              # not closed\ncontent: "{% if urgent %}Hurry.{% endif %}"',
)


def check(subject: PromptSubject) -> Iterator[Finding]:
    """Yield a finding for each message or include that does not parse."""
    for part in subject.templates.parts:
        if part.error is not None and not isinstance(part.error, EscapeError):
            yield Finding(
                part.path, *part.place(line=part.error.line or 1), ID, part.error.message, part.error.hint or ""
            )
