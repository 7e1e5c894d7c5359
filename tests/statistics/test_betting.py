from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest
from betting import capital, plug_in_bets
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from promptops.statistics.betting import (
    FRACTIONS,
    WEIGHTS,
    Capital,
    lower_bound,
    upper_bound,
)

SERIES = {
    "uniform": [(i * 37 % 101) / 100 for i in range(1, 201)],
    "paired": [1.0 if i % 13 == 0 else 0.0 if i % 29 == 0 else 0.5 for i in range(1, 201)],
    "rare": [1.0 if i % 20 == 0 else 0.0 for i in range(1, 201)],
}
# Of the plug-in bets that production does not use and one test below compares with: their martingale in the authors'
# package confseq (betting_mart, alpha 0.05) at one null and four times.
CONFSEQ_WEALTH = {
    ("uniform", 0.1): [1.175, 47069.592001262514, 2872268889463.8403, 8.291398855446257e17],
    ("uniform", 0.575): [0.6205882352941177, 0.9106348781392779, 6.977957654974617, 60.81982364077572],
    ("paired", 0.45): [0.5277777777777778, 2.250278746025965, 154.72831896112558, 8796.4337575783],
    ("rare", 0.1): [0.5277777777777778, 0.6983623694563339, 2.6578112276373784, 13.429308766587239],
}

unit_floats = st.floats(0, 1, allow_nan=False)


# Share and weight of each bettor as docs/canary.md states them.
BETTORS = [
    (Fraction(3, 100), Fraction(1, 16)),
    (Fraction(1, 10), Fraction(1, 16)),
    (Fraction(3, 10), Fraction(3, 16)),
    (Fraction(6, 10), Fraction(5, 16)),
    (Fraction(8, 10), Fraction(6, 16)),
]


def exact_wealth(xs, null, *, at_least):
    """The wealth after every observation in rational numbers, by the formula in docs/canary.md."""
    wealth, path = [weight for _, weight in BETTORS], []
    for x in xs:
        won = (null - x) / (1 - null) if at_least else (x - null) / null
        wealth = [amount * (1 + share * won) for amount, (share, _) in zip(wealth, BETTORS, strict=True)]
        path.append(sum(wealth))
    return path


def reference_wealth(xs, null, *, at_least):
    """The same in floats, at every time."""
    xs = np.asarray(xs, dtype=float)
    win = (null - xs) / (1 - null) if at_least else (xs - null) / null
    shares, weights = (np.array([float(pair[which]) for pair in BETTORS]) for which in (0, 1))
    with np.errstate(over="ignore"):
        return (np.cumprod(1 + np.outer(win, shares), axis=0) * weights).sum(axis=1)


def hedged_wealth(xs, m, alpha, c):
    bets = np.array(plug_in_bets(xs, alpha))
    xs = np.asarray(xs)
    up = np.cumprod(1 + np.minimum(bets, c / m) * (xs - m))
    down = np.cumprod(1 - np.minimum(bets, c / (1 - m)) * (xs - m))
    return np.maximum(up, down) / 2


def test_starting_capital_is_one_and_no_bettor_can_go_bankrupt():
    assert sum(WEIGHTS) == 1.0
    assert all(0 < share < 1 for share in FRACTIONS)
    # What the references here are computed with is what the documents say and the code does.
    assert list(zip(FRACTIONS, WEIGHTS, strict=True)) == [tuple(map(float, pair)) for pair in BETTORS]


@pytest.mark.parametrize("at_least", [True, False])
@pytest.mark.parametrize("null", [Fraction(1, 10), Fraction(23, 40), Fraction(9, 10)])
@pytest.mark.parametrize("name", SERIES)
def test_wealth_is_that_of_exact_arithmetic_with_the_documented_constants(name, null, at_least):
    xs = [Fraction(x).limit_denominator(1000) for x in SERIES[name]]
    process = Capital(float(null), at_least)
    wealth = [process.update(float(x)) for x in xs]
    expected = [float(value) for value in exact_wealth(xs, null, at_least=at_least)]
    assert wealth == pytest.approx(expected, rel=1e-9)
    assert process.peak == pytest.approx(max(1.0, *expected), rel=1e-9)


def test_one_bet_by_hand():
    # m = 0.575, x = 0.5, "mean at least m": every bettor wins f * 0.075 / 0.425 = f * 3 / 17.
    # Mean share: (0.03 + 0.1 + 3 * 0.3 + 5 * 0.6 + 6 * 0.8) / 16 = 8.83 / 16.
    assert Capital(0.575, at_least=True).update(0.5) == pytest.approx(1 + 8.83 / 16 * 3 / 17, rel=1e-12)
    # "Mean at most m" and x = 1: f * 0.425 / 0.575 = f * 17 / 23.
    assert Capital(0.575, at_least=False).update(1.0) == pytest.approx(1 + 8.83 / 16 * 17 / 23, rel=1e-12)


@pytest.mark.parametrize("name", ["paired", "rare"])
def test_bounds_lie_where_exact_wealth_reaches_twenty(name):
    xs = [Fraction(x).limit_denominator(1000) for x in SERIES[name]]
    step = Fraction(1, 10**6)
    for at_least, bound in ((True, upper_bound), (False, lower_bound)):
        at = Fraction(bound([float(x) for x in xs], 0.05)).limit_denominator(10**7)
        outside, inside = (at + step, at - step) if at_least else (at - step, at + step)
        assert (
            max(exact_wealth(xs, outside, at_least=at_least)) >= 20 > max(exact_wealth(xs, inside, at_least=at_least))
        )


