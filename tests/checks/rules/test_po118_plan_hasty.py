from __future__ import annotations

import json

import pytest

PLAN = "rollouts/reply.yaml"
RAIL = {"name": "abuse", "role": "guardrail", "direction": "lower", "margin": 0.02}


def plan(*stages, **members):
    return json.dumps({"version": 1, "stages": list(stages), "metrics": [RAIL], **members}, indent=1)


EVERYBODY = {"share": "100%"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (plan({"share": "50%", "dwell": "6d"}, EVERYBODY), ["less than a week"]),
        (plan({"share": "50%"}), ["less than a week"]),
        (plan({"share": "25%", "dwell": "7d"}, EVERYBODY, holdback="2%"), ["after a stage of 25%"]),
        (plan({"share": "25%", "dwell": "7d"}, EVERYBODY), []),
        (plan({"share": "5%"}, {"share": "50%", "dwell": "7d"}, EVERYBODY, holdback="2%"), []),
        (plan({"share": "shadow"}, {"share": "50%"}), []),
    ],
)
def test_warns_of_a_hasty_last_step(judge, text, words):
    found = [each for each in judge(**{PLAN: text}) if each.rule == "PO118"]
    assert [(each.severity, word in each.message) for each, word in zip(found, words, strict=True)] == [
        ("warn", True) for _ in words
    ]
