from __future__ import annotations

import pytest

from promptops.evaluation.exam import Rail
from promptops.evaluation.means import MeansGate
from promptops.evaluation.summary_bounds import Sum


def rail(direction="lower", margin=0.15):
    return Rail("praise", direction, margin, None, pool="style", suite="style")


def gate(before, scores, **given):
    made = MeansGate({"style/praise": rail(**given)}, {"style/praise": before})
    for score in scores:
        made.add({"style/praise": (None, score)})
    return made


@pytest.mark.parametrize(
    ("direction", "then", "now", "verdict"),
    [
        ("lower", 0.0, 0.0, "pass"),
        ("lower", 1.0, 0.0, "pass"),
        ("lower", 0.0, 1.0, "fail"),
        ("higher", 1.0, 1.0, "pass"),
        ("higher", 0.0, 1.0, "pass"),
        ("higher", 1.0, 0.0, "fail"),
    ],
)
def test_harm_has_a_direction(direction, then, now, verdict):
    assert gate(Sum(200, 200 * then), [now] * 200, direction=direction).decision == verdict


def test_few_replies_decide_nothing():
    made = gate(Sum(200, 0.0), [0.0] * 5)
    assert (made.decision, made.undecided) == ("inconclusive", {"style/praise"})
    assert "prove neither" in made.verdict().reasons[0]


def test_an_unreadable_reply_counts_as_the_worst():
    assert gate(Sum(200, 0.0), [None] * 200).decision == "fail"
    assert gate(Sum(200, 200.0), [None] * 200, direction="higher").decision == "fail"


def test_lost_calls_leave_no_verdict():
    made = gate(Sum(200, 0.0), [0.0] * 200)
    assert made.decision == "pass"
    for _ in range(40):
        made.add_failure(both=True)
    assert made.decision == "inconclusive"
    assert "40 of 240 calls got no reply" in made.verdict().reasons


def test_what_was_proved_stays_proved():
    made = gate(Sum(200, 0.0), [1.0] * 100 + [0.0] * 400)
    assert made.decision == "fail"
    assert made.verdict().rows[0].verdict == "fail"


def test_a_guardrail_that_was_not_measured_then_is_left_out():
    rails = {"style/praise": rail(), "new/metric": rail()}
    made = MeansGate(rails, {"style/praise": Sum(200, 0.0)})
    for _ in range(200):
        made.add(dict.fromkeys(rails, (None, 0.0)))
    assert made.decision == "pass"
    assert [row.name for row in made.verdict().rows] == ["style/praise"]
    assert MeansGate(rails, {}).decision == "inconclusive"


def test_evidence_names_counts_and_sums():
    made = gate(Sum(10, 2.0), [0.5, 1.0])
    assert made.evidence()["guardrails"] == [{"name": "style/praise", "before": [10, 2.0], "after": [2, 1.5]}]
    row = made.verdict().rows[0]
    assert (row.baseline, row.candidate, row.difference, row.n) == (0.2, 0.75, pytest.approx(0.55), 2)


def test_replies_lost_now_stand_against_a_pass_and_prove_no_harm():
    def lossy(lost):
        made = MeansGate({"style/praise": rail(margin=0.05)}, {"style/praise": Sum(1000, 0.0)})
        for number in range(1000):
            missing = number % 10 < lost
            made.add({"style/praise": (None, None if missing else 0.0)}, lost=missing)
        return made

    assert lossy(0).decision == "pass"
    assert lossy(1).verdict().verdict == "inconclusive"
    assert lossy(1).verdict().rows[0].candidate == 0.0
