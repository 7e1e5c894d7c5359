"""What people decide about a rollout: start it, pause it, go on, force a step; and the record of a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import InputError, PromptopsError, RefusedError
from promptops.registry.governed import ROLLOUTS
from promptops.release import authority, candidates, clone, history, journal, live, ramp, serving, stepping
from promptops.repo import refs, tags
from promptops.rollout import deriving

if TYPE_CHECKING:
    from collections.abc import Callable

    from promptops.release.live import Decision
    from promptops.release.ramp import Arm, Rollout
    from promptops.release.serving import Desk
    from promptops.rollout.plan import Plan
    from promptops.rollout.state import Verdict
    from promptops.telemetry.evidence import Evidence

PATIENCE_SECONDS = 10


class Start(NamedTuple):
    """What a rollout is to begin with.

    Attributes:
        version: of the release to roll out; None for the newest that was not withdrawn.
        supersedes: id of the running rollout that it replaces, or None.
        reason: why, in a sentence.
    """

    version: str | None
    supersedes: str | None
    reason: str


def plan_in_force(place: Desk, prompt: str) -> Plan:
    """Return the plan of a prompt as the protected branches have it.

    Raises:
        PromptopsError: there is none.
        InputError: it is malformed.
    """
    from promptops.rollout.plan import Plan

    path = f"{ROLLOUTS}{prompt}.yaml"
    found = place.git.object(f"{clone.base(place.git, place.trust)}:{path}")
    if found is None or found.kind != "blob":
        raise PromptopsError(
            f"there is no plan for {prompt} on the protected branch", hint=f"write {path}; promptops schema rollout"
        )
    plan = Plan.parse(path, found.data)
    try:
        # Decisions carry its document, and one that cannot be read again would hold all that follow.
        return Plan.load(plan.document())
    except InputError as error:
        raise InputError(f"the plan cannot be frozen: {error.message}", path=path) from error


def running(place: Desk, prompt: str, environment: str) -> list[Decision]:
    """Return the decisions about a prompt, newest first, where a rollout of it runs.

    Raises:
        PromptopsError: none runs.
        RefusedError: the newest decision does not count.
    """
    return require_running(serving.decisions(place, environment, prompt), prompt, environment)


def require_running(found: list[Decision], prompt: str, environment: str) -> list[Decision]:
    """Return decisions, newest first, if a rollout runs by them.

    Raises:
        PromptopsError: none runs.
    """
    if not found or found[0].rollout is None or not found[0].rollout.alive:
        raise PromptopsError(
            f"no rollout of {prompt} runs in {environment}",
            hint=f"promptops rollout start {prompt} --env {environment} --reason REASON",
        )
    return found


def start(
    place: Desk, prompt: str, environment: str, wish: Start, *, tell: Callable[[Decision], None], dry_run: bool = False
) -> None:
    """Begin a rollout with the first stage of the plan on the protected branch.

    Args:
        place: from `serving.desk`.
        prompt: its name.
        environment: one of the project's.
        wish: what to begin with.
        tell: is told the decision once it is recorded, or found recorded by the same command, as where it was killed
            before it said so.
        dry_run: only check that it could be.

    Raises:
        UsageError: the project has no such environment.
        RefusedError: nothing serves yet, another rollout runs, the release does not verify or was left, or a role is
            missing.
        PromptopsError: there is no plan.
    """
    place.project.environment(environment)
    candidates.releaser(place.trust, place.key, "release")
    reason = candidates.reason_of(wish.reason)
    ref = live.ref_of(environment, prompt)
    done: list[Decision] = []

    def recognise(moved: list[str]) -> None:
        found = serving.decisions(place, environment, prompt) if ref in moved else []
        if found and (found[0].action, found[0].reason) == (ramp.START, reason):
            done.append(found[0])
            tell(found[0])

    with journal.exclusive(place.git, PATIENCE_SECONDS):
        journal.resume(place.git, recognise)
        if not done and not dry_run:
            own = _own_start(place, prompt, environment, wish._replace(reason=reason))
            if own is not None:
                done.append(own)
                tell(own)
        if not done:
            _begin(place, prompt, environment, wish._replace(reason=reason), tell, dry_run=dry_run)


def _own_start(place: Desk, prompt: str, environment: str, wish: Start) -> Decision | None:
    """Return the newest decision where it is just what ``wish`` asks for, here and on the remote."""
    found = serving.decisions(place, environment, prompt)
    now = found[0].rollout if found else None
    if now is None or (found[0].action, found[0].reason, now.supersedes) != (ramp.START, wish.reason, wish.supersedes):
        return None
    if now.canary.tag != _wanted(place, prompt, wish.version):
        return None
    ref = live.ref_of(environment, prompt)
    if place.remote and refs.remote_refs(place.git, place.remote, [ref]).get(ref) != found[0].oid:
        return None
    return found[0]


def _begin(
    place: Desk, prompt: str, environment: str, wish: Start, tell: Callable[[Decision], None], *, dry_run: bool
) -> None:
    plan = plan_in_force(place, prompt)
    older = serving.decisions(place, environment, prompt)
    if (plan.prompt, plan.environment) != (prompt, environment):
        raise RefusedError(f"the plan is for {plan.prompt} in {plan.environment}", path=f"{ROLLOUTS}{prompt}.yaml")
    if not older:
        raise RefusedError(
            f"{environment} serves no {prompt} that a canary could be compared with",
            hint=f"promptops promote {prompt} --env {environment} --reason REASON, the first time",
        )
    before = older[0]
    last = before.rollout
    _check_alone(before, wish.supersedes)
    canary = _candidate(place, prompt, wish.version, older)
    at = stepping.moment(before)
    rollout = ramp.Rollout(
        id=ramp.identity(environment, prompt, canary, plan.digest, before.oid), stage=0, share=plan.stages[0].share,
        since=at, started=at, state=ramp.RUNNING, salt="", hash=ramp.HASH, weights=ramp.weights(plan, 0),
        scope=plan.scope, canary=canary, baseline=ramp.served(before), plan=plan.digest, evidence=None,
        reasons=(wish.reason,), verdict=None,
        # What was set aside counts again once a review has changed the plan.
        quarantined=last.quarantined if last is not None and last.plan == plan.digest else (),
        supersedes=wish.supersedes,
    )  # fmt: skip
    if dry_run:
        return
    stepping.record(
        place, before, ramp.START, rollout._replace(salt=rollout.id), serves=rollout.baseline, reason=wish.reason,
        at=at, files={"plan.json": plan.document()}, tell=tell,
    )  # fmt: skip


def _check_alone(before: Decision, supersedes: str | None) -> None:
    last = before.rollout
    running_id = last.id if last is not None and last.alive else None
    if running_id and supersedes != running_id:
        raise RefusedError(
            f"the rollout {running_id} of {before.prompt} runs in {before.environment}",
            hint=f"name what the new one replaces: --supersedes {running_id}",
        )
    if supersedes and running_id is None:
        raise RefusedError(f"no rollout {supersedes} of {before.prompt} runs in {before.environment}")


def _wanted(place: Desk, prompt: str, version: str | None) -> str:
    standing = [release for release in history.releases(place.git, prompt) if not release.withdrawn]
    if version is None and not standing:
        raise PromptopsError(f"there is no release of {prompt}", hint=f"promptops release {prompt}")
    return tags.tag_name(prompt, version) if version else standing[0].tag


def _candidate(place: Desk, prompt: str, version: str | None, older: list[Decision]) -> Arm:
    short = _wanted(place, prompt, version)
    if short == older[0].tag:
        raise RefusedError(f"{older[0].environment} serves {short} already")
    if authority.is_left(older, short, place.rules):
        raise RefusedError(
            f"{older[0].environment} rolled back from {short}, which is final",
            hint=f"release a new version: promptops bump {prompt}",
        )
    found = serving.fit_to_serve(place, short)
    return ramp.Arm(short, found.oid, found.digest)


def by_hand(
    place: Desk, prompt: str, environment: str, action: str, *, reason: str, tell: Callable[[Decision], None]
) -> None:
    """Pause or resume a rollout, or force its next step.

    Args:
        place: from `serving.desk`.
        prompt: its name.
        environment: where it runs.
        action: `ramp.PAUSE`, `ramp.RESUME` or `ramp.OVERRIDE`.
        reason: why, in a sentence.
        tell: is told the decision once it is recorded, or found recorded by the same command.

    Raises:
        RefusedError: it may not follow, or the role is missing: release, or override for a forced step.
        PromptopsError: no rollout runs.
    """
    candidates.releaser(place.trust, place.key, "override" if action == ramp.OVERRIDE else "release")
    why = candidates.reason_of(reason)
    done: list[Decision] = []

    def recognise(moved: list[str]) -> None:
        found = serving.decisions(place, environment, prompt) if live.ref_of(environment, prompt) in moved else []
        if found and (found[0].action, found[0].reason) == (action, why):
            done.append(found[0])
            tell(found[0])

    with journal.exclusive(place.git, PATIENCE_SECONDS):
        journal.resume(place.git, recognise)
        if done:
            return
        before = running(place, prompt, environment)[0]
        plan = deriving.plan_of(place.git, before)
        at = stepping.moment(before)
        now = before.step._replace(reasons=(why,), evidence=None, verdict=None)
        allowed = {
            ramp.PAUSE: (ramp.RUNNING, ramp.FROZEN),
            ramp.RESUME: (ramp.PAUSED,),
            ramp.OVERRIDE: (ramp.RUNNING, ramp.FROZEN, ramp.PAUSED),
        }
        if now.state not in allowed[action]:
            raise RefusedError(f"the rollout {now.id} of {prompt} is {now.state}: there is nothing to {action}")
        if action == ramp.OVERRIDE:
            now = _next_stage(now, plan, at)
        else:
            now = now._replace(state=ramp.PAUSED if action == ramp.PAUSE else ramp.RUNNING)
        _record(place, before, action, now, reason=why, at=at, tell=tell)


def _next_stage(now: Rollout, plan: Plan, at: int) -> Rollout:
    stage = now.stage + 1
    state = ramp.PROMOTED if stage == plan.last else ramp.RUNNING
    share = plan.stages[stage].share
    return now._replace(stage=stage, share=share, since=at, state=state, weights=ramp.weights(plan, stage))


def carry_out(
    place: Desk,
    before: Decision,
    verdict: Verdict,
    evidence: Evidence | None,
    *,
    at: int,
    tell: Callable[[Decision], None] | None,
) -> Decision:
    """Record a verdict as a decision; the caller holds `journal.exclusive` and has seen that ``before`` is the newest.

    Raises:
        RefusedError: somebody else decided meanwhile.
    """
    plan = deriving.plan_of(place.git, before)
    action = deriving.action_of(verdict, plan)
    now = before.step
    if action in (ramp.ADVANCE, ramp.PROMOTE):
        now = _next_stage(now, plan, at)
    elif action in (ramp.ROLLBACK, ramp.END):
        now = now._replace(weights=(0, 0))
    now = now._replace(
        state=verdict.status, reasons=verdict.reasons, verdict=verdict.document(), quarantined=verdict.quarantined,
        evidence=None if evidence is None else evidence.digest,
    )  # fmt: skip
    reason = candidates.reason_of("; ".join(verdict.reasons)[:300] or verdict.action)
    return _record(place, before, action, now, reason=reason, at=at, evidence=evidence, tell=tell)


def _record(
    place: Desk,
    before: Decision,
    action: str,
    now: Rollout,
    *,
    reason: str,
    at: int,
    evidence: Evidence | None = None,
    tell: Callable[[Decision], None] | None,
) -> Decision:
    plan = deriving.plan_of(place.git, before)
    files: dict[str, Any] = {"plan.json": live.plan_of(place.git, before)}
    if evidence is not None:
        files["evidence.json"] = evidence.document()
    serves = ramp.served(before)
    if action == ramp.ROLLBACK or (action == ramp.END and plan.dry_run):
        serves = now.baseline
    elif now.state == ramp.PROMOTED and not plan.dry_run:
        serves = now.canary
    return stepping.record(place, before, action, now, serves=serves, reason=reason, at=at, files=files, tell=tell)
