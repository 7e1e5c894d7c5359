"""PO118: a plan serves everybody before a week was seen, or without a fair hold-back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.checks.finding import WARN, Finding
from promptops.checks.rule import File, Text
from promptops.errors import InputError
from promptops.registry.governed import schema_of

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = "PO118"
TEXT = Text(
    title="A plan serves everybody too soon",
    why=(
        "Weekdays differ from weekends, and what a prompt does to people may take days to show. And when the stage"
        " before the last is below 50 %, users who know the old release join the canary late and have no counterpart"
        " among those held back, so that the hold-back cannot be compared with anybody."
    ),
    fix="Let the stage before the last be 50 % and last seven days.",
    example='stages:\n  - {share: "5%", dwell: 1d}\n  - {share: "100%"}',
)
_WEEK = 7 * 86_400


def check(file: File) -> Iterator[Finding]:
    """Yield a warning for the stage before the last."""
    if schema_of(file.path) != "rollout" or file.data is None:
        return
    from promptops.registry import yaml
    from promptops.rollout import effects
    from promptops.rollout.plan import Plan

    try:
        plan = Plan.parse(file.path, file.data)
    except InputError:
        # PO101 and PO116 report what is wrong with it.
        return
    place = yaml.load(file.data, file.path).where(("stages", plan.last - 1))
    if plan.stages[plan.last - 1].dwell < _WEEK:
        message = "the stage before everybody lasts less than a week"
        yield Finding(file.path, *place, ID, message, "dwell: 7d", WARN)
    if plan.weights(plan.last)["baseline"] and not effects.comparable(plan, plan.last):
        share = plan.stages[plan.last - 1].share
        message = f"after a stage of {share} the hold-back cannot be compared"
        yield Finding(file.path, *place, ID, message, 'put a stage of "50%" before the last', WARN)
