from __future__ import annotations

import random

import pytest
from scipy import stats

from promptops.statistics import clustered


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 8, 15, 40, 200, 5000])
def test_the_quantile_is_students(freedom):
    assert clustered.quantile(0.975, freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=0.01)


def test_without_clusters_it_is_the_mean_and_a_score_interval():
    found = clustered.estimate([(1.0, 1)] * 30 + [(0.0, 1)] * 70)
    low, high = stats.binomtest(30, 100).proportion_ci(method="wilson")
    assert (found.mean, found.clusters, found.n) == (0.3, 100, 100)
    assert (found.low, found.high) == (pytest.approx(low, abs=0.005), pytest.approx(high, abs=0.005))


def test_repeats_of_the_same_answer_teach_nothing():
    once = clustered.estimate([(1.0, 1)] * 6 + [(0.0, 1)] * 14)
    often = clustered.estimate([(50.0, 50)] * 6 + [(0.0, 50)] * 14)
    assert (often.low, often.high) == (pytest.approx(once.low), pytest.approx(once.high))
    assert (once.n, often.n) == (20, 1000)


@pytest.mark.parametrize(("shape", "repeats"), [((0.3, 0.7), 5), ((2.0, 18.0), 3), ((5.0, 5.0), 1)])
def test_the_interval_holds_the_mean_about_as_often_as_it_says(shape, repeats):
    """Cases differ by a beta distribution, and replies to one case by chance: 95 % within three standard errors."""
    dice, trials, held = random.Random(4), 600, 0
    truth = shape[0] / sum(shape)
    for _ in range(trials):
        cases = [dice.betavariate(*shape) for _ in range(40)]
        found = clustered.estimate([(float(sum(dice.random() < p for _ in range(repeats))), repeats) for p in cases])
        held += found.low <= truth <= found.high
    assert held / trials > 0.95 - 3 * (0.95 * 0.05 / trials) ** 0.5


@pytest.mark.parametrize("value", [0.0, 0.25, 1.0])
def test_equal_cases_leave_room_for_one_that_was_not_seen(value):
    found = clustered.estimate([(value, 1)] * 20)
    assert found.mean == value
    assert (found.low < value) == (value > 0)
    assert (found.high > value) == (value < 1)
    wider = clustered.estimate([(value, 1)] * 10)
    assert wider.high - wider.low > found.high - found.low
    assert 0 <= found.low <= found.high <= 1


def test_one_case_says_next_to_nothing_and_none_nothing():
    assert clustered.estimate([(3.0, 4)]) == (0.75, 0.0, 1.0, 1, 4)
    assert clustered.estimate([]) is None
    assert clustered.estimate([(0.0, 0)]) is None


def test_differences_are_on_their_own_scale():
    found = clustered.difference([(-0.5, 1)] * 10 + [(0.5, 1)] * 10)
    assert found.mean == pytest.approx(0.0)
    assert found.low == pytest.approx(-found.high)
    same = clustered.difference([(0.0, 2)] * 30)
    assert -0.2 < same.low < 0 < same.high < 0.2
