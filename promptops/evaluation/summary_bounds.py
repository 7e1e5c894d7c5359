"""Comparing two means of which only counts and sums were kept."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from promptops.statistics.betting import Interval

if TYPE_CHECKING:
    from collections.abc import Callable

_BISECTIONS = 50


class Sum(NamedTuple):
    """What is left of observations in [0, 1]: how many, and their sum."""

    n: int
    total: float

    @property
    def mean(self) -> float | None:
        """Their mean; None of none."""
        return self.total / self.n if self.n else None


def mean_interval(seen: Sum, alpha: float) -> Interval:
    """Return a (1 - alpha) confidence interval of the mean of [0, 1] variables, valid at every stopping time.

    For X in [0, 1] with mean m, exp(l X) lies below its chord, so that (p/m)^S ((1-p)/(1-m))^(n-S) is a nonnegative
    supermartingale for every p; mixed over a uniform prior of p it is B(S+1, n-S+1) / (m^S (1-m)^(n-S)), and by Ville's
    inequality it ever reaches 1/alpha with probability at most alpha (the sub-Bernoulli mixture of Howard, Ramdas,
    McAuliffe & Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals of Statistics 49(2),
    2021). The order of the observations is not needed.

    Args:
        seen: count and sum.
        alpha: error probability, two-sided.
    """
    n, total = seen
    if not n:
        return Interval(0.0, 1.0)
    mixture = math.lgamma(total + 1) + math.lgamma(n - total + 1) - math.lgamma(n + 2)

    def kept(mean: float) -> bool:
        likelihood = _times_log(total, mean) + _times_log(n - total, 1.0 - mean)
        return mixture - likelihood < -math.log(alpha)

    peak = min(max(total / n, 0.0), 1.0)
    return Interval(_edge(kept, peak, 0.0), _edge(kept, peak, 1.0))


def _times_log(factor: float, value: float) -> float:
    if factor == 0.0:
        return 0.0
    return factor * math.log(value) if value > 0.0 else -math.inf


def _edge(kept: Callable[[float], bool], inside: float, outside: float) -> float:
    """Return the end of the interval between a mean that is kept and an end of [0, 1], on the safe side."""
    if kept(outside):
        return outside
    for _ in range(_BISECTIONS):
        middle = (inside + outside) / 2.0
        if kept(middle):
            inside = middle
        else:
            outside = middle
    return outside


def difference_interval(before: Sum, after: Sum, alpha: float) -> Interval:
    """Return a (1 - alpha) confidence interval of "mean after minus mean before", each side given alpha / 2."""
    old, new = mean_interval(before, alpha / 2.0), mean_interval(after, alpha / 2.0)
    return Interval(new.low - old.high, new.high - old.low)
