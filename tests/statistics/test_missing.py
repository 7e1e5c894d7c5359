from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptops.statistics.missing import Feedback, trimmed, worst_case


@st.composite
def arms(draw, least=0):
    answers = draw(st.integers(least, 30))
    return Feedback(answers + draw(st.integers(0 if answers else 1, 30)), answers, draw(st.integers(0, answers)))


def test_bounds_are_the_extremes_over_all_that_the_missing_could_have_said():
    canary, baseline = Feedback(7, 5, 2), Feedback(6, 3, 3)
    effects = [(2 + a) / 7 - (3 + b) / 6 for a, b in product(range(3), range(4))]
    assert worst_case(canary, baseline) == pytest.approx((min(effects), max(effects)))


def test_trimming_removes_the_extra_answers_of_the_arm_that_has_more():
    # 80 of 100 answer in the canary, 40 in the baseline: half of the canary's answers are extra, 60 % are positive.
    low, high = trimmed(Feedback(100, 80, 48), Feedback(100, 40, 20))
    assert (low, high) == pytest.approx((0.2 - 0.5, 1.0 - 0.5))
    turned = trimmed(Feedback(100, 40, 20), Feedback(100, 80, 48))
    assert turned == pytest.approx((-high, -low))


@given(arms(least=1), arms(least=1))
def test_the_observed_difference_lies_within_the_trimmed_bounds(canary, baseline):
    low, high = trimmed(canary, baseline)
    seen = canary.positive / canary.answers - baseline.positive / baseline.answers
    assert low - 1e-12 <= seen <= high + 1e-12
    assert -1 <= low <= high <= 1


@given(arms(), arms())
def test_complete_answers_leave_nothing_open(canary, baseline):
    low, high = worst_case(canary, baseline)
    missing = sum((arm.opportunities - arm.answers) / arm.opportunities for arm in (canary, baseline))
    assert high - low == pytest.approx(missing)


@pytest.mark.parametrize(
    ("arm", "words"),
    [
        (Feedback(0, 0, 0), "fit together"),
        (Feedback(5, 6, 0), "fit together"),
        (Feedback(5, 3, 4), "fit together"),
        (Feedback(5, 3, -1), "fit together"),
        (Feedback(5, float("nan"), 1), "whole numbers"),
    ],
)
def test_impossible_counts_are_refused(arm, words):
    for call in (worst_case, trimmed):
        with pytest.raises(ValueError, match=words):
            call(arm, Feedback(5, 3, 1))
        with pytest.raises(ValueError, match=words):
            call(Feedback(5, 3, 1), arm)


def test_an_arm_without_answers_cannot_be_trimmed():
    with pytest.raises(ValueError, match="without answers"):
        trimmed(Feedback(5, 0, 0), Feedback(5, 3, 1))