@given(st.lists(unit_floats, min_size=1, max_size=30), st.floats(0.05, 0.95))
def test_the_two_sides_are_mirror_images(xs, null):
    falls = capital(xs, null, at_least=True).value
    rises = capital([1 - x for x in xs], 1 - null, at_least=False).value
    assert falls == pytest.approx(rises, rel=1e-6)


@given(st.floats(0.02, 0.98), st.booleans())
def test_one_fair_step_gains_nothing_on_average(null, at_least):
    ends = capital([1.0], null, at_least=at_least).value * null
    ends += capital([0.0], null, at_least=at_least).value * (1 - null)
    assert ends == pytest.approx(1.0)


@pytest.mark.parametrize("null", [0.0, 1.0, -0.1, float("nan")])
def test_a_null_at_the_edge_is_refused(null):
    with pytest.raises(ValueError, match="strictly between"):
        Capital(null, at_least=True)


@pytest.mark.parametrize("name", SERIES)
def test_bounds_are_those_of_a_grid_search_over_the_running_wealth(name):
    xs = SERIES[name]
    grid = np.linspace(0.0005, 0.9995, 1999)
    kept_below = [m for m in grid if reference_wealth(xs, m, at_least=True).max() < 20]
    kept_above = [m for m in grid if reference_wealth(xs, m, at_least=False).max() < 20]
    assert upper_bound(xs, 0.05) == pytest.approx(max(kept_below), abs=6e-4)
    assert lower_bound(xs, 0.05) == pytest.approx(min(kept_above), abs=6e-4)


@settings(max_examples=60)
@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=60), st.floats(0.1, 0.9))
def test_a_bound_and_the_test_at_that_mean_agree(xs, null):
    rejected = capital(xs, null, at_least=True).peak >= 20
    bound = upper_bound(xs, 0.05)
    if abs(bound - null) > 1e-6:
        assert rejected == (bound < null)


def test_bounds_only_ever_tighten():
    xs = SERIES["uniform"]
    uppers = [upper_bound(xs[:n], 0.05) for n in range(0, 200, 20)]
    lowers = [lower_bound(xs[:n], 0.05) for n in range(0, 200, 20)]
    assert uppers == sorted(uppers, reverse=True)
    assert lowers == sorted(lowers)


def test_nothing_observed_bounds_nothing():
    assert (lower_bound([], 0.05), upper_bound([], 0.05)) == (0.0, 1.0)


@pytest.mark.parametrize(("name", "null"), CONFSEQ_WEALTH)
def test_the_plug_in_bets_compared_with_below_are_those_of_the_authors_package(name, null):
    wealth = hedged_wealth(SERIES[name], null, 0.05, 0.5)
    assert [wealth[t - 1] for t in (1, 20, 100, 200)] == pytest.approx(CONFSEQ_WEALTH[name, null], rel=1e-9)


def rejections(sequences, null, *, at_least):
    return sum(capital(xs, null, at_least=at_least).peak >= 20 for xs in sequences)


def draw(rng, discordance, harm, n):
    """Return n paired differences in {-1, 0, 1}, mapped to [0, 1]."""
    worse, better = (discordance + harm) / 2, (discordance - harm) / 2
    return rng.choices([1.0, 0.0, 0.5], [worse, better, 1 - discordance], k=n)


@pytest.mark.parametrize("discordance", [0.15, 0.25, 0.6])
@pytest.mark.parametrize("at_least", [True, False])
def test_a_harm_at_the_margin_is_rejected_no_more_often_than_alpha(discordance, at_least):
    rng = random.Random(11)
    count = rejections((draw(rng, discordance, 0.15, 300) for _ in range(600)), 0.575, at_least=at_least)
    assert count <= binom.ppf(0.999, 600, 0.05)


def test_level_holds_when_a_finite_suite_is_drawn_in_random_order_without_replacement():
    rng = random.Random(5)
    pool = [1.0] * 15 + [0.0] * 6 + [0.5] * 39  # mean difference 9/60 = 0.15
    orders = (rng.sample(pool, len(pool)) for _ in range(1000))
    assert rejections(orders, 0.575, at_least=True) <= binom.ppf(0.999, 1000, 0.05)


def test_the_mixture_proves_equality_sooner_than_the_hedged_interval():
    rng = random.Random(2)
    samples = [draw(rng, 0.08, 0.0, 60) for _ in range(200)]
    mixture = sum(upper_bound(xs, 0.05) < 0.575 for xs in samples)
    hedged = sum(hedged_wealth(xs, 0.575, 0.05, 0.5).max() >= 20 for xs in samples)
    assert mixture > hedged > 0


@pytest.mark.parametrize(
    ("name", "wealth", "low", "high"),
    [
        ("uniform", "0x1.8ce7fbf0c5cb5p+6", "0x1.c2fcec0000000p-2", "0x1.207f600000000p-1"),
        ("paired", "0x1.b86512baa5f00p+9", "0x1.f6a26c0000000p-2", "0x1.1d95da0000000p-1"),
    ],
)
def test_every_machine_and_python_derives_the_same_bits(name, wealth, low, high):
    xs = SERIES[name]
    assert capital(xs, 0.575, at_least=True).value.hex() == wealth
    assert (lower_bound(xs, 0.05).hex(), upper_bound(xs, 0.05).hex()) == (low, high)
