"""From evidence to effects: canary against baseline, metric by metric, compared within stages only.

Why within stages. While the weights of the arms change, a trend that all users share moves their pooled means apart: a
ramp of 1, 5, 25, 50 % with satisfaction rising by 2 points a week makes a canary without any effect look 2.6 points
better than the rest. Units are therefore compared with units of the same stage, where the weights are constant and
both arms are assigned at the same time, and the differences are averaged with the weights n_c n_b / (n_c + n_b)
(Mantel-Haenszel), which are fixed by the arms' sizes and by nothing that was measured. In the ramp both arms are
equally large; in the last stage they are not, and without the strata its units would bring the trend back in.

The last stage counts as a stratum only if the stage before gave all users to one of the two arms (50 %). Else those
who join the canary late, having used the stable release before, have no counterpart in the hold-back.

Sizes that differ are counted as the equal ones with the same information, 4 n_c n_b / (n_c + n_b) for both together:
this is the clock of the confidence sequence, and for equal arms it is their number.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

from promptops.runtime import assignment
from promptops.statistics import asymptotic, twoproportions
from promptops.statistics.asymptotic import Effect, Joint, Moments
from promptops.statistics.evalues import mean_e_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from promptops.rollout.plan import Measure, Plan
    from promptops.telemetry.evidence import Day, Evidence, Series


class Arm(NamedTuple):
    """Sums over the units of one arm in one stage."""

    n: int = 0
    s: float = 0.0
    ss: float = 0.0
    d: float = 0.0
    dd: float = 0.0
    sd: float = 0.0
    x: float = 0.0
    xx: float = 0.0
    sx: float = 0.0


_NOBODY = Arm()
_ARMS = (assignment.CANARY, assignment.BASELINE)


class Measured(NamedTuple):
    """What evidence says of one metric.

    Attributes:
        effect: canary minus baseline, or None while an arm has fewer than two units; ``n`` as said above.
        units: matured units in the smaller arm.
        canary: the canary's own mean or ratio, or None.
        harm: e-value against "the canary is no worse".
        gain: of a proxy, the e-value against "it is no better by more than the margin" (0 without one); else 1.
        low, high: bounds of the effect, or None before the burn-in.
        uneven: of feedback, the e-value against "as many users of either arm gave any"; else 1.
    """

    effect: Effect | None
    units: int
    canary: float | None
    harm: float
    gain: float
    low: float | None
    high: float | None
    uneven: float = 1.0


NOTHING = Measured(None, 0, None, 1.0, 1.0, None, None)


def measure_all(plan: Plan, evidence: Evidence | None) -> dict[str, Measured]:
    """Return what evidence says of every metric of the plan."""
    if evidence is None:
        return {measure.name: NOTHING for measure in plan.measures}
    return {
        measure.name: measure_one(plan, measure, evidence.metrics.get(measure.name))._replace(
            uneven=_uneven(plan, measure, evidence)
        )
        for measure in plan.measures
    }


def _uneven(plan: Plan, measure: Measure, evidence: Evidence) -> float:
    """Return the e-value against "as many users of either arm gave this feedback": the mean of those of both sides."""
    answers = measure.responses
    series = evidence.metrics.get(answers.name) if answers is not None else None
    if answers is None or series is None or series.kind != answers.kind:
        return 1.0
    asked = measure._replace(metric=answers, bounds=None, margin=None)
    strata = _strata(plan, series.days)
    units = min(_total(stratum.get(name, _NOBODY) for stratum in strata.values()).n for name in _ARMS)
    effect = _combined(asked, series, strata) if units >= plan.burn_in else None
    return mean_e_value([_against(plan, asked, series, effect, worse=worse, null=0.0) for worse in (True, False)])


def measure_one(plan: Plan, measure: Measure, series: Series | None) -> Measured:
    """Return what a series says of its metric; nothing for none or for one of another kind."""
    if series is None or series.kind != measure.metric.kind or series.kind == "survival":
        return NOTHING
    strata = _strata(plan, series.days)
    arms = {name: _total(stratum.get(name, _NOBODY) for stratum in strata.values()) for name in _ARMS}
    units = min(arm.n for arm in arms.values())
    effect = _combined(measure, series, strata)
    canary = _value(series, arms[assignment.CANARY])
    smooth = effect if units >= plan.burn_in else None
    bounds = (None, None) if smooth is None else _bounds(plan, smooth)
    harm = _against(plan, measure, series, smooth, worse=True, null=0.0)
    gain = 1.0
    if measure.role == "proxy":
        gain = _against(plan, measure, series, smooth, worse=False, null=measure.margin or 0.0)
    return Measured(effect, units, canary, harm, gain, *bounds)


def _bounds(plan: Plan, effect: Effect) -> tuple[float | None, float | None]:
    if not effect.error:
        return None, None
    alpha, target = plan.alpha.advance, plan.target_units
    return asymptotic.lower(effect, alpha, target), asymptotic.upper(effect, alpha, target)


def comparable(plan: Plan, stage: int) -> bool:
    """Return whether arms in a stage are fit to be compared; see the head of the module."""
    if stage < plan.last:
        return True
    before = plan.weights(plan.last - 1)
    # Two shares of 50 % leave nobody; a share of a third may leave one slot by rounding.
    return sum(before.values()) >= assignment.SLOTS - 2 and plan.weights(stage)["baseline"] > 0


def _strata(plan: Plan, days: Iterable[Day]) -> dict[int, dict[str, Arm]]:
    """Return the sums by stage and arm."""
    found: dict[int, dict[str, list[float]]] = {}
    for row in days:
        if row.arm not in _ARMS or row.stage > plan.last:
            continue
        sums = found.setdefault(row.stage, {}).setdefault(row.arm, [0] * len(Arm._fields))
        for place, value in enumerate(row[3:]):
            sums[place] += value
    kept = sorted(stage for stage in found if comparable(plan, stage))
    return {stage: {name: Arm(int(sums[0]), *sums[1:]) for name, sums in found[stage].items()} for stage in kept}


def _total(arms: Iterable[Arm]) -> Arm:
    sums: list[float] = [0] * len(Arm._fields)
    for arm in arms:
        for place, value in enumerate(arm):
            sums[place] += value
    return Arm(int(sums[0]), *sums[1:])


def _value(series: Series, arm: Arm) -> float | None:
    below = arm.d if series.kind == "ratio" else arm.n
    return arm.s / below if below else None


def _combined(measure: Measure, series: Series, strata: Mapping[int, Mapping[str, Arm]]) -> Effect | None:
    """Return the effect over all stages: their effects averaged by n_c n_b / (n_c + n_b)."""
    weight, estimate, variance = 0.0, 0.0, 0.0
    for arms in strata.values():
        canary, baseline = (arms.get(name, _NOBODY) for name in _ARMS)
        if min(canary.n, baseline.n) < 2 or (series.kind == "ratio" and min(canary.d, baseline.d) <= 0):
            continue
        effect = _difference(measure, series, canary, baseline)
        size = canary.n * baseline.n / (canary.n + baseline.n)
        weight += size
        estimate += size * effect.estimate
        variance += size * size * effect.error * effect.error
    return Effect(estimate / weight, sqrt(variance) / weight, round(4 * weight)) if weight else None


def _difference(measure: Measure, series: Series, canary: Arm, baseline: Arm) -> Effect:
    arms = (canary, baseline)
    if series.kind == "ratio":
        return asymptotic.ratio_difference(*(Joint(arm.n, arm.s, arm.ss, arm.d, arm.dd, arm.sd) for arm in arms))
    if series.adjusted:
        joint = (Joint(arm.n, arm.s, arm.ss, arm.x, arm.xx, arm.sx) for arm in arms)
        return asymptotic.adjusted_difference(*joint, span=measure.span)
    return asymptotic.difference(*(Moments(arm.n, arm.s, arm.ss) for arm in arms), span=measure.span)


def _against(plan: Plan, measure: Measure, series: Series, effect: Effect | None, *, worse: bool, null: float) -> float:
    """Return the e-value against "the canary is not worse (or better) by more than ``null``".

    For yes or no it is the mean of the asymptotic one and of the exact one over days, which needs no burn-in and holds
    for rare events; which of the two are taken depends on the metric only.
    """
    greater = measure.lower == worse
    edge = null if greater else -null
    smooth = 1.0
    if effect is not None:
        smooth = asymptotic.e_value(effect, edge, plan.target_units, plan.alpha.rollback, greater=greater)
    if not measure.binary or series.adjusted:
        return smooth
    exact = twoproportions.e_value(_blocks(plan, series.days), margin=edge, greater=greater)
    return mean_e_value([smooth, exact])


def _blocks(plan: Plan, days: Iterable[Day]) -> list[twoproportions.Block]:
    """Return the events of every day and stage, in order."""
    found: dict[tuple[int, int], dict[str, tuple[int, int]]] = {}
    for row in days:
        if row.arm in _ARMS and row.stage <= plan.last and comparable(plan, row.stage):
            found.setdefault((row.day, row.stage), {})[row.arm] = (round(row.s), row.n)
    nobody = (0, 0)
    return [
        twoproportions.Block(*arms.get(assignment.CANARY, nobody), *arms.get(assignment.BASELINE, nobody))
        for _, arms in sorted(found.items())
    ]
