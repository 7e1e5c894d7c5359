"""A sequential test of whether pairs of scores come from one distribution, by betting: for a shadow that keeps running.

Source: Shekhar & Ramdas, "Nonparametric two-sample testing by betting", IEEE Transactions on Information Theory 70(2),
2024 (arXiv 2112.09162): wealth is multiplied by ``1 + b (g(x) - g(y))`` for a payoff g in [0, 1] and a bet b, both
chosen before the pair is seen. The payoffs here are the sides of thresholds, ``g(x) = 1[x > threshold]``, the witnesses
of the Kolmogorov-Smirnov distance (section 4.1 there), mixed over thresholds and signed bets with equal shares, so that
nothing needs to be fitted.

Under the null that swapping a pair's two sides changes nothing (one distribution and independence are enough), each
factor has mean 1: the value is an e-process, exact at every stopping time.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from promptops.statistics.betting import plain_sum
from promptops.statistics.evalues import E_VALUE_CAP

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Stakes on "the first side is above more often" and on the opposite.
BETS = (-0.5, -0.2, -0.05, 0.05, 0.2, 0.5)


class TwoSample:
    """The e-process against "both sides of every pair have the same distribution", one pair at a time.

    Attributes:
        value: the e-value now, at most `E_VALUE_CAP`.
        peak: the largest so far; the null is rejected at level alpha once it is >= 1/alpha.
    """

    def __init__(self, thresholds: Sequence[float]) -> None:
        """Start with wealth 1.

        Args:
            thresholds: at which the two distributions are compared, in the scores' unit; fixed before the first pair,
                such as quantiles of earlier replies of the baseline.

        Raises:
            ValueError: for none, or one that is not finite.
        """
        if not thresholds or not all(map(isfinite, thresholds)):
            raise ValueError("one or more finite thresholds are needed")
        self._thresholds = tuple(sorted(set(thresholds)))
        self._wealth = [1.0 / (len(self._thresholds) * len(BETS))] * (len(self._thresholds) * len(BETS))
        self.value = 1.0
        self.peak = 1.0

    def update(self, left: float, right: float) -> float:
        """Bet on one pair and return the new e-value.

        Raises:
            ValueError: for a score that is not finite; nothing changes then.
        """
        if not (isfinite(left) and isfinite(right)):
            raise ValueError(f"scores are finite numbers, not {left} and {right}")
        at = 0
        for threshold in self._thresholds:
            payoff = int(left > threshold) - int(right > threshold)
            for bet in BETS:
                self._wealth[at] *= 1.0 + bet * payoff
                at += 1
        total = plain_sum(self._wealth)
        if total > E_VALUE_CAP:
            self._wealth = [amount * (E_VALUE_CAP / total) for amount in self._wealth]
            total = float(E_VALUE_CAP)
        self.value = total
        self.peak = max(self.peak, total)
        return total


def e_value(pairs: Iterable[tuple[float, float]], thresholds: Sequence[float]) -> float:
    """Return the largest e-value over all pairs in order; 1 for none.

    Raises:
        ValueError: as `TwoSample`.
    """
    process = TwoSample(thresholds)
    for left, right in pairs:
        process.update(left, right)
    return process.peak
