from __future__ import annotations

import json

import pytest

PLAN = "rollouts/reply.yaml"
RAIL = {
    "name": "abuse", "role": "guardrail", "direction": "lower", "aggregate": "any", "margin": 0.02, "baseline": 0.1,
    "window": "1d",
}  # fmt: skip


def plan(rail=RAIL, **members):
    stages = [{"share": "50%", "dwell": "7d"}, {"share": "100%"}]
    return json.dumps({"version": 1, "stages": stages, "metrics": [rail], **members}, indent=1)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (plan(units_per_day=4000), False),
        (plan(units_per_day=100), True),
        (plan({**RAIL, "margin": 0.001}, units_per_day=4000), True),
        (plan({**RAIL, "window": "30d"}, units_per_day=4000, expires="28d"), True),
        (plan({**RAIL, "aggregate": "mean", "deviation": 9}, units_per_day=4000), True),
        # Nothing is known of these.
        (plan(), False),
        (plan({key: value for key, value in RAIL.items() if key != "baseline"}, units_per_day=100), False),
    ],
)
def test_finds_a_plan_that_holds_what_changes_nothing(judge, text, found):
    places = judge.places("PO119", **{PLAN: text})
    assert [path for path, _ in places] == [PLAN] * found
    assert all(
        json.loads(text)["units_per_day"] and '"units_per_day"' in text.splitlines()[line - 1] for _, line in places
    )
