from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betaln
from scipy.stats import binom, dirichlet_multinomial, multinomial

from promptops.statistics.evalues import E_VALUE_CAP, imbalance_e_value
from promptops.statistics.srm import e_value, over_stages

counts = st.lists(st.integers(0, 500), min_size=2, max_size=4)


def test_published_bayes_factor():
    # The authors' package ssrm-test on the same counts.
    assert e_value([1200, 800], [0.5, 0.5], kappa=1e4) == pytest.approx(718.5912756, rel=1e-9)


@given(counts)
def test_it_is_the_ratio_of_two_likelihoods_in_scipy(found):
    shares = [0.1 + i for i in range(len(found))]
    shares = [share / math.fsum(shares) for share in shares]
    n = sum(found)
    ratio = dirichlet_multinomial.logpmf(found, [100 * s for s in shares], n) - multinomial.logpmf(found, n, shares)
    assert e_value(found, shares) == pytest.approx(min(math.exp(min(ratio, 700)), E_VALUE_CAP), rel=1e-6)


@pytest.mark.parametrize("share", [0.5, 0.01])
@pytest.mark.parametrize("kappa", [100.0, 1e4])
def test_its_mean_is_one_when_the_promise_is_kept(share, kappa):
    n = 30
    mean = sum(binom.pmf(k, n, share) * e_value([k, n - k], [share, 1 - share], kappa=kappa) for k in range(n + 1))
    assert mean == pytest.approx(1.0, rel=1e-9)


def test_a_flat_prior_over_two_arms_is_the_mixture_that_the_gate_uses():
    # kappa 2 gives the prior Beta(1, 1).
    assert e_value([3, 11], [1, 1], kappa=2) == pytest.approx(imbalance_e_value(3, 11), rel=1e-9)
    assert e_value([30, 70], [1, 1], kappa=100) == pytest.approx(
        math.exp(betaln(80, 120) - betaln(50, 50) + 100 * math.log(2)), rel=1e-9
    )


def test_sixty_to_forty_is_found_within_some_hundred_units():
    assert e_value([150, 100], [1, 1]) < 20 < e_value([156, 104], [1, 1])
    assert e_value([270, 180], [1, 1]) < 1000 < e_value([288, 192], [1, 1])


@given(counts, st.integers(1, 10**9))
def test_weights_may_have_any_unit(found, unit):
    weights = [unit * (i + 1) for i in range(len(found))]
    shares = [i + 1.0 for i in range(len(found))]
    assert e_value(found, weights) == pytest.approx(e_value(found, shares), rel=1e-6)


def test_a_unit_in_an_arm_that_gets_none_is_proof():
    assert e_value([5, 5, 1], [1, 1, 0]) == pytest.approx(E_VALUE_CAP)
    assert e_value([5, 9, 0], [1, 1, 0]) == e_value([5, 9], [1, 1])


def test_no_units_say_nothing_and_huge_counts_stay_finite():
    assert e_value([0, 0], [1, 1]) == pytest.approx(1.0)
    assert e_value([10**9, 10], [1, 1]) == pytest.approx(E_VALUE_CAP)
    assert 0 < e_value([10**9, 10**9], [1, 1]) < 1


def test_stages_multiply():
    first, second = ([70, 40], [1, 1]), ([20, 90], [1, 2])
    assert over_stages([first, second]) == pytest.approx(e_value(*first) * e_value(*second), rel=1e-9)
    assert over_stages([]) == 1.0


@pytest.mark.parametrize(
    ("found", "weights", "kappa", "words"),
    [
        ([1], [1], 100, "two or more"),
        ([], [], 100, "two or more"),
        ([1, 2], [1], 100, "two or more"),
        ([1, -2], [1, 1], 100, "whole numbers"),
        ([1, 2.0], [1, 1], 100, "whole numbers"),
        ([1, 2], [0, 0], 100, "weights"),
        ([1, 2], [1, -1], 100, "weights"),
        ([1, 2], [1, math.nan], 100, "weights"),
        ([1, 2], [1, 1], 0, "kappa"),
        ([1, 2], [1, 1], math.inf, "kappa"),
    ],
)
def test_arguments_out_of_range_are_refused(found, weights, kappa, words):
    with pytest.raises(ValueError, match=words):
        e_value(found, weights, kappa)
