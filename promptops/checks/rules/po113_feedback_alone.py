"""PO113: a suite or a rollout plan goes by people's feedback alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from promptops.checks.finding import Finding
from promptops.checks.rule import File, Text
from promptops.errors import InputError
from promptops.registry.governed import schema_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promptops.registry.yaml import Document

ID = "PO113"
TEXT = Text(
    title="Feedback decides alone",
    why=(
        "Thumbs and ratings reward what pleases. Flattery pleases, so that a release that flatters looks better by"
        " feedback than the one before it, and did in April 2025. Beside it has to stand a measure that flattery does"
        " not move."
    ),
    fix=(
        "In a suite, add a guardrail on another evaluator, such as praise or a behavioural measure. In a rollout plan,"
        " add a success or quality metric that is not of the kind feedback."
    ),
    example=(
        "evaluators:\n  thumbs: {type: feedback, path: evals/data/thumbs.jsonl}\n"
        "guardrails:\n  - {metric: thumbs, direction: higher}     # and no other"
    ),
)
# Money and speed say nothing about a reply, and a size little.
_ASIDE = frozenset({"cost", "latency", "length"})
_DECIDES = frozenset({"success", "quality", "guardrail"})
_HINT = "add a measure that feedback does not move"


def check(file: File) -> Iterator[Finding]:
    """Yield a finding where feedback is gated on and no other measure of the replies is."""
    schema = schema_of(file.path)
    if schema not in {"suite", "rollout"} or file.data is None or b"feedback" not in file.data:
        return
    from promptops.registry import schemas, yaml

    try:
        document = yaml.load(file.data, file.path)
        schemas.check_document(schema, document)
    except InputError:
        # PO101 reports what is wrong with it.
        return
    yield from (_suite if schema == "suite" else _rollout)(document)


def _suite(document: Document) -> Iterator[Finding]:
    kinds = {name: item["type"] for name, item in document.value.get("evaluators", {}).items()}
    rails = [(place, kinds.get(rail["metric"], "")) for place, rail in enumerate(document.value.get("guardrails", ()))]
    alone = all(kind == "feedback" or kind in _ASIDE for _, kind in rails)
    for place, kind in rails:
        if kind == "feedback" and alone:
            yield _finding(document, ("guardrails", place), "the suite gates on feedback alone")
            return


def _rollout(document: Document) -> Iterator[Finding]:
    metrics: list[dict[str, Any]] = document.value["metrics"]
    by_feedback = [place for place, each in enumerate(metrics) if _fed(each) and each["role"] in _DECIDES]
    beside = {each["role"] for each in metrics if not _fed(each)}
    success = any(_fed(each) and each["role"] == "success" for each in metrics)
    if by_feedback and not beside & _DECIDES:
        yield _finding(document, ("metrics", by_feedback[0]), "the plan goes by feedback alone")
    elif success and not beside & {"success", "quality"}:
        yield _finding(document, ("metrics", by_feedback[0]), "feedback is the plan's only success metric")


def _fed(metric: dict[str, Any]) -> bool:
    return metric.get("kind") == "feedback"


def _finding(document: Document, pointer: tuple[str | int, ...], message: str) -> Finding:
    return Finding(document.path, *document.where(pointer), ID, message, _HINT)
