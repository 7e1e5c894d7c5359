"""A confidence interval for the mean of scores in [0, 1] that come in clusters, as several replies to one case.

Replies to one case are not independent of each other, so the unit is the case: the mean is a ratio of sums over cases,
and its standard error the linearised one with cases as clusters (Cochran, "Sampling Techniques", 3rd ed. 1977,
6.3). The interval is Wilson's score interval for the number of independent replies that would have this standard error
and with Student's quantile in place of the normal one (after Korn & Graubard, "Confidence intervals for proportions
with small expected number of positive counts", Survey Methodology 24, 1998), so that it stays within [0, 1] and never
shrinks to a point. Where all cases have the same mean v, it is ``[v - v q, v + (1 - v) q]`` with
``q = 1 - (alpha / 2)^(1 / n)``: were more than a share q of cases different, n equal ones would be seen with a
probability below alpha / 2.
"""

from __future__ import annotations

from math import cos, pi, sin, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

ALPHA = 0.05
_SAME = 1e-18


class Estimate(NamedTuple):
    """A mean with its confidence interval.

    Attributes:
        mean: over all scores.
        low: lower bound.
        high: upper bound.
        clusters: how many cases the scores come from.
        n: how many scores.
    """

    mean: float
    low: float
    high: float
    clusters: int
    n: int


def estimate(clusters: Iterable[tuple[float, int]], *, alpha: float = ALPHA) -> Estimate | None:
    """Return mean and two-sided (1 - alpha) interval, None without any score.

    Args:
        clusters: of each case, the sum of its scores in [0, 1] and their number; those without scores say nothing.
        alpha: probability that the interval misses the mean.
    """
    found = [(total, count) for total, count in clusters if count]
    size, n = len(found), sum(count for _, count in found)
    if not n:
        return None
    mean = min(1.0, max(0.0, sum(total for total, _ in found) / n))
    if size == 1:
        return Estimate(mean, 0.0, 1.0, size, n)
    squares = sum((total - mean * count) ** 2 for total, count in found)
    variance = size / (size - 1) * squares / n**2
    if variance < _SAME or not 0.0 < mean < 1.0:
        share = 1.0 - (alpha / 2) ** (1 / size)
        return Estimate(mean, mean - mean * share, mean + (1.0 - mean) * share, size, n)
    t = quantile(1.0 - alpha / 2, size - 1)
    independent = mean * (1.0 - mean) / variance
    weight = t * t / independent
    centre = (mean + weight / 2) / (1.0 + weight)
    half = t / (1.0 + weight) * sqrt(mean * (1.0 - mean) / independent + weight / (4 * independent))
    return Estimate(mean, max(0.0, centre - half), min(1.0, centre + half), size, n)


def difference(clusters: Iterable[tuple[float, int]], *, alpha: float = ALPHA) -> Estimate | None:
    """Return mean and interval of differences in [-1, 1], as `estimate` of what is halfway to 1.

    Args:
        clusters: of each case, the sum of its differences and their number.
        alpha: probability that the interval misses the mean.
    """
    found = estimate((((total + count) / 2, count) for total, count in clusters), alpha=alpha)
    if found is None:
        return None
    return Estimate(2 * found.mean - 1, 2 * found.low - 1, 2 * found.high - 1, found.clusters, found.n)


def quantile(p: float, freedom: int) -> float:
    """Return Student's quantile for ``0.5 < p < 1``.

    Exact for one and two degrees of freedom, else the expansion 26.7.5 of Abramowitz & Stegun, "Handbook of
    Mathematical Functions" (1964), off by less than 1 % for p up to 0.975.
    """
    if freedom == 1:
        angle = pi * (p - 0.5)
        return sin(angle) / cos(angle)
    if freedom == 2:
        return (2 * p - 1) * sqrt(2 / (4 * p * (1 - p)))
    z = NormalDist().inv_cdf(p)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return float(sum(term / freedom**power for power, term in enumerate(terms)))
