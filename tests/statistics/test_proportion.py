"""Intervals of shares against published values and their own definitions."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import betabinom, binom

from promptops.statistics.proportion import mixture, wilson


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


@pytest.mark.parametrize(("hits", "trials", "low", "high"), [(700, 1000, 0.646985, 0.749662), (0, 50, 0.0, 0.129381)])
def test_the_mixture_has_published_bounds(hits, trials, low, high):
    assert mixture(hits, trials) == pytest.approx((low, high), abs=5e-7)


@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from([0.01, 0.05, 0.3]), st.sampled_from([0.5, 1.0, 7.0]))
def test_a_kept_share_is_likelier_than_alpha_times_the_mixture(hits, misses, alpha, a):
    n = hits + misses
    found = mixture(hits, n, alpha=alpha, prior=(a, 2 * a))
    marginal = betabinom.pmf(hits, n, a, 2 * a)
    inside, outside = found.low + 1e-7, found.low - 1e-7
    if found.low > 1e-6:
        assert binom.pmf(hits, n, inside) > alpha * marginal >= binom.pmf(hits, n, outside)
    turned = mixture(misses, n, alpha=alpha, prior=(2 * a, a))
    assert found == pytest.approx((1 - turned.high, 1 - turned.low), abs=1e-9)


@pytest.mark.parametrize("share", [0.02, 0.5])
def test_the_mixture_misses_the_share_at_any_look_with_at_most_alpha(share):
    # Exactly: the law of the hits of runs that were never missed, one trial after the other.
    alive, horizon = {0: 1.0}, 150
    for n in range(1, horizon + 1):
        grown = {}
        for hits, mass in alive.items():
            for more, chance in ((0, 1 - share), (1, share)):
                grown[hits + more] = grown.get(hits + more, 0.0) + mass * chance
        alive = {hits: mass for hits, mass in grown.items() if mixture(hits, n).low <= share <= mixture(hits, n).high}
    assert 0.95 <= sum(alive.values()) < 1.0


def test_no_trials_leave_every_share():
    assert mixture(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("hits", "trials", "options", "words"),
    [
        (2, 1, {}, "hits"),
        (-1, 1, {}, "hits"),
        (math.nan, 1, {}, "hits"),
        (1, 2, {"alpha": 0.0}, "alpha"),
        (1, 2, {"alpha": math.nan}, "alpha"),
        (1, 2, {"prior": (0.0, 1.0)}, "prior"),
        (1, 2, {"prior": (1.0, math.inf)}, "prior"),
    ],
)
def test_a_mixture_out_of_range_is_refused(hits, trials, options, words):
    with pytest.raises(ValueError, match=words):
        mixture(hits, trials, **options)
