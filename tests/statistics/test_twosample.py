from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy.stats import binom

from promptops.statistics.evalues import E_VALUE_CAP
from promptops.statistics.twosample import TwoSample, e_value


def test_one_pair_by_hand():
    # One of two thresholds lies between the scores: half of the capital bets, on both sides alike.
    process = TwoSample([0.5, 5.0])
    assert process.update(1.0, 0.0) == pytest.approx(1.0)
    # The second time the winners have more to stake: half of 1 + the mean square of the bets.
    assert process.update(1.0, 0.0) == pytest.approx(1 + (0.25 + 0.04 + 0.0025) / 3 / 2)


def test_the_mean_over_all_swaps_is_one_at_every_time():
    pairs = [(0.0, 1.0), (2.0, 0.5), (0.3, 0.3), (1.5, 0.1), (0.2, 3.0)]
    ends = []
    for swaps in product((False, True), repeat=len(pairs)):
        process = TwoSample([0.4, 1.2])
        for (left, right), swap in zip(pairs, swaps, strict=True):
            process.update(*((right, left) if swap else (left, right)))
        ends.append(process.value)
    assert sum(ends) / len(ends) == pytest.approx(1.0, rel=1e-12)
    assert max(ends) > 1.2


def test_level_and_power():
    source = np.random.default_rng(4)
    rejected = {0.0: 0, 1.0: 0}
    for shift in rejected:
        for _ in range(200):
            pairs = zip(source.normal(size=150), source.normal(shift, 1, 150), strict=True)
            rejected[shift] += e_value(pairs, [-1.0, 0.0, 1.0]) >= 20
    assert rejected[0.0] <= binom.ppf(0.999, 200, 0.05)
    assert rejected[1.0] >= 190


def test_it_is_capped_and_starts_at_one():
    assert e_value([], [0.0]) == 1.0
    assert e_value([(1.0, 0.0)] * 2000, [0.5]) == pytest.approx(E_VALUE_CAP)


@pytest.mark.parametrize("thresholds", [[], [math.nan], [0.0, math.inf]])
def test_bad_thresholds_are_refused(thresholds):
    with pytest.raises(ValueError, match="threshold"):
        TwoSample(thresholds)


def test_a_bad_score_is_refused_and_changes_nothing():
    process = TwoSample([0.5])
    process.update(1.0, 0.0)
    before = process.value
    for pair in ((math.nan, 0.0), (0.0, math.inf)):
        with pytest.raises(ValueError, match="finite"):
            process.update(*pair)
    assert process.value == before
