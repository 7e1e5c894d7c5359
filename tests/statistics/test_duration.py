from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from promptops.statistics.asymptotic import Moments, difference, upper
from promptops.statistics.duration import days, detectable, fixed_users_per_arm, users_for_power, users_per_arm

# Users of each arm by rate for margins of 0.5, 1, 2 and 3 percentage points at alpha 0.05.
USERS = {
    0.02: (12_111, 3_028, 757, 337),
    0.1: (55_609, 13_903, 3_476, 1_545),
    0.3: (129_753, 32_439, 8_110, 3_605),
    0.6: (148_289, 37_073, 9_269, 4_120),
}


@pytest.mark.parametrize("rate", USERS)
def test_users_of_common_rates_and_margins(rate):
    assert tuple(users_per_arm(rate * (1 - rate), m) for m in (0.005, 0.01, 0.02, 0.03)) == USERS[rate]


@pytest.mark.parametrize(("rate", "margin", "users"), [(0.02, 0.005, 9_694), (0.1, 0.01, 11_128), (0.6, 0.01, 29_676)])
def test_users_of_one_look(rate, margin, users):
    # Rounded in the published table, rounded up here.
    assert fixed_users_per_arm(rate * (1 - rate), margin) - users in {0, 1}
    exact = 2 * rate * (1 - rate) * ((norm.ppf(0.95) + norm.ppf(0.8)) / margin) ** 2
    assert fixed_users_per_arm(rate * (1 - rate), margin) == math.ceil(exact)


@given(st.floats(0.01, 0.25), st.floats(0.005, 0.05), st.sampled_from([0.01, 0.05, 0.2]))
def test_the_bound_that_decides_reaches_the_margin_there(variance, margin, alpha):
    n = users_per_arm(variance, margin, alpha=alpha)
    for users, proved in ((n + 1, True), (max(2, n - 2), False)):
        # n units with this sample variance and mean 0.
        arm = Moments(users, 0.0, variance * (users - 1))
        assert (upper(difference(arm, arm), alpha, 2 * n) <= margin) is proved
    assert detectable(variance, n, alpha=alpha) <= margin < detectable(variance, n - 1, alpha=alpha) * (1 + 1e-9)


def test_more_power_costs_more_and_half_is_free():
    assert users_for_power(0.09, 0.02, power=0.5) == users_per_arm(0.09, 0.02)
    assert users_per_arm(0.09, 0.02) < users_for_power(0.09, 0.02, power=0.8) < users_for_power(0.09, 0.02, power=0.9)


def test_days_count_whole_days_and_maturity():
    assert days(3_476, 1_000) == (3_476, 4)
    assert days(3_000, 1_000, maturity=7) == (3_000, 10)
    assert days(3_000, 1_000, maturity=0.5) == (3_000, 4)


@pytest.mark.parametrize(
    "call",
    [
        lambda: users_per_arm(0.0, 0.1),
        lambda: users_per_arm(math.nan, 0.1),
        lambda: users_per_arm(0.1, 0.0),
        lambda: users_per_arm(0.1, 0.1, alpha=0.5),
        lambda: users_for_power(0.1, 0.1, power=1.0),
        lambda: users_for_power(0.1, 0.1, power=math.nan),
        lambda: fixed_users_per_arm(0.1, 0.1, alpha=0.0),
        lambda: fixed_users_per_arm(0.1, 0.1, power=0.4),
        lambda: detectable(0.1, 0),
        lambda: days(0, 10),
        lambda: days(10, 0.0),
        lambda: days(10, 10, maturity=-1),
        lambda: days(10, 10, maturity=math.inf),
    ],
)
def test_arguments_out_of_range_are_refused(call):
    with pytest.raises(ValueError, match=r"positive|alpha|power|maturity"):
        call()
