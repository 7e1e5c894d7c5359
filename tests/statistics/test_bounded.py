from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from promptops.statistics.bounded import e_value, empirical_bernstein, hedged
from promptops.statistics.evalues import E_VALUE_CAP

SERIES = {
    "uniform": [(i * 37 % 101) / 100 for i in range(1, 201)],
    "paired": [1.0 if i % 13 == 0 else 0.0 if i % 29 == 0 else 0.5 for i in range(1, 201)],
    "rare": [1.0 if i % 20 == 0 else 0.0 for i in range(1, 201)],
}
# The authors' package confseq, alpha 0.05: hedged_cs on a grid of 20,000 means without running intersection, and
# predmix_lower_cs of both sides with the paper's shrunk means.
GRID = {"uniform": (0.44015, 0.5649), "paired": (0.4881, 0.55815), "rare": (0.0108, 0.1039)}
BERNSTEIN = {
    "uniform": (0.42997899037732934, 0.5733795337287272),
    "paired": (0.47550541690105463, 0.5694945830989453),
    "rare": (0.0, 0.10670379896547866),
}

scores = st.lists(st.floats(0, 1, allow_nan=False), min_size=1, max_size=40)


@pytest.mark.parametrize("name", SERIES)
def test_the_hedged_interval_is_that_of_the_authors_package(name):
    assert hedged(SERIES[name], 0.05) == pytest.approx(GRID[name], abs=1 / 20_000)


@pytest.mark.parametrize("name", SERIES)
def test_the_bernstein_interval_is_that_of_the_authors_package(name):
    assert empirical_bernstein(SERIES[name], 0.05) == pytest.approx(BERNSTEIN[name], abs=1e-12)


def test_the_capital_is_that_of_the_authors_package():
    # betting_mart of confseq after 200 observations.
    assert e_value(SERIES["uniform"], 0.575) == pytest.approx(60.81982364077572, rel=1e-9)
    assert e_value(SERIES["rare"], 0.1) == pytest.approx(13.429308766587239, rel=1e-9)


@settings(max_examples=40)
@given(scores)
def test_the_interval_and_the_capital_agree(xs):
    found = hedged(xs, 0.05)
    for m in (0.1, 0.3, 0.5, 0.8):
        if min(abs(m - found.low), abs(m - found.high)) > 1e-9:
            assert (found.low < m < found.high) == (e_value(xs, m, 0.05) < 20)


@given(scores)
def test_intervals_are_mirror_images(xs):
    for interval in (hedged, empirical_bernstein):
        found, turned = interval(xs), interval([1 - x for x in xs])
        assert (found.low, found.high) == pytest.approx((1 - turned.high, 1 - turned.low), abs=1e-6)
        assert 0 <= found.low <= found.high <= 1


@pytest.mark.parametrize("null", [0.2, 0.5])
def test_the_mean_capital_over_all_series_of_coin_tosses_is_at_most_one(null):
    n = 9
    mean = sum(
        e_value(tosses, null) * binom.pmf(sum(tosses), n, null) / math.comb(n, int(sum(tosses)))
        for tosses in product((0.0, 1.0), repeat=n)
    )
    # The greater half of two capitals that each have mean 1/2.
    assert 0.5 <= mean <= 1.0


def test_the_true_mean_is_missed_at_any_look_no_more_often_than_alpha():
    source = np.random.default_rng(9)
    looks = (5, 20, 60, 150)
    for draw, mean in ((lambda: source.beta(1, 3, 150), 0.25), (lambda: source.random(150) < 0.1, 0.1)):
        missed = {hedged: 0, empirical_bernstein: 0}
        for _ in range(150):
            xs = [float(x) for x in draw()]
            for interval in missed:
                bounds = [interval(xs[:n], 0.1) for n in looks]
                missed[interval] += any(not low <= mean <= high for low, high in bounds)
        assert max(missed.values()) <= binom.ppf(0.999, 150, 0.1)


def test_capital_is_capped():
    assert e_value([1.0] * 3000, 0.1) == pytest.approx(E_VALUE_CAP)


@pytest.mark.parametrize(
    ("xs", "alpha", "words"),
    [
        ([], 0.05, "no observations"),
        ([0.5, 1.1], 0.05, "between 0 and 1"),
        ([-0.1], 0.05, "between 0 and 1"),
        ([math.nan], 0.05, "between 0 and 1"),
        ([math.inf], 0.05, "between 0 and 1"),
        ([0.5], 0.0, "alpha"),
        ([0.5], math.nan, "alpha"),
    ],
)
def test_arguments_out_of_range_are_refused(xs, alpha, words):
    for call in (hedged, empirical_bernstein, lambda xs, alpha: e_value(xs, 0.5, alpha)):
        with pytest.raises(ValueError, match=words):
            call(xs, alpha)
    with pytest.raises(ValueError, match="null"):
        e_value([0.5], 1.0)
