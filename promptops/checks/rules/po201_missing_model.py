"""PO201: a prompt names a model that has no usable file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.checks.finding import Finding
from promptops.checks.rule import PromptSubject, Text, exists
from promptops.registry.prompt import MODELS

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = "PO201"
TEXT = Text(
    title="The model has no usable file",
    why="A prompt means nothing without the model that reads it; both are released as one.",
    fix="Create models/<name>.yaml, or name one that exists. After deleting a model, move its prompts first.",
    example="model: gpt-4o-2024-11-20     # needs models/gpt-4o-2024-11-20.yaml",
)


def check(subject: PromptSubject) -> Iterator[Finding]:
    """Yield a finding when the file of the prompt's model is absent or malformed."""
    prompt = subject.prompt
    if subject.model is not None:
        return
    path = f"{MODELS}{prompt.model}.yaml"
    place = prompt.document.where(("model",))
    if not exists(subject.registry.source, path):
        hint = f"create {path}, or: promptops bump --model {prompt.model}=NEW"
        yield Finding(prompt.path, *place, ID, f"there is no model {prompt.model}", hint)
    else:
        message = f"the file of model {prompt.model} is malformed"
        yield Finding(prompt.path, *place, ID, message, f"promptops check --all names the line in {path}")
