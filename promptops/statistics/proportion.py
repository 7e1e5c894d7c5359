"""Confidence intervals of shares: counted once after a number of trials fixed before, or watched at every look."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from promptops.statistics.betting import Interval

if TYPE_CHECKING:
    from collections.abc import Callable

# Two-sided 95 %.
_Z = 1.959963984540054


def wilson(hits: int, trials: int) -> Interval:
    """Return Wilson's 95 % interval of a share (E. B. Wilson, JASA 22(158), 1927); [0, 1] for no trials.

    It keeps its coverage near shares of 0 and 1, where hits / trials has no spread of its own to go by.

    Args:
        hits: how many of the trials.
        trials: how many there were.
    """
    if not trials:
        return Interval(0.0, 1.0)
    share, z2 = hits / trials, _Z * _Z
    centre = share + z2 / (2 * trials)
    spread = _Z * math.sqrt(share * (1.0 - share) / trials + z2 / (4.0 * trials * trials))
    scale = 1.0 + z2 / trials
    low = 0.0 if hits == 0 else (centre - spread) / scale
    return Interval(low, 1.0 if hits == trials else (centre + spread) / scale)


def mixture(hits: int, trials: int, *, alpha: float = 0.05, prior: tuple[float, float] = (1.0, 1.0)) -> Interval:
    """Return the confidence sequence of a share at this look: exact at every stopping time.

    The shares p with ``B(a + hits, b + misses) / B(a, b) / (p^hits (1 - p)^misses) < 1 / alpha``: the mixture of
    Robbins ("Statistical methods related to the law of the iterated logarithm", Annals of Mathematical Statistics
    41(5), 1970) over a beta prior; Howard, Ramdas, McAuliffe & Sekhon, "Time-uniform, nonparametric, nonasymptotic
    confidence sequences", Annals of Statistics 49(2), 2021, section 3.3.

    Args:
        hits: how many of the trials; trials are independent with one share.
        trials: how many there were.
        alpha: two-sided error probability over all looks, in (0, 1).
        prior: a and b, above 0; 1 and 1 is the uniform prior.

    Raises:
        ValueError: outside of these ranges; for no trials the interval is [0, 1].
    """
    if any(isinstance(n, bool) or not isinstance(n, int) for n in (hits, trials)) or not 0 <= hits <= trials:
        raise ValueError(f"hits are a whole number between 0 and the trials, not {hits} of {trials}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha lies strictly between 0 and 1, not at {alpha}")
    if not all(math.isfinite(part) and part > 0 for part in prior):
        raise ValueError(f"a beta prior has two finite positive parameters, not {prior}")
    if not trials:
        return Interval(0.0, 1.0)
    misses = trials - hits
    # The log likelihood that a share needs to be kept.
    least = _log_beta(prior[0] + hits, prior[1] + misses) - _log_beta(*prior) + math.log(alpha)
    share = hits / trials
    low = 0.0 if hits == 0 else _edge(share, 0.0, lambda p: _log_likelihood(p, hits, misses) > least)
    high = 1.0 if misses == 0 else _edge(share, 1.0, lambda p: _log_likelihood(p, hits, misses) > least)
    return Interval(low, high)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _log_likelihood(share: float, hits: int, misses: int) -> float:
    if (hits and share <= 0.0) or (misses and share >= 1.0):
        return -math.inf
    return (hits * math.log(share) if hits else 0.0) + (misses * math.log1p(-share) if misses else 0.0)


def _edge(inside: float, outside: float, keeps: Callable[[float], bool]) -> float:
    """Bisect between the likeliest share and an end of the range; the end returned is not kept, to be safe."""
    for _ in range(60):
        middle = (inside + outside) / 2
        if keeps(middle):
            inside = middle
        else:
            outside = middle
    return outside
