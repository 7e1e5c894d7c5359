from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from promptops.statistics import asymptotic
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


@pytest.mark.parametrize(
    ("proxy", "harm", "detected"), [(0.0, 0.0, False), (0.05, 0.0, False), (0.0, 0.04, False), (0.05, 0.04, True)]
)
def test_only_a_better_proxy_with_a_worse_guardrail_is_detected_at_any_look(proxy, harm, detected):
    source, runs, looks = np.random.default_rng(12), 150, 16
    n = 500 * np.arange(1, looks + 1)
    rates = [(0.6 + proxy, 0.6), (0.1 + harm, 0.1), (0.3, 0.3)]
    hits = [[np.cumsum(source.binomial(500, rate, (runs, looks)), axis=1) for rate in pair] for pair in rates]

    def evidence(metric, run, look):
        arms = [asymptotic.Moments(int(n[look]), float(k), float(k)) for k in (arm[run, look] for arm in hits[metric])]
        return asymptotic.e_value(asymptotic.difference(*arms), 0.0, 8000, 0.05, greater=True)

    found = sum(
        any(e_value(evidence(0, run, at), [evidence(1, run, at), evidence(2, run, at)]) >= 20 for at in range(looks))
        for run in range(runs)
    )
    assert found >= 0.95 * runs if detected else found <= binom.ppf(0.999, runs, 0.05)
