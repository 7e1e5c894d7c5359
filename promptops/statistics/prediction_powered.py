"""Prediction-powered estimates of a mean: few labels by people, many scores by a judge.

The judge's scores of unlabelled items are corrected by how far they were off on the labelled ones, so that the interval
covers the mean of the *labels* however bad the judge is; a good judge only makes it shorter.

Angelopoulos, Bates, Fannjiang, Jordan & Zrnic, "Prediction-powered inference", Science 382 (2023), algorithm 1;
Angelopoulos, Duchi & Zrnic, "PPI++: efficient prediction-powered inference", arXiv 2311.01453 (2023), section 6.
"""

from __future__ import annotations

from math import isfinite, sqrt
from statistics import NormalDist, covariance, fmean, variance
from typing import TYPE_CHECKING, NamedTuple

from promptops.statistics.betting import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence


class Estimate(NamedTuple):
    """An estimated mean.

    Attributes:
        value: the estimate, in units of the labels.
        interval: at the stated level, by the central limit theorem.
        power: weight of the judge's scores; 0 uses the labels alone, 1 is plain prediction-powered inference.
    """

    value: float
    interval: Interval
    power: float


def mean(
    labels: Sequence[float],
    scores: Sequence[float],
    unlabelled: Sequence[float],
    *,
    power: float | None = None,
    alpha: float = 0.05,
) -> Estimate:
    """Return the mean label of the population that both sets are drawn from.

    With the n labels y, scores f of the same items, scores g of N others and the power w, the estimate is
    mean(w g) + mean(y - w f), of variance w^2 var(g) / N + var(y - w f) / n.

    Args:
        labels: by people.
        scores: the judge's, of the same items in the same order.
        unlabelled: the judge's scores of items that nobody labelled.
        power: w; None tunes it for the shortest interval: cov(y, f) / ((1 + n / N) var(f)), var over all scores, kept
            in [0, 1].
        alpha: error probability of the two-sided interval.

    Raises:
        ValueError: fewer than two labels or unlabelled items, another number of scores than of labels, values that are
            not finite, or an alpha outside (0, 1).
    """
    n, many = len(labels), len(unlabelled)
    if n < 2 or many < 2 or len(scores) != n:
        raise ValueError("at least two labels with a score each, and two unlabelled scores are needed")
    _check([*labels, *scores, *unlabelled], alpha)
    weight = _tuned(labels, scores, unlabelled) if power is None else power
    rests = [label - weight * score for label, score in zip(labels, scores, strict=True)]
    value = weight * fmean(unlabelled) + fmean(rests)
    return Estimate(value, _around(value, weight**2 * variance(unlabelled) / many + variance(rests) / n, alpha), weight)


def classical(labels: Sequence[float], *, alpha: float = 0.05) -> Estimate:
    """Return the mean of the labels alone, to see what the judge's scores add.

    Raises:
        ValueError: fewer than two labels, values that are not finite, or an alpha outside (0, 1).
    """
    if len(labels) < 2:
        raise ValueError("at least two labels are needed")
    _check(labels, alpha)
    value = fmean(labels)
    return Estimate(value, _around(value, variance(labels) / len(labels), alpha), 0.0)


def _check(values: Sequence[float], alpha: float) -> None:
    if not all(map(isfinite, values)):
        raise ValueError("labels and scores are finite numbers")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha lies strictly between 0 and 1, not at {alpha}")


def _tuned(labels: Sequence[float], scores: Sequence[float], unlabelled: Sequence[float]) -> float:
    spread = variance([*scores, *unlabelled])
    if spread == 0.0:
        return 0.0
    found = covariance(labels, scores) / ((1.0 + len(labels) / len(unlabelled)) * spread)
    return min(1.0, max(0.0, found))


def _around(value: float, squared: float, alpha: float) -> Interval:
    half = NormalDist().inv_cdf(1.0 - alpha / 2.0) * sqrt(squared)
    return Interval(value - half, value + half)
