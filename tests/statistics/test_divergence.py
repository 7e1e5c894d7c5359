from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptops.statistics.divergence import e_value

e_values = st.floats(0, 1e9, allow_nan=False)


@pytest.mark.parametrize(
    ("proxy", "guardrails", "expected"), [(50.0, [90.0, 0.0, 0.0], 30.0), (5.0, [90.0], 5.0), (0.0, [1e9], 0.0)]
)
def test_it_needs_both_the_proxy_and_the_mean_of_the_guardrails(proxy, guardrails, expected):
    assert e_value(proxy, guardrails) == expected


@given(e_values, st.lists(e_values, min_size=1, max_size=5), st.floats(0, 10))
def test_more_evidence_is_never_less(proxy, guardrails, more):
    assert e_value(proxy, guardrails) <= e_value(proxy + more, [guardrails[0] + more, *guardrails[1:]])


@pytest.mark.parametrize("proxy", [-1.0, math.nan])
def test_what_is_no_e_value_is_refused(proxy):
    with pytest.raises(ValueError, match="e-value"):
        e_value(proxy, [1.0])
    with pytest.raises(ValueError, match="e-value"):
        e_value(1.0, [1.0, proxy])


def test_without_a_guardrail_there_is_no_divergence():
    with pytest.raises(ValueError, match="at least one guardrail"):
        e_value(100.0, [])
