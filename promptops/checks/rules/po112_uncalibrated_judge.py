"""PO112: a suite gates on a judge that nobody calibrated, or that was calibrated as another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.checks.finding import Finding
from promptops.checks.rule import ChangeSubject, Text
from promptops.errors import InputError
from promptops.registry.governed import schema_of
from promptops.registry.prompt import EVALS, MODELS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promptops.registry.registry import Registry

ID = "PO112"
TEXT = Text(
    title="A suite gates on a judge that is not calibrated",
    why=(
        "A language model that judges replies has leanings of its own: towards length, towards what it reads first,"
        " towards a level. Until its agreement with people is measured, and above the floor, its verdicts decide"
        " nothing, and the canary ends inconclusive. A judge with another model, parameter, rubric or choice is"
        " another judge."
    ),
    fix="Let people label replies, run `promptops judge calibrate --labels FILE -o RECORD`, and commit the record.",
    example=(
        "evaluators:\n  flattery: {type: judge, rubric: ..., choices: {...}, models: [gpt]}"
        "   # no `calibration`\nguardrails:\n  - {metric: flattery, direction: lower}"
    ),
)


def check(subject: ChangeSubject) -> Iterator[Finding]:
    """Yield a finding for each judge that a suite has a guardrail on and that may not gate."""
    # A suite is looked at when anything changed that makes its judges what they are.
    if not any(path.startswith((EVALS, MODELS)) for path in subject.paths):
        return
    from promptops.registry.registry import Registry

    registry = Registry(subject.source)
    for path in sorted(subject.source.entries(EVALS)):
        if schema_of(path) == "suite" and b"judge" in (_read(registry, path) or b""):
            yield from _suite(registry, path)


def _suite(registry: Registry, path: str) -> Iterator[Finding]:
    from promptops.evaluation.judging import standing

    try:
        document = registry.suite_document(path.removeprefix(EVALS).removesuffix(".yaml"))
        gated = {rail["metric"] for rail in document.value.get("guardrails", ())}
        models = {name: registry.model(name) for name in standing.models(document.value)}
        barred = standing.barred(document.value, models, registry.source.read)
    except InputError as error:
        # A malformed file is PO101's; what only makes sense together is told here.
        if error.path != path:
            yield Finding(path, 1, 1, ID, f"a judge cannot be read: {error.message}", error.hint or "")
        return
    for metric, why in barred.items():
        if metric in gated:
            place = document.where(("evaluators", metric))
            yield Finding(path, *place, ID, f"guardrail on {metric}: {why}", "promptops judge calibrate --labels FILE")


def _read(registry: Registry, path: str) -> bytes | None:
    try:
        return registry.source.read(path)
    except InputError:
        return None
