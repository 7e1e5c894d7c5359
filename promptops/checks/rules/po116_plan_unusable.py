"""PO116: no rollout can follow a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.checks.finding import BLOCK, WARN, Finding
from promptops.checks.rule import File, Text
from promptops.errors import InputError
from promptops.registry.governed import schema_of

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = "PO116"
TEXT = Text(
    title="No rollout can follow the plan",
    why=(
        "A plan that serves everybody at once, whose shares do not grow, or that has nothing to prove (no guardrail, a"
        " guardrail without a margin, feedback alone) either is no rollout or never gets beyond its first stage."
    ),
    fix="Do what the finding says; `promptops rollout simulate PROMPT` shows what the plan would do.",
    example='stages:\n  - {share: "50%"}\n  - {share: "5%"}     # less than before',
)


def check(file: File) -> Iterator[Finding]:
    """Yield a finding for the first thing that keeps a rollout from following a plan."""
    if schema_of(file.path) != "rollout" or file.data is None:
        return
    from promptops.registry import schemas, yaml
    from promptops.rollout.plan import Plan

    try:
        document = yaml.load(file.data, file.path)
        schemas.check_document("rollout", document)
    except InputError:
        # PO101 reports what is wrong with it.
        return
    try:
        plan = Plan.parse(file.path, file.data)
    except InputError as error:
        # Older plans may have such a stage, and nothing went by them yet.
        severity = WARN if "shadow" in error.message else BLOCK
        yield Finding(file.path, error.line or 1, error.column or 1, ID, error.message, error.hint or "", severity)
        return
    if not any(each.role == "guardrail" and each.decides and not each.feedback for each in plan.measures):
        place = document.where(("metrics",))
        hint = "name a metric that may not get worse, with a margin, and that is not of the kind feedback"
        yield Finding(file.path, *place, ID, "the plan has no guardrail but feedback", hint)
