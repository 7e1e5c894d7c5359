from __future__ import annotations

import random

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from promptops.statistics import agreement

LABELS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)
FLOATS = st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=2, max_size=60)


def by_matrix(pairs, weights):
    """Kappa from the confusion matrix: 1 - sum(w * seen) / sum(w * expected), weights for disagreement."""
    size = 1 + max(max(pair) for pair in pairs)
    seen = np.zeros((size, size))
    for a, b in pairs:
        seen[a, b] += 1 / len(pairs)
    expected = np.outer(seen.sum(axis=1), seen.sum(axis=0))
    i, j = np.indices((size, size))
    cost = (i != j).astype(float) if weights == "none" else (i - j) ** 2.0
    below = (cost * expected).sum()
    return None if below < 1e-15 else 1 - (cost * seen).sum() / below


@given(LABELS)
def test_kappa_is_that_of_the_confusion_matrix(pairs):
    one, other = zip(*pairs, strict=True)
    for found, reference in (
        (agreement.kappa(one, other), by_matrix(pairs, "none")),
        (agreement.weighted_kappa(one, other), by_matrix(pairs, "quadratic")),
    ):
        assert (found is None) == (reference is None)
        assert found is None or found == pytest.approx(reference, abs=1e-9)


def test_kappa_of_a_worked_example():
    # 20 both yes, 15 both no, 5 and 10 apart: 35 of 50 agree, 25 by chance.
    pairs = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15
    assert agreement.kappa(*zip(*pairs, strict=True)) == pytest.approx(0.4)


@given(FLOATS)
def test_spearman_is_scipys(pairs):
    xs, ys = zip(*pairs, strict=True)
    found = agreement.spearman(xs, ys)
    if len(set(xs)) == 1 or len(set(ys)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(scipy.stats.spearmanr(xs, ys).statistic, abs=1e-9)
    assert agreement.ranks(xs) == list(scipy.stats.rankdata(xs))


def test_nothing_to_compare_is_not_defined():
    assert agreement.kappa([], []) is agreement.weighted_kappa([], []) is agreement.spearman([1], [1]) is None
    assert agreement.kappa(["a", "a"], ["a", "a"]) is None
    assert agreement.bootstrap(lambda _: 0.5, 0, seed=1) == (-1.0, 1.0)


def test_bootstrap_covers_the_truth_at_its_level():
    # Normal pairs of correlation r have Spearman's rho of 6/pi asin(r/2).
    source, r = random.Random(7), 0.6
    truth = 6 / np.pi * np.arcsin(r / 2)
    hits = 0
    for run in range(150):
        xs = [source.gauss(0, 1) for _ in range(60)]
        ys = [r * x + (1 - r * r) ** 0.5 * source.gauss(0, 1) for x in xs]

        def on(places, xs=xs, ys=ys):
            return agreement.spearman([xs[place] for place in places], [ys[place] for place in places])

        low, high = agreement.bootstrap(on, 60, seed=run, resamples=200)
        hits += low <= truth <= high
    assert 0.88 <= hits / 150 <= 0.99


def test_bootstrap_depends_on_the_seed_only():
    def on(places):
        return agreement.kappa([place % 3 for place in places], [place % 4 for place in places])

    first = agreement.bootstrap(on, 40, seed=1)
    assert first == agreement.bootstrap(on, 40, seed=1) != agreement.bootstrap(on, 40, seed=2)
    assert first.low < on(range(40)) < first.high


def test_a_constant_rater_gives_no_certainty():
    def on(places):
        return agreement.kappa(["a"] * len(places), ["a"] * len(places))

    assert agreement.bootstrap(on, 30, seed=1) == (-1.0, 1.0)
