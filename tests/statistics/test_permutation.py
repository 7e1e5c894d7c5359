from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.spatial.distance import cdist
from scipy.stats import binom, energy_distance

from promptops.statistics.permutation import energy, floor_ratio, paired

points = arrays.arrays(np.float64, st.integers(1, 20), elements=st.floats(-50, 50))


def test_published_distance():
    assert energy([0, 1, 2, 3], [0, 2, 4, 8]) == pytest.approx(1.25, abs=1e-12)
    assert paired([0, 1, 2, 3], [0, 2, 4, 8], swaps=9).energy.statistic == pytest.approx(1.25, abs=1e-12)


@given(points, points)
def test_in_one_dimension_it_is_the_square_of_that_of_scipy(x, y):
    assert energy(x, y) == pytest.approx(energy_distance(x, y) ** 2, abs=1e-6)


def test_statistics_in_many_dimensions_are_those_of_their_definitions():
    source = np.random.default_rng(2)
    x, y = source.normal(size=(30, 5)), source.normal(0.5, 1, size=(30, 5))
    found = paired(x, y, swaps=19)
    expected = 2 * cdist(x, y).mean() - cdist(x, x).mean() - cdist(y, y).mean()
    assert found.energy.statistic == pytest.approx(expected, rel=1e-9)
    assert energy(x, y) == pytest.approx(expected, rel=1e-9)
    everything = cdist(np.vstack([x, y]), np.vstack([x, y]))
    kernel = np.exp(-(everything**2) / (2 * np.median(everything[np.triu_indices(60, 1)]) ** 2))
    mmd = kernel[:30, :30].mean() + kernel[30:, 30:].mean() - 2 * kernel[:30, 30:].mean()
    assert found.mmd.statistic == pytest.approx(mmd, rel=1e-9)


def test_p_values_under_the_null_are_at_least_as_large_as_uniform_ones():
    source = np.random.default_rng(8)
    runs, found = 400, []
    for seed in range(runs):
        requests = source.normal(0, 3, 15)
        shift = paired(requests + source.normal(size=15), requests + source.normal(size=15), swaps=39, seed=seed)
        found.append((shift.energy.p_value, shift.mmd.p_value))
    for level in (0.05, 0.1, 0.25, 0.5):
        assert (np.array(found) <= level).sum(axis=0).max() <= binom.ppf(0.9995, runs, level)


def test_pairing_sees_what_differences_between_requests_would_hide():
    source = np.random.default_rng(3)
    requests = source.normal(0, 5, (120, 2))
    left, right = (requests + source.normal(shift, 0.5, (120, 2)) for shift in (0.0, 0.4))
    shift = paired(left, right, swaps=199)
    assert shift.energy.p_value == shift.mmd.p_value == 1 / 200


def test_equal_replies_are_no_shift():
    same = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    shift = paired(same, same, swaps=49)
    assert (shift.energy.statistic, shift.energy.p_value) == (pytest.approx(0.0, abs=1e-12), 1.0)
    assert shift.mmd.p_value == 1.0
    assert paired([1.0, 1.0], [1.0, 1.0], swaps=9).mmd == (0.0, 1.0)


@settings(max_examples=30)
@given(st.integers(0, 1000))
def test_the_same_seed_gives_the_same_p_values(seed):
    x, y = [0.0, 1.0, 4.0], [1.0, 1.0, 3.0]
    assert paired(x, y, swaps=19, seed=seed) == paired(x, y, swaps=19, seed=seed)


def test_the_ratio_to_the_resampling_floor():
    source = np.random.default_rng(6)
    requests = source.normal(0, 2, 2000)
    stable, again, same, other = (requests + source.normal(shift, 1, 2000) for shift in (0.0, 0.0, 0.0, 1.0))
    assert floor_ratio(same, stable, again) < 5
    assert floor_ratio(other, stable, again) > 50
    with pytest.raises(ValueError, match="no resampling floor"):
        floor_ratio(other, stable, stable)


@pytest.mark.parametrize(
    ("left", "right", "swaps", "words"),
    [
        ([], [], 9, "shape"),
        ([1.0], [1.0], 9, "two or more pairs"),
        ([1.0, 2.0], [1.0, 2.0, 3.0], 9, "two or more pairs"),
        ([1.0, math.nan], [1.0, 2.0], 9, "finite"),
        ([1.0, 2.0], [1.0, math.inf], 9, "finite"),
        ([[[1.0]]], [[[1.0]]], 9, "shape"),
        ([1.0, 2.0], [1.0, 2.0], 0, "swap"),
    ],
)
def test_arguments_out_of_range_are_refused(left, right, swaps, words):
    with pytest.raises(ValueError, match=words):
        paired(left, right, swaps=swaps)


def test_samples_of_different_dimensions_have_no_distance():
    with pytest.raises(ValueError, match="dimension"):
        energy([[1.0, 2.0]], [[1.0]])
