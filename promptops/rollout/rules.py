"""The rules: what one look at the evidence does to a rollout. Pure: the same input gives the same verdict anywhere.

In this order, the first that applies:

0. Data that is not valid freezes the weights; if it is not valid a day later either, the release goes back (an option
   of the plan; not in the last stage, where everybody was served on proof).
1. Rollback: a critical metric's e-value reaches 1/alpha of its own budget; or the mean of the guardrails' e-values does
   (valid under any dependence: Vovk & Wang, Annals of Statistics 49(3), 2021); or a proxy rises while guardrails fall
   (`promptops.statistics.divergence`), which also quarantines the proxy; or an ops metric passes its limit.
2. Advance: the dwell time is over, there are enough units, and *every* guardrail with a margin in this stage is proved
   no worse than it (an intersection-union test, which needs no correction: Berger, Technometrics 24(4), 1982). Before
   everybody is served, success and quality have to be proved too. Feedback and proxies alone never suffice.
3. Hold; when the time is up, what the plan says.

Going back needs no proof of a person; going on by itself always needs one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from promptops.rollout import effects, validity, waiting
from promptops.rollout.plan import DAY
from promptops.rollout.state import Missing, Reading, State, Verdict
from promptops.statistics import divergence
from promptops.statistics.evalues import mean_e_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promptops.rollout.effects import Measured
    from promptops.rollout.plan import Measure, Plan
    from promptops.telemetry.evidence import Evidence


def decide(plan: Plan, state: State, evidence: Evidence | None, now: int) -> Verdict:
    """Return what the evidence says.

    Args:
        plan: the plan as the rollout's decisions carry it.
        state: where the rollout stands by its last decision.
        evidence: what the events say, or None where there is nothing or the engine is down.
        now: seconds since 1970.
    """
    if state.status == "ended":
        return Verdict("hold", "ended", ("the rollout has ended",), quarantined=state.quarantined)
    look = _look(plan, state, evidence, now)
    return _invalid(look) or _rollback(look) or _forward(look)


# A decision has room for so many.
_MOST_REASONS = 30
_PERSON = Missing("person", None, None, None, None)


class _Look(NamedTuple):
    """One look: the input of `decide` and what was worked out from it."""

    plan: Plan
    state: State
    now: int
    evidence: Evidence | None
    measured: dict[str, Measured]
    faults: list[str]
    e_values: dict[str, float]
    diverging: tuple[str, ...]

    def verdict(self, action: str, status: str, reasons: Sequence[str], missing: Sequence[Missing] = ()) -> Verdict:
        known = [each.expected for each in missing]
        return Verdict(
            action,
            status,
            tuple(reasons[:_MOST_REASONS]),
            tuple(_reading(self, measure) for measure in self.plan.measures),
            tuple(missing),
            max(at for at in known if at is not None) if missing and None not in known else None,
            self.e_values,
            quarantined=tuple(sorted({*self.state.quarantined, *self.diverging})),
        )


def _look(plan: Plan, state: State, evidence: Evidence | None, now: int) -> _Look:
    measured = effects.measure_all(plan, evidence)
    uneven = 1.0 if evidence is None else validity.srm_e_value(plan, evidence)
    guardrails = [measured[each.name].harm for each in plan.measures if each.role == "guardrail" and each.decides]
    e_values = {"srm": uneven, "harm": mean_e_value(guardrails)}
    for each in plan.measures:
        if each.critical and each.decides:
            e_values[f"critical:{each.name}"] = measured[each.name].harm
        if each.role == "proxy" and each.decides and guardrails and each.name not in state.quarantined:
            e_values[f"divergence:{each.name}"] = divergence.e_value(measured[each.name].gain, guardrails)
    diverging = tuple(
        name.removeprefix("divergence:")
        for name, value in e_values.items()
        if name.startswith("divergence:") and value >= 1 / plan.alpha.divergence
    )
    faults = validity.faults(plan, state, evidence, now, uneven)
    return _Look(plan, state, now, evidence, measured, faults, e_values, () if faults else diverging)


def _invalid(look: _Look) -> Verdict | None:
    """Rule 0."""
    state = look.state
    if not look.faults:
        return None
    first = state.invalid_since if state.invalid and state.invalid_since is not None else look.now
    # Ticks may be minutes apart; evidence gains a day at a time, and only a later day can say so a second time.
    again = state.invalid > 0 and look.now - first >= DAY
    going_back = again and look.plan.on_invalid == "rollback" and state.status not in {"promoted", "paused"}
    if going_back:
        verdict = look.verdict("rollback", "ended", ["the data is still not valid", *look.faults])
    else:
        status = state.status if state.status in {"promoted", "paused"} else "frozen"
        verdict = look.verdict("freeze", status, look.faults, [Missing("data", None, None, None, None)])
    return verdict._replace(invalid=state.invalid + 1, invalid_since=first)


def _rollback(look: _Look) -> Verdict | None:
    """Rule 1."""
    plan, reasons = look.plan, []
    for name, value in look.e_values.items():
        if name.startswith("critical:") and value >= 1 / plan.alpha.critical:
            reasons.append(f"{name.removeprefix('critical:')} is harmed (e-value {value:.3g})")
    harm = look.e_values["harm"]
    if harm >= 1 / plan.alpha.rollback:
        reasons.append(f"guardrails are harmed: {_worst(look)} (mean e-value {harm:.3g})")
    reasons += [f"{name} rises while guardrails fall: {_worst(look)}" for name in look.diverging]
    reasons += [_over(look, measure) for measure in plan.measures if _is_over(look, measure)]
    return look.verdict("rollback", "ended", reasons) if reasons else None


def _worst(look: _Look) -> str:
    """Return the names of the guardrails that make up the evidence of harm, strongest first."""
    rails = [each for each in look.plan.measures if each.role == "guardrail" and each.decides]
    harms = {each.name: look.measured[each.name].harm for each in rails}
    most = max(harms.values())
    return ", ".join(name for name in sorted(harms, key=lambda name: -harms[name]) if harms[name] >= most / 10)


def _is_over(look: _Look, measure: Measure) -> bool:
    """Return whether an ops metric passes its limit, once each arm has enough units."""
    found = look.measured[measure.name]
    if measure.role != "ops" or not measure.decides or found.canary is None:
        return False
    if found.units < min(look.plan.stages[look.state.stage].minimum_units, look.plan.burn_in):
        return False
    if measure.limit is not None and measure.worsening(found.canary) > measure.worsening(measure.limit):
        return True
    return (
        measure.margin is not None
        and found.effect is not None
        and measure.worsening(found.effect.estimate) > measure.margin
    )


def _over(look: _Look, measure: Measure) -> str:
    found = look.measured[measure.name]
    if measure.limit is not None and found.canary is not None:
        return f"{measure.name} is {found.canary:.4g}, beyond its limit of {measure.limit:g}"
    return f"{measure.name} is worse than the old release by more than {measure.margin:g}"


def _forward(look: _Look) -> Verdict:
    """Rules 2 and 3."""
    plan, state = look.plan, look.state
    if state.stage == plan.last:
        return _held_back(look)
    if state.status == "paused":
        return look.verdict("hold", "paused", ["a person paused it"], [_PERSON])
    missing = _lacking(look, proof=True)
    due = state.started + plan.expires * (2 if plan.on_expiry == "extend" else 1)
    late = _late(look, missing) if look.now >= due else None
    if late is not None:
        return late
    if missing:
        return look.verdict("hold", "running", _words(missing), missing)
    if state.stage + 1 == plan.last:
        return look.verdict("promote", "promoted", ["success, quality and every guardrail are proved to hold"])
    return look.verdict("advance", "running", ["every guardrail is proved to be no worse than its margin"])


def _late(look: _Look, missing: list[Missing]) -> Verdict | None:
    """Return what the plan says of a rollout whose time is up; None where it goes on as before."""
    if look.plan.on_expiry == "human":
        return look.verdict("hold", "running", ["the time is up: a person decides"], [*missing, _PERSON])
    # The last step before everybody is served may be provable in this very look.
    if missing and look.plan.on_expiry != "hold":
        return look.verdict("rollback", "ended", ["the time is up without proof", *_words(missing)], missing)
    return None


def _held_back(look: _Look) -> Verdict:
    """Return what becomes of the hold-back: it ends on proof, or with its time where nobody is held back."""
    plan = look.plan
    missing = _lacking(look, proof=plan.weights(plan.last)["baseline"] > 0)
    if look.state.status == "paused" or missing:
        return look.verdict("hold", look.state.status, _words(missing) or ["a person paused it"], missing)
    return look.verdict("end", "ended", ["the time of the hold-back is over and nothing speaks against it"])


def _lacking(look: _Look, *, proof: bool) -> list[Missing]:
    """Return what is missing until the next step."""
    plan, state = look.plan, look.state
    stage = plan.stages[state.stage]
    missing = []
    if look.now < state.since + stage.dwell:
        missing.append(Missing("dwell", None, look.now - state.since, stage.dwell, state.since + stage.dwell))
    if not proof:
        return missing
    wanted = [measure for measure in plan.measures if _is_wanted(look, measure)]
    for measure in wanted:
        found = look.measured[measure.name]
        least = max(stage.minimum_units, plan.burn_in)
        if found.units < least:
            at = _when(look, measure, least - found.units)
            missing.append(Missing("units", measure.name, found.units, least, at))
        elif not _is_proved(look, measure):
            missing.append(_proof(look, measure))
    if not any(measure.role == "guardrail" and not measure.feedback for measure in wanted):
        missing.append(Missing("proof", None, None, None, None))
    return missing


def _when(look: _Look, measure: Measure, more: float) -> int | None:
    return waiting.units(look.plan, look.evidence, measure, more, stage=look.state.stage, now=look.now)


def _is_wanted(look: _Look, measure: Measure) -> bool:
    """Return whether the next step needs a proof on a metric."""
    plan, stage = look.plan, look.state.stage
    if not measure.decides or measure.role not in {"guardrail", "success", "quality"}:
        return False
    if measure.role == "guardrail":
        return plan.margin(measure, stage) is not None
    waived = plan.stages[stage].margins.get(measure.name, 0.0) is None
    return stage + 1 >= plan.last and not waived


def _limit(look: _Look, measure: Measure) -> float:
    """Return the worsening that a proof has to stay below: the margin, or 0 for a success that has to get better."""
    margin = look.plan.margin(measure, look.state.stage)
    return 0.0 if margin is None else margin


def _bound(found: Measured, measure: Measure) -> float | None:
    """Return the largest worsening that is not ruled out, or None."""
    bound = found.high if measure.lower else found.low
    return None if bound is None else measure.worsening(bound)


def _is_uneven(look: _Look, measure: Measure) -> bool:
    """Return whether users of one arm gave this feedback more often, so that their answers cannot be compared."""
    return look.measured[measure.name].uneven >= 1 / look.plan.alpha.rollback


def _is_proved(look: _Look, measure: Measure) -> bool:
    if _is_uneven(look, measure):
        return False
    bound = _bound(look.measured[measure.name], measure)
    return bound is not None and bound < _limit(look, measure)


def _proof(look: _Look, measure: Measure) -> Missing:
    found = look.measured[measure.name]
    limit = _limit(look, measure)
    if _is_uneven(look, measure):
        return Missing("proof", measure.name, None, limit, None)
    more = waiting.units_to_proof(look.plan, measure, found, limit)
    at = None if more is None else _when(look, measure, more)
    return Missing("proof", measure.name, _bound(found, measure), limit, at)


def _reading(look: _Look, measure: Measure) -> Reading:
    found = look.measured[measure.name]
    margin = look.plan.margin(measure, look.state.stage)
    estimate = found.effect.estimate if found.effect is not None else None
    state = _standing(look, measure)
    return Reading(measure.name, measure.role, estimate, found.low, found.high, margin, found.units, found.harm, state)


def _standing(look: _Look, measure: Measure) -> str:
    found, alpha = look.measured[measure.name], look.plan.alpha
    budget = alpha.critical if measure.critical else alpha.rollback
    harmed = measure.role == "guardrail" and measure.decides and found.harm >= 1 / budget
    cases = (
        (measure.name in look.state.quarantined or measure.name in look.diverging, "quarantined"),
        (found.effect is None, "missing"),
        (_is_over(look, measure), "over limit"),
        (_is_uneven(look, measure), "incomparable"),
        (harmed, "harmed"),
        (not _is_wanted(look, measure), "shown"),
        (_is_proved(look, measure), "proved"),
    )
    return next((word for holds, word in cases if holds), "unproved")


_WORDS = {
    "dwell": "the stage has to last longer",
    "units": "more units have to mature: {metric}",
    "proof": "not proved yet: {metric}",
    "person": "a person decides",
}


def _words(missing: Sequence[Missing]) -> list[str]:
    """Return what is missing, one reason for each kind, without the numbers that change with every look."""
    found = []
    for kind, text in _WORDS.items():
        of_kind = [each for each in missing if each.what == kind]
        names = ", ".join(each.metric for each in of_kind if each.metric is not None)
        if kind == "proof" and any(each.metric is None for each in of_kind):
            found.append("no guardrail but feedback is asked for here, and feedback alone never suffices")
        if of_kind and (names or kind in {"dwell", "person"}):
            found.append(text.format(metric=names))
    return found
