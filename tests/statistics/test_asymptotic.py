from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import binom, norm, ttest_ind

from promptops.statistics.asymptotic import (
    Effect,
    Joint,
    Moments,
    adjusted_difference,
    difference,
    e_value,
    interval,
    lower,
    pooled,
    ratio_difference,
    rho,
    upper,
    width,
)
from promptops.statistics.evalues import E_VALUE_CAP

values = st.lists(st.floats(-100, 100, allow_nan=False), min_size=2, max_size=30)


def moments(xs):
    return Moments(len(xs), float(sum(xs)), float(sum(x * x for x in xs)))


def joint(ys, xs):
    products = sum(y * x for y, x in zip(ys, xs, strict=True))
    return Joint(*moments(ys), *moments(xs)[1:], float(products))


def test_known_numbers():
    assert rho(0.05, 1000, sided=2) == pytest.approx(0.0890850975, abs=1e-10)
    effect = Effect(0.0, 0.01, 10_000)
    assert interval(effect, 0.05, 10_000).high == pytest.approx(0.0303520899, abs=1e-10)
    assert upper(effect, 0.05, 10_000) == pytest.approx(0.0277909424, abs=1e-10)
    assert lower(effect, 0.05, 10_000) == pytest.approx(-0.0277909424, abs=1e-10)


def test_bounds_are_those_of_growthbook():
    # Published expectations of its statistics package for these sums: one-sided absolute at its default aim of 5,000
    # units, and two-sided relative (delta method) at an aim of 1,000.
    old, new = Moments(3000, 1396.87, 52377.9767), Moments(3461, 2422.7, 134698.29)
    effect = difference(new, old)
    assert effect.estimate == pytest.approx(0.23437666666666668, rel=1e-12)
    assert effect.error == pytest.approx(0.12983081254184736, rel=1e-12)
    assert lower(effect, 0.05, 5000) == pytest.approx(-0.12656844172804982, rel=1e-9)
    assert upper(effect, 0.05, 5000) == pytest.approx(0.5953217750613832, rel=1e-9)
    relative = Effect(0.5033610858562358, 0.3334122146400735, effect.n)
    assert interval(relative, 0.05, 1000) == pytest.approx((-0.55844, 1.56516), abs=5e-6)


@given(values, values)
def test_a_difference_is_that_of_welch(left, right):
    effect = difference(moments(left), moments(right))
    variance = np.var(left, ddof=1) / len(left) + np.var(right, ddof=1) / len(right)
    assert effect.estimate == pytest.approx(np.mean(left) - np.mean(right), abs=1e-9)
    assert effect.error == pytest.approx(math.sqrt(variance), abs=1e-4)
    assert effect.n == len(left) + len(right)


def test_a_difference_has_the_t_statistic_of_scipy():
    source = np.random.default_rng(3)
    left, right = source.normal(5, 2, 400), source.normal(4.8, 3, 300)
    effect = difference(moments(left), moments(right))
    assert effect.estimate / effect.error == pytest.approx(ttest_ind(left, right, equal_var=False).statistic, rel=1e-9)


def test_groups_pool_to_the_moments_of_all():
    xs = [random.Random(1).random() for _ in range(90)]
    assert pooled([moments(xs[:40]), moments(xs[40:])]) == pytest.approx(moments(xs))
    with pytest.raises(ValueError, match="no groups"):
        pooled([])


def test_a_ratio_has_the_error_of_the_delta_method():
    source = np.random.default_rng(4)
    arms = []
    for _ in range(2):
        sessions = 1 + source.poisson(3, 500)
        arms.append((source.binomial(sessions, 0.6).astype(float), sessions.astype(float)))
    effect = ratio_difference(*(joint(y, x) for y, x in arms))
    estimate, variance = 0.0, 0.0
    for sign, (y, x) in zip((1, -1), arms, strict=True):
        n, (sy, sx), cross = len(y), (y.var(ddof=1), x.var(ddof=1)), np.cov(y, x)[0, 1]
        my, mx = y.mean(), x.mean()
        estimate += sign * my / mx
        variance += (sy / mx**2 - 2 * my * cross / mx**3 + my**2 * sx / mx**4) / n
    assert effect.estimate == pytest.approx(estimate, rel=1e-12)
    assert effect.error == pytest.approx(math.sqrt(variance), rel=1e-9)


