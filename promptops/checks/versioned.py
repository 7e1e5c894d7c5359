"""What the three version rules share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.checks.finding import Finding
from promptops.registry.configuration import build

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promptops.checks.rule import PromptSubject


def findings(subject: PromptSubject, rule: str, problem: str) -> Iterator[Finding]:
    """Yield a finding of ``rule`` when the prompt's standing has ``problem``."""
    if subject.model is None or not subject.templates.whole:
        return
    prompt, model = subject.prompt, subject.model
    found = subject.history.standing(prompt.name, lambda: build(prompt, model, subject.templates.includes))
    if found.problem != problem or found.least is None or _is_the_models_fault(subject):
        return
    hint = f"promptops bump {prompt.name}   (writes {found.least.text})"
    yield Finding(prompt.path, *prompt.document.where(("version",)), rule, found.message, hint)


def _is_the_models_fault(subject: PromptSubject) -> bool:
    """Return whether a released model file changed, which PO205 says once; a bump would be the wrong cure."""
    releases = subject.history.releases(subject.prompt.name)
    released = subject.history.released(releases[-1]) if releases else None
    if released is None or subject.model is None or released.model.name != subject.model.name:
        return False
    return released.model.identity != subject.model.identity
