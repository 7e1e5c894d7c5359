"""Wilson's interval against published values and its own definition."""

from __future__ import annotations

import math

import pytest

from promptops.statistics.proportion import wilson


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    # R. Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_published_values(hits, trials, low, high):
    assert wilson(hits, trials) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(("hits", "trials"), [(0, 1), (1, 1), (3, 7), (50, 100), (100, 100)])
def test_the_ends_are_where_the_score_test_rejects(hits, trials):
    share = hits / trials
    low, high = wilson(hits, trials)
    assert 0.0 <= low <= share <= high <= 1.0
    for end in {low, high} - {0.0, 1.0}:
        assert abs(share - end) / math.sqrt(end * (1 - end) / trials) == pytest.approx(1.959964, abs=1e-5)


def test_without_trials_nothing_is_known():
    assert wilson(0, 0) == (0.0, 1.0)
