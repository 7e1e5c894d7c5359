from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptops.statistics.longterm import DAY, carried, retained, satisfied, slope


@pytest.mark.parametrize(
    ("sessions", "back"),
    [([0], False), ([DAY], False), ([DAY + 1], True), ([2 * DAY], True), ([2 * DAY + 1], False), ([], False)],
)
def test_a_user_is_retained_by_a_session_after_the_day_and_until_its_end(sessions, back):
    t0 = 1000 * DAY + 7
    shifted = [t0 + session for session in sessions]
    assert retained(t0, shifted, watermark=t0 + 2 * DAY, day=1) is back


def test_the_young_are_not_counted():
    assert retained(0, [DAY + 1], watermark=2 * DAY - 1, day=1) is None
    assert retained(0, [DAY + 1], watermark=8 * DAY - 1, day=1, days=7) is None
    assert retained(0, [5 * DAY], watermark=8 * DAY, day=1, days=7) is True
    assert satisfied([(0, 1.0)], exposed=0, watermark=9, window=10) is None
    assert carried([(0, 1.0)], exposed=0, watermark=9, window=10) is None


@given(st.lists(st.floats(-10, 10), min_size=3, max_size=40))
def test_a_slope_is_that_of_least_squares(scores):
    assert slope(scores) == pytest.approx(np.polyfit(range(len(scores)), scores, 1)[0], abs=1e-9)


def test_few_sessions_have_no_slope():
    assert slope([1.0, 0.0]) is None
    assert slope([1.0, 0.0], minimum=2) == -1.0


def test_the_companions_count_only_the_window_in_order_of_time():
    sessions = [(70, 1.0), (5, 0.25), (10, 1.0), (40, 0.5), (99, 0.75), (110, 1.0)]
    options = {"exposed": 10, "watermark": 200, "window": 100}
    assert satisfied(sessions, **options) == 1.0 + 0.5 + 1.0 + 0.75
    assert carried(sessions, **options) == 0.75 - 1.0
    assert satisfied([], **options) == carried([], **options) == 0.0
    assert carried([(10, 1.0)], **options) == 0.0


def test_who_leaves_biases_a_slope_and_not_its_companion():
    # Both arms are alike; whoever is dissatisfied leaves. Slopes look as if sessions got worse.
    source = np.random.default_rng(1)
    slopes, sums = ([], []), ([], [])
    for user in range(4000):
        sessions = []
        for at in range(8):
            sessions.append((at, float(source.random() < 0.6)))
            if not sessions[-1][1] and source.random() < 0.5:
                break
        found = slope([score for _, score in sessions])
        slopes[user % 2].extend([] if found is None else [found])
        sums[user % 2].append(satisfied(sessions, exposed=0, watermark=8, window=8))
    assert max(map(np.mean, slopes)) < -0.05
    error = math.hypot(*(np.std(arm) / math.sqrt(len(arm)) for arm in sums))
    assert abs(np.mean(sums[0]) - np.mean(sums[1])) < 4 * error


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: retained(0, [], watermark=DAY, day=0), "a day or more"),
        (lambda: retained(0, [], watermark=DAY, day=1, days=0), "a day or more"),
        (lambda: slope([1.0, math.nan, 1.0]), "finite"),
        (lambda: slope([1.0], minimum=1), "two sessions"),
        (lambda: satisfied([], exposed=0, watermark=1, window=0), "positive length"),
        (lambda: satisfied([(0, math.inf)], exposed=0, watermark=1, window=1), "finite"),
        (lambda: carried([(0, math.nan)], exposed=0, watermark=1, window=1), "finite"),
    ],
)
def test_arguments_out_of_range_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
