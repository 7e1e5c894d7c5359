from __future__ import annotations

import json

import pytest

SUITE, PLAN, DATA = "evals/voice.yaml", "rollouts/reply.yaml", "evals/data/thumbs.jsonl"
THUMBS = {"type": "feedback", "path": DATA}


def suite(*rails, **evaluators):
    value = {
        "version": 1,
        "evaluators": {"thumbs": THUMBS, **evaluators},
        "guardrails": [{"metric": metric, "direction": "higher"} for metric in rails],
        "cases": [{"id": "a", "input": "x", "expect": {"contains": "y"}}],
    }
    return json.dumps(value, indent=1)


def plan(*metrics):
    named = [
        {"name": f"m{place}", "role": role, "direction": "higher", **({"kind": kind} if kind else {})}
        for place, (role, kind) in enumerate(metrics)
    ]
    return json.dumps({"version": 1, "stages": [{"share": "5%"}], "metrics": named}, indent=1)


@pytest.mark.parametrize(
    "text",
    [
        suite("thumbs"),
        suite("thumbs", "fast", fast={"type": "latency", "maximum": 2}),
        suite("thumbs", "stars", stars=THUMBS),
    ],
    ids=["alone", "with-speed", "twice"],
)
def test_finds_a_suite_that_goes_by_feedback_alone(judge, text):
    assert [path for path, _ in judge.places("PO113", **{SUITE: text, DATA: ""})] == [SUITE]


@pytest.mark.parametrize(
    "text",
    [
        suite("thumbs", "praise", praise={"type": "praise"}),
        suite("thumbs", "expected"),
        suite("praise", praise={"type": "praise"}),
        suite(),
    ],
    ids=["praise", "expected", "not-gated", "no-gate"],
)
def test_is_silent_beside_another_measure(judge, text):
    assert judge.places("PO113", **{SUITE: text, DATA: ""}) == []


@pytest.mark.parametrize(
    ("metrics", "found"),
    [
        ([("success", "feedback")], True),
        ([("success", "feedback"), ("ops", None), ("proxy", None)], True),
        ([("success", "feedback"), ("guardrail", None)], True),
        ([("guardrail", "feedback"), ("ops", "outcome")], True),
        ([("success", "feedback"), ("success", None)], False),
        ([("success", "feedback"), ("quality", "outcome")], False),
        ([("guardrail", "feedback"), ("success", None)], False),
        ([("proxy", "feedback"), ("ops", None)], False),
        ([("success", "outcome")], False),
    ],
)
def test_a_plan_needs_a_success_that_is_no_feedback(judge, metrics, found):
    assert [path for path, _ in judge.places("PO113", **{PLAN: plan(*metrics)})] == [PLAN] * found


def test_a_malformed_file_is_another_rule_s(judge):
    assert {each.rule for each in judge(**{SUITE: "feedback: 1\n"})} == {"PO101"}