def test_adjustment_is_least_squares_on_the_covariate():
    source = np.random.default_rng(5)
    n = 600
    x = source.normal(10, 2, 2 * n)
    treated = np.repeat([1.0, 0.0], n)
    y = 3 * x + 0.5 * treated + source.normal(0, 1, 2 * n)
    effect = adjusted_difference(joint(y[:n], x[:n]), joint(y[n:], x[n:]))
    slopes, *_ = np.linalg.lstsq(np.column_stack([treated, np.ones(2 * n), x]), y, rcond=None)
    assert effect.estimate == pytest.approx(slopes[0], abs=1e-9)
    rests = [arm.var(ddof=1) / n for arm in np.split(y - slopes[2] * x, 2)]
    assert effect.error == pytest.approx(math.sqrt(sum(rests)), rel=1e-9)
    assert effect.error < difference(moments(y[:n]), moments(y[n:])).error / 4


def test_a_constant_covariate_changes_nothing():
    ys, others = [1.0, 2.0, 4.0], [0.0, 1.0, 1.0]
    adjusted = adjusted_difference(joint(ys, [7.0] * 3), joint(others, [7.0] * 3))
    assert adjusted == pytest.approx(difference(moments(ys), moments(others)))


@pytest.mark.parametrize("greater", [True, False])
@pytest.mark.parametrize("z", [-3.0, -0.4, 0.0, 1.0, 4.0])
def test_an_e_value_is_the_mixture_over_half_a_normal(z, greater):
    # Gaussian likelihood ratios exp(a S - n a^2 / 2) of the unit drift a, mixed over |N(0, rho^2)|.
    n, tuned = 500, rho(0.05, 800, sided=1)
    total = z * math.sqrt(n)
    mixed, _ = quad(lambda a: math.exp(a * total - n * a * a / 2) * 2 * norm.pdf(a, scale=tuned), 0, 2, epsabs=0)
    effect = Effect(0.3 + (z if greater else -z) * 0.01, 0.01, n)
    assert e_value(effect, 0.3, 800, 0.05, greater=greater) == pytest.approx(mixed, rel=1e-6)


@given(st.floats(-60, 60), st.integers(2, 10**7))
def test_e_values_are_finite_and_never_negative(z, n):
    assert 0 <= e_value(Effect(z, 1.0, n), 0.0, 1000, 0.05, greater=True) <= E_VALUE_CAP


def test_e_values_do_not_jump_where_the_formula_changes():
    near = [e_value(Effect(z, 1.0, 10**9), 0.0, 1000, 0.05, greater=True) for z in (-25.001, -24.999)]
    assert near[0] == pytest.approx(near[1], rel=2e-4)
    assert near[0] < near[1]


@given(st.floats(-5, 5), st.floats(0.001, 2), st.integers(10, 10**6), st.sampled_from([0.005, 0.01, 0.05, 0.2]))
def test_a_bound_never_says_more_than_its_e_value(estimate, error, n, alpha):
    # Eq. 134 is a closed form that is slightly wider than where the mixture reaches 1/alpha.
    effect = Effect(estimate, error, n)
    assert e_value(effect, lower(effect, alpha, 5000), 5000, alpha, greater=True) >= 1 / alpha * (1 - 1e-9)
    assert e_value(effect, upper(effect, alpha, 5000), 5000, alpha, greater=False) >= 1 / alpha * (1 - 1e-9)


@given(st.integers(2, 10**6), st.floats(0.001, 0.2), st.floats(0.21, 0.25))
def test_less_alpha_is_wider_and_two_sides_are_wider_than_one(n, small, large):
    assert width(n, small, n, sided=1) > width(n, large, n, sided=1)
    assert width(n, small, n, sided=2) > width(n, small, n, sided=1) > norm.isf(small)


def test_at_its_aim_a_bound_costs_what_the_documents_say():
    assert width(10_000, 0.05, 10_000, sided=2) / norm.ppf(0.975) == pytest.approx(1.55, abs=0.005)
    assert width(10_000, 0.05, 10_000, sided=1) / norm.ppf(0.95) == pytest.approx(1.69, abs=0.005)


def test_what_never_varied_proves_nothing():
    for value in (0.0, 0.1, 1.0):
        same = moments([value] * 1000)
        effect = difference(same, same)
        assert effect.error == 0.0
        assert lower(effect, 0.05, 1000) == -math.inf
        assert upper(effect, 0.05, 1000) == math.inf
        assert interval(effect, 0.05, 1000) == (-math.inf, math.inf)
        assert e_value(effect, -0.5, 1000, 0.05, greater=True) == 1.0


def test_a_span_counts_one_more_event_in_each_arm():
    none = Moments(1000, 0.0, 0.0)
    effect = difference(none, none, span=1.0)
    assert effect.error == pytest.approx(math.sqrt(2 / 999 / 1000), rel=1e-12)
    # Not below what no event in 1000 units proves exactly: 1 - 0.05 ** (1 / 1000).
    assert upper(effect, 0.05, 2000) > 1 - 0.05 ** (1 / 1000)
    many = Moments(100_000, 30_000.0, 30_000.0)
    assert difference(many, many, span=1.0).error == pytest.approx(difference(many, many).error, rel=1e-4)
    seen = adjusted_difference(Joint(9, 0, 0, 0, 0, 0), Joint(9, 0, 0, 0, 0, 0), span=1.0)
    assert seen == difference(Moments(9, 0, 0), Moments(9, 0, 0), span=1.0)


