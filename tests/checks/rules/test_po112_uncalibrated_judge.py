from __future__ import annotations

import json

import pytest
from evaluation.judged import calibrated, definition, made, model_file

SUITE, RECORD, MODEL = "evals/tone.yaml", "evals/judges/tone.json", "models/judge.yaml"
GATE = [{"metric": "flattery", "direction": "lower"}]


def suite(guardrails=GATE, **changes):
    evaluators = {"praise": {"type": "praise"}, "flattery": definition(**changes)}
    return json.dumps(
        {"version": 1, "evaluators": evaluators, "guardrails": guardrails, "cases": [{"id": "a", "input": "x"}]},
        indent=1,
    )


def record(low=0.8, **changes):
    return json.dumps(calibrated(made(**changes), low))


CALIBRATED = {SUITE: suite(calibration=RECORD), RECORD: record(), MODEL: model_file()}


def test_is_silent_on_the_judge_that_was_calibrated(judge):
    assert judge.places("PO112", **CALIBRATED) == []


def test_is_silent_where_nothing_is_decided(judge):
    assert judge(**{SUITE: suite([{"metric": "praise", "direction": "lower"}]), MODEL: model_file()}) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({SUITE: suite()}, "never calibrated"),
        ({RECORD: None}, "does not exist"),
        ({RECORD: record(rubric="Another.")}, "another one"),
        ({RECORD: record(low=0.1)}, "below its floor"),
        ({SUITE: suite(calibration=RECORD, rubric="Another.")}, "another one"),
        ({MODEL: model_file(id="judge-2")}, "another one"),
        ({RECORD: "{}"}, "no calibration record"),
        ({MODEL: None}, "there is no model judge"),
    ],
)
def test_finds_whatever_makes_it_another_judge(judge, change, message):
    judge.stage(**CALIBRATED)
    judge.repo.git("commit", "-q", "-m", "Judge")
    found = [each for each in judge(**change) if each.rule == "PO112"]
    assert [(each.path, message in each.message) for each in found] == [(SUITE, True)]


def test_finds_it_among_everything(judge):
    judge.stage(**CALIBRATED | {RECORD: record(low=0.1)})
    assert [each.rule for each in judge.check("--all")] == ["PO112"]


def test_a_malformed_suite_is_another_rule_s(judge):
    assert {each.rule for each in judge(**{SUITE: "judge: 1\n"})} == {"PO101"}
