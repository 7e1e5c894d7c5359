"""How many users a rollout needs, and how many days: planning with the bounds that will decide."""

from __future__ import annotations

from math import ceil, isfinite, sqrt
from statistics import NormalDist
from typing import NamedTuple

from promptops.statistics.asymptotic import width


class Plan(NamedTuple):
    """Users of each arm, and whole days until so many have come and matured."""

    users: int
    days: int


def users_per_arm(variance: float, margin: float, *, alpha: float = 0.05) -> int:
    """Return the users of each arm at which the one-sided bound lies one margin from the estimate.

    The bound of `promptops.statistics.asymptotic` aimed at this very number of users: at a true difference of 0 it
    then proves non-inferiority in half of the rollouts, and in most a little later.

    Args:
        variance: of a user's value in either arm, above 0; ``p (1 - p)`` for a rate.
        margin: the difference that must be excluded, above 0.
        alpha: one-sided error probability, in (0, 0.5).

    Raises:
        ValueError: outside of these ranges.
    """
    _check(variance, margin)
    # Aimed at its own n the bound's width in standard errors depends on alpha alone.
    return ceil(2 * variance * (width(1, alpha, 1, sided=1) / margin) ** 2)


def users_for_power(variance: float, margin: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Return the users of each arm for which a single look at them proves non-inferiority with that power.

    As `users_per_arm`, the bound lying one margin and the normal quantile of ``power`` below the true difference 0:
    a lower limit of the power when there are earlier looks.

    Args:
        variance: as in `users_per_arm`.
        margin: as there.
        alpha: as there.
        power: in [0.5, 1).

    Raises:
        ValueError: outside of these ranges.
    """
    _check(variance, margin)
    if not 0.5 <= power < 1:
        raise ValueError(f"power is at least one half and below 1, not {power}")
    reach = width(1, alpha, 1, sided=1) + NormalDist().inv_cdf(power)
    return ceil(2 * variance * (reach / margin) ** 2)


def fixed_users_per_arm(variance: float, margin: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Return the users of each arm for a one-sided z test with one look, to see the price of looking at any time.

    Args:
        variance: as in `users_per_arm`.
        margin: as there.
        alpha: in (0, 0.5).
        power: in [0.5, 1).

    Raises:
        ValueError: outside of these ranges.
    """
    _check(variance, margin)
    if not (0 < alpha < 0.5 <= power < 1):
        raise ValueError(f"alpha lies in (0, 0.5) and power in [0.5, 1), not at {alpha} and {power}")
    normal = NormalDist()
    return ceil(2 * variance * ((normal.inv_cdf(1 - alpha) + normal.inv_cdf(power)) / margin) ** 2)


def detectable(variance: float, users: int, *, alpha: float = 0.05) -> float:
    """Return the margin that so many users of each arm can exclude: the inverse of `users_per_arm`.

    Raises:
        ValueError: for a variance or users that are not positive.
    """
    _check(variance, users)
    return sqrt(2 * variance / users) * width(1, alpha, 1, sided=1)


def days(users: int, per_day: float, *, maturity: float = 0.0) -> Plan:
    """Return the whole days until ``users`` of an arm have come and matured.

    Args:
        users: of each arm.
        per_day: new users of each arm in a day, above 0.
        maturity: days from a user's exposure to the value, 0 or more.

    Raises:
        ValueError: outside of these ranges.
    """
    _check(users, per_day)
    if not (isfinite(maturity) and maturity >= 0):
        raise ValueError(f"maturity is a finite number of days, 0 or more, not {maturity}")
    return Plan(users, ceil(users / per_day + maturity))


def _check(first: float, second: float) -> None:
    if not all(isfinite(number) and number > 0 for number in (first, second)):
        raise ValueError(f"positive finite numbers are needed, not {first} and {second}")
