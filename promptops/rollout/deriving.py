"""Whether a decision follows from the plan and the evidence beside it: derived again, without any data of users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.errors import InputError, RefusedError
from promptops.registry import canonical
from promptops.release import live, ramp

if TYPE_CHECKING:
    from promptops.release.live import Decision
    from promptops.repo.git import Git
    from promptops.rollout.plan import Plan
    from promptops.rollout.state import Verdict


# By the id of the blob and the digest that it was held to; a rollout has one, however many decisions it has.
_PLANS: dict[tuple[str, str], Plan] = {}


def plan_of(git: Git, decision: Decision) -> Plan:
    """Return the plan frozen beside a decision.

    Raises:
        RefusedError: it is not the one that the decision names, or no plan.
    """
    from promptops.rollout.plan import Plan

    key = (decision.files.get("plan.json", ""), decision.step.plan)
    if key not in _PLANS:
        value = live.plan_of(git, decision)
        try:
            _PLANS[key] = Plan.load(value)
        except InputError as error:
            raise RefusedError(f"decision {decision.oid[:12]}: {error.message}") from error
    return _PLANS[key]


def action_of(verdict: Verdict, plan: Plan) -> str:
    """Return the action of the decision that a verdict leads to."""
    if plan.dry_run and verdict.action == ramp.ROLLBACK:
        # A trial moved nobody, so it leaves no release for good either.
        return ramp.END
    return ramp.HOLD if verdict.action == "freeze" else verdict.action


def derive(git: Git, decision: Decision, before: Decision) -> Verdict:
    """Return what the rules say of the evidence beside a decision, at its time.

    Raises:
        RefusedError: the evidence is not the one that the decision names, or of another rollout.
        InputError: it is malformed.
    """
    from promptops.rollout import rules
    from promptops.rollout.state import State
    from promptops.telemetry.evidence import Evidence

    now, last = decision.rollout, before.rollout
    if now is None or last is None:
        raise RefusedError("it is no step of a rollout")
    value = live.evidence_of(git, decision)
    evidence = None if value is None else Evidence.parse(value)
    if evidence is not None and evidence.rollout != now.id:
        raise RefusedError(f"its evidence is of the rollout {evidence.rollout[:20]}")
    return rules.decide(plan_of(git, decision), State.of(last.document()), evidence, decision.time)


def check(git: Git, decision: Decision, before: Decision) -> None:
    """Check that a decision which states a verdict follows from its evidence, to the byte.

    Raises:
        RefusedError: it states another verdict than the rules give, or does something else.
        InputError: its evidence is malformed.
    """
    now = decision.rollout
    if now is None or (now.verdict is None and (decision.action in ramp.BY_HAND or decision.action == ramp.ROLLBACK)):
        return
    if now.verdict is None:
        raise RefusedError("it states no verdict")
    found = derive(git, decision, before)
    if canonical.dumps(found.document()) != canonical.dumps(now.verdict):
        raise RefusedError(f"the rules say {found.action} of its evidence, and not what it states")
    # A promotion changes what a stage's end is called, and a pause outlives a look.
    stated = (action_of(found, plan_of(git, decision)), found.status, tuple(found.reasons), found.quarantined)
    if stated != (decision.action, now.state, now.reasons, now.quarantined):
        raise RefusedError(f"it does {decision.action}, and its verdict is {found.action}")
