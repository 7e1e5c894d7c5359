"""Means of [0, 1] variables by betting: e-processes and confidence sequences valid at every stopping time.

The gate uses a mixture of constant bets ("diversified Kelly" in Waudby-Smith & Ramdas, "Estimating means of bounded
random variables by betting", JRSS-B 86(1), 2024): a bettor j stakes the fixed share f_j of the largest stake that
cannot go bankrupt, and the wealth is the weighted sum over bettors. Against H0: mean >= m one step multiplies bettor
j's wealth by ``1 + f_j (m - x) / (1 - m)``, against H0: mean <= m by ``1 + f_j (x - m) / m``; under the null both are
nonnegative with conditional mean at most 1, so by Ville's inequality the wealth ever reaches 1/alpha with probability
at most alpha, for dependent data too, as long as each observation's conditional mean obeys the null.

Why this and not the paper's plug-in bets: most paired differences are exactly 0, and among such the mixture proves a
harm below the margin sooner. It needs no tuning for other variances, each factor is monotone in m, so that the
confidence set is an interval found by bisection and agrees with the test at every m, and it uses only + - * /, so
that every IEEE 754 machine derives the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from itertools import groupby
from operator import add
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

# Shares of the largest safe stake, and the starting capital behind each. Large shares win when differences are rare,
# small ones keep power for small effects; sums of sixteenths are exact in binary.
FRACTIONS = (0.03, 0.1, 0.3, 0.6, 0.8)
WEIGHTS = (0.0625, 0.0625, 0.1875, 0.3125, 0.375)
_BISECTIONS = 24


def plain_sum(amounts: Iterable[float]) -> float:
    """Add floats from left to right; the built-in compensates rounding errors from Python 3.12 on, not before."""
    return reduce(add, amounts, 0.0)


class Interval(NamedTuple):
    """Lower and upper confidence bound."""

    low: float
    high: float


@dataclass(slots=True)
class Capital:
    """The wealth of a bettor against one null about a mean, updated by one observation at a time.

    Attributes:
        null: the mean m under the null, strictly between 0 and 1.
        at_least: True for H0: mean >= m (small observations win), False for H0: mean <= m (large ones win).
        value: the e-value now.
        peak: the largest e-value so far; H0 is rejected at level alpha once it is >= 1/alpha.
    """

    null: float
    at_least: bool
    value: float = 1.0
    peak: float = 1.0
    _wealth: list[float] = field(default_factory=lambda: list(WEIGHTS))

    def __post_init__(self) -> None:
        if not 0.0 < self.null < 1.0:
            raise ValueError(f"a null mean lies strictly between 0 and 1, not {self.null}")

    def update(self, x: float) -> float:
        """Bet on one observation in [0, 1] and return the new e-value."""
        payoff = _payoff(x, self.null, at_least=self.at_least)
        self._wealth = [wealth * (1.0 + share * payoff) for wealth, share in zip(self._wealth, FRACTIONS, strict=True)]
        self.value = plain_sum(self._wealth)
        self.peak = max(self.peak, self.value)
        return self.value


def _payoff(x: float, null: float, *, at_least: bool) -> float:
    """Return what the largest safe stake wins on ``x``; -1 at worst."""
    return (null - x) / (1.0 - null) if at_least else (x - null) / null


def upper_bound(xs: Iterable[float], alpha: float) -> float:
    """Return the running (1 - alpha) upper confidence bound of the mean: the least m whose "mean >= m" was rejected.

    Args:
        xs: observations in [0, 1], in order of arrival.
        alpha: error probability over the whole sequence, one-sided.
    """
    runs = [(x, sum(1 for _ in group)) for x, group in groupby(xs)]
    return _least_rejected(lambda m: _rejects(runs, m, 1.0 / alpha, at_least=True))


def lower_bound(xs: Iterable[float], alpha: float) -> float:
    """Return the running (1 - alpha) lower confidence bound of the mean: the largest m whose "mean <= m" was rejected.

    Args:
        xs: observations in [0, 1], in order of arrival.
        alpha: error probability over the whole sequence, one-sided.
    """
    runs = [(x, sum(1 for _ in group)) for x, group in groupby(xs)]
    return 1.0 - _least_rejected(lambda m: _rejects(runs, 1.0 - m, 1.0 / alpha, at_least=False))


def _least_rejected(rejects: Callable[[float], bool]) -> float:
    """Bisect [0, 1] for the end of an up-closed rejection region; 1 when nothing is rejected."""
    kept, rejected = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (kept + rejected) / 2.0
        if rejects(middle):
            rejected = middle
        else:
            kept = middle
    return rejected


def _rejects(runs: Sequence[tuple[float, int]], null: float, threshold: float, *, at_least: bool) -> bool:
    """Tell whether the mixture's wealth ever reaches ``threshold``, looking at the ends of runs of equal observations.

    Within a run the wealth is a sum of exponentials, hence convex, hence largest at an end.
    """
    wealth = list(WEIGHTS)
    for x, count in runs:
        payoff = _payoff(x, null, at_least=at_least)
        for j, share in enumerate(FRACTIONS):
            factor = 1.0 + share * payoff
            amount = wealth[j]
            for _ in range(count):
                amount *= factor
            wealth[j] = amount
        if plain_sum(wealth) >= threshold:
            return True
    return False
