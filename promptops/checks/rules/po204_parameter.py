"""PO204: the model does not take this parameter, or not this value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from promptops.checks.finding import Finding
from promptops.checks.rule import PromptSubject, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promptops.registry.prompt import Model

ID = "PO204"
TEXT = Text(
    title="A decoding parameter does not fit the model",
    why="The API refuses the request or, worse, drops the parameter without a word.",
    fix="Choose a value within the model file's bounds, or remove what the model lists as unsupported.",
    example=(
        "# models/m.yaml:    parameters: {temperature: {minimum: 0, maximum: 1}, unsupported: [top_k]}\n"
        "parameters: {temperature: 1.5, top_k: 40}     # PO204 twice"
    ),
)
_OUTPUT_LIMITED = ("max_completion_tokens", "max_tokens")


def check(subject: PromptSubject) -> Iterator[Finding]:
    """Yield a finding for each parameter that the model does not support or bounds otherwise."""
    prompt, model = subject.prompt, subject.model
    if model is None:
        return
    for name, value in prompt.parameters.items():
        problem = _problem(model, name, value)
        if problem:
            place = prompt.document.where(("parameters", name))
            yield Finding(prompt.path, *place, ID, f"{name}: {problem}", f"bounds stand in {model.path}")


def _problem(model: Model, name: str, value: Any) -> str | None:
    if name in model.unsupported:
        return f"model {model.name} does not support it"
    rule = model.parameters.get(name, {})
    if "enum" in rule and value not in rule["enum"]:
        return f"{value!r} is not one of {', '.join(map(repr, rule['enum']))}"
    limits = dict(rule)
    if name in _OUTPUT_LIMITED and "output" in model.settings.get("limits", {}):
        limits.setdefault("maximum", model.settings["limits"]["output"])
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return f"{value!r} is not a number" if {"minimum", "maximum"} & rule.keys() else None
    if "minimum" in limits and value < limits["minimum"]:
        return f"{value} is below {limits['minimum']}, the least that model {model.name} takes"
    if "maximum" in limits and value > limits["maximum"]:
        return f"{value} is above {limits['maximum']}, the most that model {model.name} takes"
    return None