GOOD = Moments(10, 5.0, 5.0)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (Moments(0, 0.0, 0.0), "at least two units"),
        (Moments(1, 1.0, 1.0), "at least two units"),
        (Moments(2.5, 1.0, 1.0), "at least two units"),
        (Moments(10, math.nan, 5.0), "finite"),
        (Moments(10, 5.0, math.inf), "finite"),
        (Moments(10, 5.0, 1.0), "smaller than"),
        (Moments(10, 0.0, -1.0), "smaller than"),
        (Moments(10, 1e200, 1e300), "smaller than"),
    ],
)
def test_impossible_moments_are_refused_on_either_side(bad, words):
    with pytest.raises(ValueError, match=words):
        difference(bad, GOOD)
    with pytest.raises(ValueError, match=words):
        difference(GOOD, bad)


def test_impossible_pairs_of_values_are_refused():
    good = joint([1.0, 2.0, 3.0], [2.0, 2.0, 5.0])
    with pytest.raises(ValueError, match="more than 0"):
        ratio_difference(good, joint([1.0, 2.0], [0.0, 0.0]))
    with pytest.raises(ValueError, match="larger than"):
        ratio_difference(good, good._replace(product=1000.0))
    with pytest.raises(ValueError, match="finite"):
        adjusted_difference(good._replace(product=math.nan), good)
    with pytest.raises(ValueError, match="finite"):
        adjusted_difference(good._replace(other=math.inf), good)


@pytest.mark.parametrize("span", [-1.0, math.nan, math.inf])
def test_an_impossible_span_is_refused(span):
    with pytest.raises(ValueError, match="range"):
        difference(GOOD, GOOD, span=span)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rho(0.0, 100, sided=2), "alpha"),
        (lambda: rho(math.nan, 100, sided=2), "alpha"),
        (lambda: rho(0.5, 100, sided=1), "alpha"),
        (lambda: rho(0.05, 0, sided=1), "positive"),
        (lambda: rho(0.05, math.nan, sided=1), "positive"),
        (lambda: rho(0.05, 100, sided=3), "one side or two"),
        (lambda: width(0, 0.05, 100, sided=1), "positive"),
        (lambda: lower(Effect(math.nan, 1.0, 10), 0.05, 100), "finite"),
        (lambda: upper(Effect(0.0, math.inf, 10), 0.05, 100), "finite"),
        (lambda: interval(Effect(0.0, -1.0, 10), 0.05, 100), "finite"),
        (lambda: e_value(Effect(0.0, 1.0, 10), math.nan, 100, 0.05, greater=True), "null"),
        (lambda: e_value(Effect(0.0, 0.0, 10), 0.0, -1, 0.05, greater=True), "positive"),
    ],
)
def test_arguments_out_of_range_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@settings(max_examples=30)
@given(st.integers(0, 2**32))
def test_the_order_of_groups_does_not_matter(seed):
    source = random.Random(seed)
    days = [moments([source.random() for _ in range(5)]) for _ in range(6)]
    shuffled = source.sample(days, k=6)
    assert pooled(days) == pytest.approx(pooled(shuffled))


@pytest.mark.parametrize(("base", "harm", "span"), [(0.1, 0.0, 0.0), (0.1, 0.02, 0.0), (0.001, 0.005, 1.0)])
def test_the_truth_is_missed_at_any_look_no_more_often_than_alpha(base, harm, span):
    source, runs, looks = np.random.default_rng(20), 300, 24
    n = 500 * np.arange(1, looks + 1)
    arms = [np.cumsum(source.binomial(500, rate, (runs, looks)), axis=1) for rate in (base + harm, base)]
    missed = proved = peeked = 0
    for run in range(runs):
        sums = [[Moments(int(m), float(k), float(k)) for m, k in zip(n, arm[run], strict=True)] for arm in arms]
        effects = [difference(canary, old, span=span) for canary, old in zip(*sums, strict=True)]
        bounds = [interval(effect, 0.05, 6000) for effect in effects]
        missed += any(not low <= harm <= high for low, high in bounds)
        proved += any(upper(effect, 0.05, 6000) < harm for effect in effects)
        peeked += any(abs(effect.estimate - harm) > 1.96 * effect.error for effect in effects)
    assert max(missed, proved) <= binom.ppf(0.999, runs, 0.05)
    # What the same looks do to an ordinary interval.
    assert peeked > 0.1 * runs
