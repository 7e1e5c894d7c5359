"""Agreement between raters: Cohen's kappa, Spearman's rank correlation, and bootstrap confidence intervals."""

from __future__ import annotations

import random
from collections import Counter
from math import fsum, sqrt
from typing import TYPE_CHECKING

from promptops.statistics.betting import Interval

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

RESAMPLES = 1000


def kappa(one: Sequence[Hashable], other: Sequence[Hashable]) -> float | None:
    """Return Cohen's kappa of two raters: (p - e) / (1 - e), observed agreement p against that of chance e.

    Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 20(1), 1960.

    Args:
        one: the first rater's labels.
        other: the second rater's labels of the same items.

    Returns:
        A number in [-1, 1]; None where it is not defined, as when both give one and the same label throughout.
    """
    n = len(one)
    if n == 0:
        return None
    seen = sum(a == b for a, b in zip(one, other, strict=True)) / n
    mine, theirs = Counter(one), Counter(other)
    chance = fsum(mine[label] * theirs[label] for label in mine) / (n * n)
    return None if chance >= 1.0 else (seen - chance) / (1.0 - chance)


def weighted_kappa(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Return kappa with quadratic weights: 1 - (mean squared distance) / (that of independent raters).

    Cohen, "Weighted kappa", Psychological Bulletin 70(4), 1968. A disagreement weighs the squared distance of the two
    labels on the scale. That of independent raters is var(a) + var(b) + (mean(a) - mean(b))^2.

    Args:
        one: the first rater's labels as places on the scale.
        other: the second rater's labels of the same items.

    Returns:
        A number in [-1, 1]; None where it is not defined.
    """
    n = len(one)
    if n == 0:
        return None
    seen = fsum((a - b) ** 2 for a, b in zip(one, other, strict=True)) / n
    means = fsum(one) / n, fsum(other) / n
    chance = (
        fsum((a - means[0]) ** 2 for a in one) / n
        + fsum((b - means[1]) ** 2 for b in other) / n
        + (means[0] - means[1]) ** 2
    )
    return None if chance == 0.0 else 1.0 - seen / chance


def ranks(xs: Sequence[float]) -> list[float]:
    """Return the rank of each number from 1 on; equal numbers share the mean of theirs."""
    order = sorted(range(len(xs)), key=xs.__getitem__)
    found = [0.0] * len(xs)
    start = 0
    while start < len(order):
        stop = start
        while stop < len(order) and xs[order[stop]] == xs[order[start]]:
            stop += 1
        for place in order[start:stop]:
            found[place] = (start + 1 + stop) / 2
        start = stop
    return found


def spearman(xs: Sequence[float], ys: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation: Pearson's of the ranks, ties sharing the mean rank.

    Spearman, "The proof and measurement of association between two things", American Journal of Psychology 15, 1904.

    Returns:
        A number in [-1, 1]; None where it is not defined: fewer than two pairs, or one side is constant.
    """
    if len(xs) < 2:
        return None
    left, right = ranks(xs), ranks(ys)
    middle = (len(xs) + 1) / 2
    together = fsum((a - middle) * (b - middle) for a, b in zip(left, right, strict=True))
    spread = fsum((a - middle) ** 2 for a in left) * fsum((b - middle) ** 2 for b in right)
    return None if spread == 0.0 else max(-1.0, min(1.0, together / sqrt(spread)))


def bootstrap(
    statistic: Callable[[Sequence[int]], float | None],
    n: int,
    *,
    seed: int,
    level: float = 0.95,
    resamples: int = RESAMPLES,
) -> Interval:
    """Return the percentile bootstrap interval of a coefficient in [-1, 1].

    Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7(1), 1979. A resample on which the
    coefficient is not defined counts as -1 for the lower bound and as 1 for the upper one, so that few or constant
    data give a wide interval and no false certainty.

    Args:
        statistic: takes indexes of items, with repetitions, and returns the coefficient.
        n: how many items there are; they are drawn as wholes.
        seed: of the random numbers, so that the interval is the same every time.
        level: of confidence.
        resamples: how many.
    """
    if n == 0:
        return Interval(-1.0, 1.0)
    source = random.Random(seed)  # noqa: S311  resampling, no secret
    drawn = [statistic(source.choices(range(n), k=n)) for _ in range(resamples)]
    low = sorted(-1.0 if value is None else value for value in drawn)
    high = sorted(1.0 if value is None else value for value in drawn)
    place = int((1.0 - level) / 2.0 * resamples)
    return Interval(low[place], high[resamples - 1 - place])
