"""PO119: a plan holds most releases that change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.checks.finding import Finding
from promptops.checks.rule import File, Text
from promptops.errors import InputError
from promptops.registry.governed import schema_of

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = "PO119"
TEXT = Text(
    title="A plan holds most releases that change nothing",
    why=(
        "With so few users, such narrow margins or so little time, a release as good as the one before is not proved so"
        " before the plan expires. People would learn to force their way past it."
    ),
    fix=(
        "Widen margins (in the early stages first), let it take longer, or gate on a metric that varies less."
        " `promptops rollout simulate PROMPT` shows what a change does."
    ),
    example="units_per_day: 100\nmetrics:\n  - {name: complaint, margin: 0.001, baseline: 0.1, ...}",
)
_MOST = 0.5


def check(file: File) -> Iterator[Finding]:
    """Yield a finding where more than half of the releases without any change would be held."""
    if schema_of(file.path) != "rollout" or file.data is None or b"units_per_day" not in file.data:
        return
    from promptops.registry import yaml
    from promptops.rollout import power
    from promptops.rollout.plan import Plan

    try:
        plan = Plan.parse(file.path, file.data)
    except InputError:
        # PO101 and PO116 report what is wrong with it.
        return
    held = power.share_held(plan)
    if held is not None and held > _MOST:
        place = yaml.load(file.data, file.path).where(("units_per_day",))
        message = f"about {held:.0%} of the releases that change nothing would be held until the plan expires"
        yield Finding(file.path, *place, ID, message, "promptops rollout simulate " + plan.prompt)
