"""How often a plan holds a release that changes nothing, quickly: for checks, which must not take seconds.

The same bounds as the rules', on normal increments day by day, without harm, evidence or binomial numbers. Where it
says about a half, `promptops rollout simulate` knows better.
"""

from __future__ import annotations

import random
from math import sqrt
from typing import TYPE_CHECKING

from promptops.rollout.plan import DAY
from promptops.runtime import assignment
from promptops.statistics import asymptotic

if TYPE_CHECKING:
    from promptops.rollout.plan import Measure, Plan

_RUNS = 100
_FEW = 12
_MOST_DAYS = 366


def share_held(plan: Plan) -> float | None:
    """Return the share of releases without any change that are not with everybody when the plan expires.

    Returns:
        None where the plan does not say what it takes: new units per day, and a rate or a deviation of each metric that
        has to be proved no worse. A success that has to get better is left out.
    """
    proved = [each for each in plan.measures if each.decides and each.role in {"guardrail", "success", "quality"}]
    proved = [each for each in proved if each.margin is not None or each.role == "guardrail"]
    if plan.units_per_day is None or not proved or any(_variance(each) is None for each in proved):
        return None
    draw = random.Random(1)  # noqa: S311  no secret
    days = min(plan.expires // DAY, _MOST_DAYS)
    held = 0
    for run in range(1, _RUNS + 1):
        held += not _promoted(plan, proved, days, draw)
        # Most plans hold nearly nothing, or nearly everything; a check of hundreds of them shall not take long.
        if run == _FEW and not 2 <= held <= _FEW - 2:
            return held / run
    return held / _RUNS


def _variance(measure: Measure) -> float | None:
    """Return the variance between units, or None where the plan does not say."""
    if measure.deviation is not None:
        return measure.deviation**2
    rate = measure.baseline
    return None if rate is None or not 0 < rate < 1 else rate * (1 - rate)


def _promoted(plan: Plan, proved: list[Measure], days: int, draw: random.Random) -> bool:
    stage, since = 0, 0
    arrived: list[float] = []
    # Information so far (units of the smaller arm) and the sum of the differences, by metric.
    units = dict.fromkeys((each.name for each in proved), 0.0)
    sums = dict(units)
    for day in range(1, days + 1):
        smaller = min(plan.weights(stage).values()) / assignment.SLOTS
        arrived.append((plan.units_per_day or 0.0) * smaller)
        for measure in proved:
            wait = max(-(-measure.metric.matures_ms // (1000 * DAY)) - 1, 0)
            if len(arrived) > wait:
                grown = arrived[-1 - wait]
                units[measure.name] += grown
                sums[measure.name] += draw.gauss(0.0, sqrt(2 * (_variance(measure) or 0.0) * grown))
        over = (day - since) * DAY >= plan.stages[stage].dwell
        if over and all(_is_proved(plan, each, stage, units[each.name], sums[each.name]) for each in proved):
            stage, since = stage + 1, day
            if stage == plan.last:
                return True
    return False


def _is_proved(plan: Plan, measure: Measure, stage: int, units: float, total: float) -> bool:
    margin = plan.margin(measure, stage)
    if margin is None or (measure.role != "guardrail" and stage + 1 < plan.last):
        return True
    if units < max(plan.stages[stage].minimum_units, plan.burn_in):
        return False
    error = sqrt(2 * (_variance(measure) or 0.0) / units)
    return total / units + asymptotic.width(2 * units, plan.alpha.advance, plan.target_units, sided=1) * error < margin
