"""What missing answers could hide: bounds of an effect when the arms give feedback at different rates.

Manski, "Nonparametric bounds on treatment effects", American Economic Review 80(2), 1990; Lee, "Training, wages, and
sample selection: estimating sharp bounds on treatment effects", Review of Economic Studies 76(3), 2009. These are
bounds of what the sample leaves open, not confidence intervals.
"""

from __future__ import annotations

from typing import NamedTuple

from promptops.statistics.betting import Interval


class Feedback(NamedTuple):
    """Of one arm: opportunities to answer, answers, and positive ones among these."""

    opportunities: int
    answers: int
    positive: int


def worst_case(canary: Feedback, baseline: Feedback) -> Interval:
    """Return the least and the largest difference of positive rates over all opportunities (Manski).

    Nothing is assumed: each missing answer may have been positive or negative.

    Raises:
        ValueError: for impossible counts or no opportunities.
    """
    (low, high), (other_low, other_high) = (_open(arm) for arm in (canary, baseline))
    return Interval(low - other_high, high - other_low)


def trimmed(canary: Feedback, baseline: Feedback) -> Interval:
    """Return the bounds of the difference among those who would answer in either arm (Lee).

    Assumes random assignment and that the release moves answering in one direction only: the arm that answers more
    often has extra answers, and the extremes remove all of one kind first.

    Raises:
        ValueError: for impossible counts, or an arm without answers.
    """
    for arm in (canary, baseline):
        _open(arm)
        if not arm.answers:
            raise ValueError("an arm without answers leaves nothing to compare")
    rates = [arm.answers / arm.opportunities for arm in (canary, baseline)]
    low, high = _trim(canary, min(1.0, rates[1] / rates[0]))
    other_low, other_high = _trim(baseline, min(1.0, rates[0] / rates[1]))
    return Interval(low - other_high, high - other_low)


def _trim(arm: Feedback, kept: float) -> Interval:
    """Return the positive rate of a share of an arm's answers: worst and best."""
    rate = arm.positive / arm.answers
    return Interval(max(0.0, min(1.0, (rate - (1 - kept)) / kept)), min(1.0, rate / kept))


def _open(arm: Feedback) -> Interval:
    if any(isinstance(count, bool) or not isinstance(count, int) for count in arm):
        raise ValueError(f"feedback is counted in whole numbers, not {tuple(arm)}")
    if not 0 <= arm.positive <= arm.answers <= arm.opportunities or not arm.opportunities:
        raise ValueError(f"positive answers, answers and opportunities do not fit together: {tuple(arm)}")
    missing = arm.opportunities - arm.answers
    return Interval(arm.positive / arm.opportunities, (arm.positive + missing) / arm.opportunities)
