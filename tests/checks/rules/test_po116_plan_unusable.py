from __future__ import annotations

import json

import pytest

PLAN = "rollouts/reply.yaml"
RAIL = {"name": "abuse", "role": "guardrail", "direction": "lower", "aggregate": "any", "margin": 0.02}
STAGES = [{"share": "50%", "dwell": "7d"}, {"share": "100%"}]


def plan(**members):
    return json.dumps({"version": 1, "stages": STAGES, "metrics": [RAIL], **members}, indent=1)


@pytest.mark.parametrize(
    ("members", "line", "severity"),
    [
        ({"stages": [{"share": "50%"}, {"share": "5%"}]}, 7, "block"),
        ({"stages": [{"share": "100%"}]}, 4, "block"),
        ({"stages": [{"share": "shadow"}, {"share": "5%"}]}, 4, "warn"),
        ({"metrics": [{key: value for key, value in RAIL.items() if key != "margin"}]}, 13, "block"),
        ({"metrics": [{**RAIL, "role": "success"}]}, 12, "block"),
        ({"metrics": [{**RAIL, "kind": "feedback"}, {**RAIL, "name": "b", "dry_run": True}]}, 12, "block"),
    ],
)
def test_finds_what_no_rollout_can_follow_with_its_place(judge, members, line, severity):
    found = [each for each in judge(**{PLAN: plan(**members)}) if each.rule == "PO116"]
    assert [(each.path, each.line, each.severity) for each in found] == [(PLAN, line, severity)]


def test_is_silent_about_a_plan_that_can_be_followed_and_a_malformed_one(judge):
    assert judge.places("PO116", **{PLAN: plan()}) == []
    assert {each.rule for each in judge(**{PLAN: "version: 1\n"})} == {"PO101"}
