"""PO110: a prompt names an evaluation suite that cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.checks.finding import Finding
from promptops.checks.rule import PromptSubject, Text, exists
from promptops.registry.prompt import EVALS

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = "PO110"
TEXT = Text(
    title="An evaluation suite does not exist",
    why="The canary would have nothing to hold the prompt against, and the prompt would look evaluated without being.",
    fix="Create evals/<suite>.yaml, correct the name, or take it out of `evals`.",
    example="evals: [regresion]     # there is evals/regression.yaml",
)


def check(subject: PromptSubject) -> Iterator[Finding]:
    """Yield a finding for each suite of the prompt that has no file."""
    prompt = subject.prompt
    for index, suite in enumerate(prompt.evals):
        path = f"{EVALS}{suite}.yaml"
        if not exists(subject.registry.source, path):
            place = prompt.document.where(("evals", index))
            yield Finding(prompt.path, *place, ID, f"there is no suite {suite}", f"create {path}, or remove it")
