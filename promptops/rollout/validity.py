"""Rule 0: whether evidence is fit to decide anything; data that is missing or odd is never a pass.

The arms' sizes are tested canary against baseline, with an e-process for each stage (its weights hold within it) and
the mean over all stages of the plan, where one not begun counts as 1: an e-process again. Stable units are left out,
since a unit that joins an arm of the ramp later was stable before; so is a last stage that is not fit to be compared
(`promptops.rollout.effects`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.rollout import effects
from promptops.rollout.plan import DAY
from promptops.statistics import srm
from promptops.statistics.evalues import mean_e_value

if TYPE_CHECKING:
    from promptops.rollout.plan import Measure, Plan
    from promptops.rollout.state import State
    from promptops.telemetry.evidence import Evidence

DAY_MS = 1000 * DAY
MOST_CROSSOVERS = 0.005
# One unit in a small canary is no sign of a broken assignment.
_LEAST_CROSSOVERS = 3
_MOST_INVALID = 0.01
_ARMS = ("canary", "baseline")


def srm_e_value(plan: Plan, evidence: Evidence) -> float:
    """Return the e-value against "canary and baseline get the units that their weights promise"."""
    factors = []
    for stage in range(plan.last + 1):
        if not effects.comparable(plan, stage):
            continue
        rows = [row for row in evidence.exposed if row.stage == stage]
        weights = plan.weights(stage)
        counts = [sum(getattr(row, arm) for row in rows) for arm in _ARMS]
        factors.append(srm.e_value(counts, [weights[arm] for arm in _ARMS]))
    return mean_e_value(factors)


def faults(plan: Plan, state: State, evidence: Evidence | None, now: int, uneven: float) -> list[str]:
    """Return why the evidence decides nothing; an empty list when it is valid, or none can be there yet.

    Args:
        plan: the plan.
        state: where the rollout stands.
        evidence: what the engine gave, or None.
        now: seconds since 1970.
        uneven: from `srm_e_value`.
    """
    if evidence is None:
        silent = now - state.started
        return [f"no evidence after {silent // 3600} hours"] if silent > plan.stale_after + DAY else []
    found = [*_age(plan, state, evidence, now)]
    if uneven >= 1 / plan.alpha.srm:
        counts = " and ".join(str(sum(getattr(row, arm) for row in evidence.exposed)) for arm in _ARMS)
        found.append(f"the arms do not get the units that their weights promise: {counts} (e-value {uneven:.3g})")
    units = sum(row.canary + row.baseline for row in evidence.exposed) + evidence.quality.crossovers
    if evidence.quality.crossovers >= max(_LEAST_CROSSOVERS, MOST_CROSSOVERS * units + 1e-9):
        share = evidence.quality.crossovers / units
        found.append(f"{share:.2%} of the units saw both arms; at most {MOST_CROSSOVERS:.1%} may")
    if evidence.quality.invalid > _MOST_INVALID * max(evidence.quality.rows, 1):
        found.append(f"{evidence.quality.invalid} lines are no events that this version knows")
    for measure in plan.measures:
        if measure.required and measure.decides:
            found += _metric(plan, state, evidence, measure)
    return found


def _age(plan: Plan, state: State, evidence: Evidence, now: int) -> list[str]:
    """Return what is wrong with the time up to which events were read."""
    latest = evidence.watermark // 1000
    if latest > now + DAY:
        return ["the evidence is from the future: a clock is wrong"]
    if now - max(latest, state.started) > plan.stale_after + DAY:
        return [f"the evidence ends {(now - latest) // 3600} hours ago"]
    return []


def _metric(plan: Plan, state: State, evidence: Evidence, measure: Measure) -> list[str]:
    """Return what is wrong with the data of a metric that has to be there."""
    series = evidence.metrics.get(measure.name)
    if series is None:
        return [f"{measure.name}: the evidence does not have it"]
    if series.kind != measure.metric.kind:
        return [f"{measure.name}: the evidence has a {series.kind}, the plan a {measure.metric.kind}"]
    grown = evidence.watermark - measure.metric.matures_ms - DAY_MS
    due = [sum(getattr(row, arm) for row in evidence.exposed if (row.day + 1) * DAY_MS <= grown) for arm in _ARMS]
    wanted = min(plan.stages[state.stage].minimum_units, plan.burn_in)
    if min(due) < wanted:
        return []
    if not series.latest or any(not any(row.arm == arm and row.n for row in series.days) for arm in _ARMS):
        return [f"{measure.name}: no data, though {min(due)} units in each arm should have some"]
    silent = evidence.watermark - series.latest
    if silent > 1000 * measure.stale_after + measure.metric.opens_ms:
        return [f"{measure.name}: its last event came {silent // 3_600_000} hours before the evidence ends"]
    return []
