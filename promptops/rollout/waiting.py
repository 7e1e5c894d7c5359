"""When what is missing should be there, from the units per day so far."""

from __future__ import annotations

from math import ceil, sqrt
from typing import TYPE_CHECKING

from promptops.rollout.plan import DAY
from promptops.statistics import asymptotic

if TYPE_CHECKING:
    from promptops.rollout.effects import Measured
    from promptops.rollout.plan import Measure, Plan
    from promptops.telemetry.evidence import Evidence

# Beyond this nobody waits.
_LONGEST = 10 * 365 * DAY
_MOST_UNITS = 10**10


def units(plan: Plan, evidence: Evidence | None, measure: Measure, more: float, *, stage: int, now: int) -> int | None:
    """Return when so many more units of each arm should have matured, seconds since 1970.

    Args:
        plan: the plan.
        evidence: what there is so far.
        measure: the metric.
        more: how many units each arm needs.
        stage: the stage, whose weights say how fast units come.
        now: seconds since 1970.

    Returns:
        None where nothing is known of the units per day, or it would take ten years.
    """
    rate = _per_day(plan, evidence, measure, stage)
    if not rate:
        return None
    # A unit counts when its day is over.
    wait = int((more / rate + 1) * DAY)
    return now + wait if wait < _LONGEST else None


def _per_day(plan: Plan, evidence: Evidence | None, measure: Measure, stage: int) -> float:
    """Return the units of the smaller arm that a day brings at the weights of a stage."""
    series = None if evidence is None else evidence.metrics.get(measure.name)
    days: dict[tuple[int, int], int] = {}
    for row in () if series is None else series.days:
        days[row.day, row.stage] = min(days.get((row.day, row.stage), row.n), row.n)
    # What a day brought in another stage is scaled by the weights.
    weights = {
        each: min(plan.weights(each).values()) for each in {stage, *(each for _, each in days)} if each <= plan.last
    }
    rates = [n * weights[stage] / weights[each] for (_, each), n in days.items() if weights.get(each)]
    own = [n for (_, each), n in days.items() if each == stage]
    chosen = own or rates
    return sum(chosen) / len(chosen) if chosen else 0.0


def units_to_proof(plan: Plan, measure: Measure, found: Measured, limit: float) -> float | None:
    """Return how many more units of each arm prove the metric, if the estimate stays; None where it never will."""
    effect = found.effect
    if effect is None or not effect.error:
        return None
    room = limit - measure.worsening(effect.estimate)
    if room <= 0:
        return None
    low, high = float(effect.n), float(_MOST_UNITS)
    if _half_width(plan, effect, high) >= room:
        return None
    while high - low > max(1.0, low / 1000):
        middle = (low + high) / 2
        low, high = (low, middle) if _half_width(plan, effect, middle) < room else (middle, high)
    return ceil((high - effect.n) / 2)


def _half_width(plan: Plan, effect: asymptotic.Effect, n: float) -> float:
    """Return the distance of the one-sided bound from the estimate after ``n`` units."""
    width = asymptotic.width(n, plan.alpha.advance, plan.target_units, sided=1)
    return width * effect.error * sqrt(effect.n / n)
