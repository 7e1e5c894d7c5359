from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import CensoredData, ecdf, logrank

from promptops.statistics.evalues import E_VALUE_CAP
from promptops.statistics.survival import Row, e_value, kaplan_meier, log_rank, restricted_mean, table

# Weeks in remission: Freireich et al., Blood 21(6), 1963; False is still in remission.
TREATED = [(6, True)] * 3 + [(7, True), (10, True), (13, True), (16, True), (22, True), (23, True)]
TREATED += [(t, False) for t in (6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35)]
PLACEBO = [(t, True) for t in (1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23)]

users = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=3, max_size=25)


def censored(arm):
    return CensoredData(
        uncensored=[t for t, happened in arm if happened], right=[t for t, happened in arm if not happened]
    )


def canary(rows):
    return [(row.time, row.canary_risk, row.canary_events) for row in rows]


def test_log_rank_of_the_published_trial():
    found = log_rank(table(TREATED, PLACEBO))
    assert found.chi_square == pytest.approx(16.793, abs=5e-4)
    assert found.p_value == pytest.approx(4.169e-5, abs=5e-9)
    assert found.excess == pytest.approx(9 - 19.25, abs=0.01)


@settings(max_examples=60)
@given(users, users)
def test_log_rank_is_that_of_scipy(left, right):
    rows = table(left, right)
    try:
        found = log_rank(rows)
    except ValueError:
        assert all(
            not row.canary_risk
            or not row.baseline_risk
            or row.canary_events + row.baseline_events == row.canary_risk + row.baseline_risk
            for row in rows
        )
        return
    reference = logrank(censored(left), censored(right))
    assert found.chi_square == pytest.approx(reference.statistic**2, rel=1e-9, abs=1e-9)
    assert found.p_value == pytest.approx(reference.pvalue, rel=1e-7)


@settings(max_examples=60)
@given(users)
def test_a_curve_is_that_of_scipy(arm):
    rows = canary(table(arm, arm))
    if not rows:
        return
    reference = ecdf(censored(arm)).sf
    for step in kaplan_meier(rows):
        assert step.survival == pytest.approx(float(reference.evaluate(step.time)), abs=1e-12)


def test_the_published_curve_and_its_errors():
    steps = {step.time: step for step in kaplan_meier(canary(table(TREATED, PLACEBO)))}
    # Klein & Moeschberger, "Survival analysis", 2003, table 4.1A.
    assert steps[6].survival == pytest.approx(0.857, abs=5e-4)
    assert steps[6].error == pytest.approx(0.076, abs=5e-4)
    assert steps[23].survival == pytest.approx(0.448, abs=5e-4)
    assert steps[23].error == pytest.approx(0.135, abs=5e-4)


def test_a_restricted_mean_without_censoring_is_the_mean_of_cut_times():
    times = [1, 2, 2, 5, 9, 9, 14]
    mean, error = restricted_mean(canary(table([(t, True) for t in times], [(t, True) for t in times])), 7.0)
    cut = np.minimum(times, 7.0)
    assert mean == pytest.approx(cut.mean())
    assert error == pytest.approx(cut.std() / math.sqrt(len(times)), rel=1e-9)


def test_a_restricted_mean_of_the_published_trial_is_the_area_under_the_curve_of_scipy():
    curve = ecdf(censored(TREATED)).sf
    grid = (np.arange(200_000) + 0.5) * (23 / 200_000)
    mean, _ = restricted_mean(canary(table(TREATED, PLACEBO)), 23.0)
    assert mean == pytest.approx(float(curve.evaluate(grid).mean()) * 23, abs=1e-3)


@pytest.mark.parametrize("ratio", [0.5, 2.0, 3.0])
def test_the_safe_log_rank_has_mean_one_under_the_null(ratio):
    # Events one by one; under equal hazards the next is the canary's with probability risk / all.
    mean = 0.0
    for order in product((0, 1), repeat=5):
        risk, chance, rows = [4, 3], 1.0, []
        for time, arm in enumerate(order, start=1):
            if not risk[arm]:
                chance = 0.0
                break
            chance *= risk[arm] / sum(risk)
            rows.append(Row(time, risk[0], int(arm == 0), risk[1], int(arm == 1)))
            risk[arm] -= 1
        mean += chance * e_value(rows, hazard_ratio=ratio) if chance else 0.0
    assert mean == pytest.approx(1.0, rel=1e-12)


def test_the_safe_log_rank_finds_the_published_difference():
    rows = table(PLACEBO, TREATED)
    assert e_value(rows, hazard_ratio=3.0) > 1000
    assert e_value(rows, hazard_ratio=1 / 3) < 0.01
    assert e_value([], hazard_ratio=2.0) == 1.0
    many = [Row(t, 10**6, 1, 1, 0) for t in range(5000)]
    assert e_value(many, hazard_ratio=2.0) <= E_VALUE_CAP


def test_users_who_leave_at_a_time_were_at_risk_at_it():
    assert table([(5, True), (5, False), (7, False)], [(6, True)]) == [Row(5, 3, 1, 1, 0), Row(6, 1, 0, 1, 1)]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: table([], PLACEBO), "no users"),
        (lambda: table([(math.nan, True)], PLACEBO), "finite"),
        (lambda: table([(-1, True)], PLACEBO), "finite"),
        (lambda: log_rank([]), "no event"),
        (lambda: log_rank([Row(1, 5, 0, 5, 0)]), "no event"),
        (lambda: log_rank([Row(2, 5, 1, 5, 1), Row(1, 5, 0, 5, 0)]), "ascend"),
        (lambda: log_rank([Row(math.inf, 5, 1, 5, 1)]), "finite"),
        (lambda: log_rank([Row(1, 5, 6, 5, 1)]), "between none and all"),
        (lambda: log_rank([Row(1, 5, 1, 5, 0.5)]), "whole numbers"),
        (lambda: kaplan_meier([]), "no rows"),
        (lambda: restricted_mean([(1, 5, 1)], 2.0), "observed until"),
        (lambda: restricted_mean([(1, 5, 1)], math.inf), "positive finite"),
        (lambda: e_value([], hazard_ratio=1.0), "hazard ratio"),
        (lambda: e_value([], hazard_ratio=math.nan), "hazard ratio"),
    ],
)
def test_arguments_out_of_range_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
