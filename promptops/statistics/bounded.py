"""Means of bounded observations, exactly, by the bets of the literature: the hedged betting interval and PrPl-EB.

Source: Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting", JRSS-B 86(1), 2024 (arXiv
2010.09686): predictable plug-in bets, hedged capital, predictable plug-in empirical Bernstein. Both hold at every
stopping time, for observations in [0, 1] whose conditional mean given the earlier ones is always the same.

Two arms: pair their units in order of arrival and use ``(canary - baseline + 1) / 2``, whose mean is 1/2 without an
effect. The gate of canaries bets otherwise (`promptops.statistics.betting` says why).
"""

from __future__ import annotations

from math import exp, isfinite, log, log1p, sqrt
from typing import TYPE_CHECKING

from promptops.statistics.betting import Interval
from promptops.statistics.evalues import E_VALUE_CAP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

# Share of the largest safe stake, c in the paper.
TRUNCATION = 0.5
_BISECTIONS = 40


def e_value(xs: Iterable[float], null: float, alpha: float = 0.05) -> float:
    """Return the hedged capital against "the mean is ``null``" after all observations, at most `E_VALUE_CAP`.

    Half of the capital bets on a larger mean, half on a smaller one; the value is the greater half.

    Args:
        xs: observations in [0, 1], in order of arrival; at least one.
        null: in (0, 1).
        alpha: the level that the bets are tuned for, in (0, 1); valid for other levels too.

    Raises:
        ValueError: outside of these ranges.
    """
    if not 0 < null < 1:
        raise ValueError(f"a null mean lies strictly between 0 and 1, not at {null}")
    values = _checked(xs, alpha)
    bets = _bets(values, alpha)
    best = max(_log_capital(values, bets, null, up=up) for up in (True, False))
    return exp(min(best - log(2), log(E_VALUE_CAP)))


def hedged(xs: Iterable[float], alpha: float = 0.05) -> Interval:
    """Return the means whose hedged capital is below 1/alpha after all observations.

    The capital falls in the null on one side and rises on the other, so that the ends are found by bisection.

    Args:
        xs: observations in [0, 1], in order of arrival; at least one.
        alpha: two-sided error probability over all looks, in (0, 1).

    Raises:
        ValueError: outside of these ranges.
    """
    values = _checked(xs, alpha)
    bets = _bets(values, alpha)
    level = log(2 / alpha)
    low = _edge(lambda m: _log_capital(values, bets, m, up=True) >= level)
    high = 1 - _edge(lambda m: _log_capital(values, bets, 1 - m, up=False) >= level)
    return Interval(low, high)


def empirical_bernstein(xs: Iterable[float], alpha: float = 0.05) -> Interval:
    """Return the predictable plug-in empirical Bernstein interval (PrPl-EB) after all observations, within [0, 1].

    ``sum(l x) / sum(l) +- (log(2 / alpha) + sum(v psi(l))) / sum(l)`` with the bets l of at most 1/2, the squared
    distance v of each observation from the mean estimated before it and ``psi(l) = -log(1 - l) - l``. A closed form,
    wider than `hedged`.

    Args:
        xs: as in `hedged`.
        alpha: as in `hedged`.

    Raises:
        ValueError: as `hedged`.
    """
    values = _checked(xs, alpha)
    weight, weighted, cost, total = 0.0, 0.0, log(2 / alpha), 0.5
    for t, (x, bet) in enumerate(zip(values, _bets(values, alpha), strict=True), start=1):
        stake = min(bet, TRUNCATION)
        cost += (x - total / t) ** 2 * (-log1p(-stake) - stake)
        weight += stake
        weighted += stake * x
        total += x
    return Interval(max(0.0, (weighted - cost) / weight), min(1.0, (weighted + cost) / weight))


def _checked(xs: Iterable[float], alpha: float) -> list[float]:
    if not 0 < alpha < 1:
        raise ValueError(f"alpha lies strictly between 0 and 1, not at {alpha}")
    values = list(xs)
    if not values:
        raise ValueError("there are no observations")
    if not all(isfinite(x) and 0 <= x <= 1 for x in values):
        raise ValueError("observations are finite numbers between 0 and 1")
    return values


def _bets(xs: Sequence[float], alpha: float) -> list[float]:
    """Return the bet on each observation from those before it, not truncated."""
    bets = []
    total, squares = 0.5, 0.25
    for t, x in enumerate(xs, start=1):
        # squares / t is the variance estimated before this observation.
        bets.append(sqrt(2 * log(2 / alpha) / (squares * log1p(t))))
        total += x
        squares += (x - total / (t + 1)) ** 2
    return bets


def _log_capital(xs: Sequence[float], bets: Sequence[float], null: float, *, up: bool) -> float:
    """Return the logarithm of what 1 became by betting on a mean above (``up``) or below ``null``."""
    limit = TRUNCATION / (null if up else 1 - null)
    sign = 1 if up else -1
    return sum(log1p(sign * min(bet, limit) * (x - null)) for x, bet in zip(xs, bets, strict=True))


def _edge(rejects: Callable[[float], bool]) -> float:
    """Return the largest rejected mean in (0, 1) of a rejection region that reaches from 0 up; 0 for none."""
    rejected, kept = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (rejected + kept) / 2
        if rejects(middle):
            rejected = middle
        else:
            kept = middle
    return rejected
