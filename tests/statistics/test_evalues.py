from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptops.statistics.evalues import E_VALUE_CAP, adjusted_e_values, imbalance_e_value, mean_e_value

e_values = st.lists(st.floats(0, 1e6, allow_nan=False), min_size=1, max_size=6)


def test_mean():
    assert mean_e_value([1.0, 40.0, 0.0, 3.0]) == 11.0
    assert mean_e_value([]) == 1.0


@given(e_values)
def test_adjusted_values_are_those_of_closed_testing_over_every_subset(es):
    for i, adjusted in enumerate(adjusted_e_values(es)):
        others = [e for j, e in enumerate(es) if j != i]
        sets = [[es[i], *rest] for size in range(len(es)) for rest in combinations(others, size)]
        assert adjusted == pytest.approx(min(sum(s) / len(s) for s in sets))


@given(e_values)
def test_no_adjusted_value_exceeds_the_mean(es):
    assert max(adjusted_e_values(es)) <= mean_e_value(es) * (1 + 1e-12)


def test_imbalance_has_mean_one_under_balance():
    from math import comb

    n = 12
    assert sum(imbalance_e_value(k, n - k) * comb(n, k) / 2**n for k in range(n + 1)) == pytest.approx(1.0)


def test_imbalance_grows_with_one_sidedness_and_stays_finite():
    assert imbalance_e_value(0, 0) == 1.0
    assert imbalance_e_value(4, 4) < 1.0 < imbalance_e_value(0, 8)
    assert imbalance_e_value(0, 5000) == E_VALUE_CAP
