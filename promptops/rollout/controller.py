"""One look at a running rollout: chain, plan, evidence, rules, and a decision where something changes.

A look is idempotent, and any number of controllers may look at once: refs move by compare-and-swap, and who comes
second reads again and decides again. What is decided is in the chain alone; what is kept beside it only saves work.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, NamedTuple

from promptops import atomic
from promptops.errors import InputError, PromptopsError, RefusedError
from promptops.release import journal, live, ramp, serving, stepping
from promptops.repo import refs
from promptops.rollout import decisions, deriving, rules
from promptops.rollout.state import State, Verdict
from promptops.telemetry.evidence import Evidence

if TYPE_CHECKING:
    from collections.abc import Callable

    from promptops.release.live import Decision
    from promptops.release.serving import Desk
    from promptops.repo.git import Git
    from promptops.rollout.plan import Plan

# Events take a while to arrive.
LATE_SECONDS = 900
_DAY_MS = 86_400_000
_ROUNDS = 8
# Verdicts that give more users the release, or end its rollout: only on new evidence.
FORWARD = frozenset({"advance", "promote", "end"})


class Look(NamedTuple):
    """What one look came to.

    Attributes:
        before: the newest decision that it looked at.
        verdict: what the rules say.
        decision: what was recorded, or None where nothing changes.
        failure: why there is no new evidence, or None.
        evidence: what the verdict was made from, or None.
        at: the time that it was made for, seconds since 1970.
    """

    before: Decision
    verdict: Verdict
    decision: Decision | None
    failure: PromptopsError | None
    evidence: Evidence | None
    at: int


class Order(NamedTuple):
    """What a look is to do.

    Attributes:
        source: events, as `promptops.telemetry.source.open_source` takes them; None for the plan's variable.
        dry_run: record nothing.
        only: the actions of a verdict that are carried out; None for all.
        tell: is told a decision once it is recorded.
    """

    source: str | None = None
    dry_run: bool = False
    only: frozenset[str] | None = None
    tell: Callable[[Decision], None] | None = None


def tick(place: Desk, prompt: str, environment: str, order: Order) -> Look:
    """Look once, and record a decision where something changes.

    Args:
        place: from `serving.desk`.
        prompt: its name.
        environment: where its rollout runs.
        order: what to do.

    Raises:
        PromptopsError: no rollout runs, the remote cannot be reached, or this clock is far behind.
        RefusedError: the newest decision does not count, or others decided faster, several times.
    """
    finished: list[Decision] = []

    def recognise(moved: list[str]) -> None:
        if live.ref_of(environment, prompt) in moved:
            finished.extend(serving.decisions(place, environment, prompt)[:1])
            if order.tell:
                order.tell(finished[0])

    for left in reversed(range(_ROUNDS)):
        with journal.exclusive(place.git, decisions.PATIENCE_SECONDS):
            journal.resume(place.git, recognise)
            if finished and finished[0].rollout:
                # A look that was killed after it had decided is this one.
                return _recorded(finished[0])
            catch_up(place, prompt, environment)
            before = decisions.running(place, prompt, environment)[0]
        look = judge(place.git, before, order.source)
        if order.dry_run or look.verdict.action not in (order.only or {look.verdict.action}) or not changes(look):
            return look
        try:
            with journal.exclusive(place.git, decisions.PATIENCE_SECONDS):
                made = decisions.carry_out(place, before, look.verdict, look.evidence, at=look.at, tell=order.tell)
                return look._replace(decision=made)
        except RefusedError:
            # Somebody else was faster: what they decided is read first.
            if not left:
                raise
    raise AssertionError


def _recorded(decision: Decision) -> Look:
    now = decision.step
    action = "freeze" if now.state == ramp.FROZEN else decision.action
    verdict = Verdict(action, now.state, now.reasons, quarantined=now.quarantined)
    return Look(decision, verdict, decision, None, None, decision.time)


def roll_back(
    place: Desk,
    prompt: str,
    environment: str,
    *,
    reason: str,
    tell: Callable[[Decision], None],
    version: str | None = None,
    scope: str | None = None,
) -> None:
    """Roll a running rollout back, whatever others decide about it meanwhile.

    Args:
        place: from `serving.desk`.
        prompt: its name.
        environment: where it runs.
        reason: why, in a sentence.
        tell: is told the decision once it is recorded.
        version: of the earlier release to serve; None for the one that served before.
        scope: `ramp.IMMEDIATE` or `ramp.NEW_CONVERSATIONS`; None for the plan's.

    Raises:
        RefusedError: the role rollback is missing, or no earlier release stands.
        PromptopsError: no rollout runs, or the remote cannot be reached.
    """
    ref = live.ref_of(environment, prompt)
    while True:
        with journal.exclusive(place.git, decisions.PATIENCE_SECONDS):
            # A note of a killed run stays: what comes now finishes it, and recognises itself in it.
            if journal.promised(place.git) is None:
                catch_up(place, prompt, environment)
                decisions.running(place, prompt, environment)
        seen = refs.read(place.git, ref)
        try:
            serving.rollback(place, prompt, environment, version=version, reason=reason, tell=tell, scope=scope)
            return
        except RefusedError:
            catch_up(place, prompt, environment)
            if refs.read(place.git, ref) == seen:
                raise


def prompts(place: Desk, environment: str) -> list[str]:
    """Return the prompts of which this clone knows a rollout that runs in an environment, by name.

    Raises:
        PromptopsError: the remote cannot be reached.
    """
    found = []
    for name in sorted(live.heads(place.git, environment)):
        catch_up(place, name, environment)
        head = refs.read(place.git, live.ref_of(environment, name))
        rollout = live.read(place.git, head).rollout if head else None
        if rollout is not None and rollout.alive:
            found.append(name)
    return found


def catch_up(place: Desk, prompt: str, environment: str) -> None:
    """Take over the decisions that the remote has, and give it those that only this clone has.

    Raises:
        RefusedError: both have decisions that the other has not.
        PromptopsError: the remote cannot be reached.
    """
    if place.remote is None:
        return
    git, ref = place.git, live.ref_of(environment, prompt)
    here, there = refs.read(git, ref), refs.remote_refs(git, place.remote, [ref]).get(ref)
    if here == there or there is None:
        return
    git.run("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", place.remote, ref)
    newest = there
    if here is not None and not git.try_run("merge-base", "--is-ancestor", there, here).returncode:
        newest = here
    elif here is not None and git.try_run("merge-base", "--is-ancestor", here, there).returncode:
        raise RefusedError(
            f"this clone and {place.remote} decided differently about {prompt} in {environment}",
            hint=f"take over what {place.remote} has: git fetch {place.remote} '+{ref}:{ref}'; then decide again",
        )
    moves = [refs.Update(ref, newest, there if newest == here else here)]
    now = live.read(git, newest).rollout
    if now is not None:
        own = live.rollout_ref(environment, prompt, now.id)
        known = refs.remote_refs(git, place.remote, [own]).get(own) if newest == here else refs.read(git, own)
        moves += [refs.Update(own, newest, known)] if known != newest else []
    if newest == here:
        refs.push(git, place.remote, moves)
    else:
        refs.update(git, moves)


def judge(git: Git, before: Decision, source: str | None) -> Look:
    """Return what the rules say of a running rollout now; without new evidence nothing goes on."""
    plan = deriving.plan_of(git, before)
    at = stepping.moment(before)
    evidence, failure = _evidence(git, plan, before, at, source)
    verdict = rules.decide(plan, State.of(before.step.document()), evidence, at)
    return Look(before, verdict, None, failure, evidence, at)


def changes(look: Look) -> bool:
    """Return whether a verdict changes anything that a decision holds.

    Numbers change with every look, and are in the evidence of the next decision. Without new evidence nothing goes on.
    """
    now, verdict = look.before.step, look.verdict
    if verdict.action in FORWARD:
        return look.failure is None
    if verdict.action == "rollback" or (verdict.status, verdict.quarantined) != (now.state, now.quarantined):
        return verdict.action == "rollback" or verdict.status == ramp.FROZEN or look.failure is None
    last = State.of(now.document())
    if bool(verdict.invalid) != bool(last.invalid):
        return True
    # While a person holds it, a person's reason stands.
    if verdict.action != "hold" or now.state == ramp.PAUSED:
        return False
    return look.failure is None and verdict.reasons != now.reasons


def _evidence(
    git: Git, plan: Plan, before: Decision, at: int, source: str | None
) -> tuple[Evidence | None, PromptopsError | None]:
    """Return new evidence; where the engine fails, the last that is known and the failure."""
    try:
        found = _collected(plan, before, at, source)
    except PromptopsError as error:
        return _remembered(git, before), error
    _remember(git, before, found)
    return found, None


def _collected(plan: Plan, before: Decision, at: int, source: str | None) -> Evidence:
    from promptops.errors import UsageError
    from promptops.telemetry import collecting
    from promptops.telemetry.source import open_source

    now = before.step
    spec = source or os.environ.get(plan.source_env)
    if not spec:
        raise PromptopsError("nobody says where the events are", hint=f"--events FOLDER, or set {plan.source_env}")
    try:
        opened = open_source(spec)
    except UsageError as error:
        # An empty folder at a look that nobody watches is an engine without answers, not a wrong command line.
        raise PromptopsError(error.message, hint=error.hint) from error
    held = (1000 * now.since, now.weights[1]) if now.state == ramp.PROMOTED else None

    def collected(watermark: int) -> Evidence:
        return collecting.collect(
            plan.metrics, opened, rollout=now.id, watermark=watermark, prompt=before.prompt, env=before.environment,
            holdback=held,
        )  # fmt: skip

    watermark = 1000 * (at - LATE_SECONDS)
    found = collected(watermark)
    latest = found.quality.latest
    if latest and latest // _DAY_MS < watermark // _DAY_MS:
        # A day is over once something happened after it: our clock may be ahead of those that date events.
        found = collected(latest + 1)
    return found


def _memory(git: Git, before: Decision) -> str:
    return os.path.join(journal.folder(git), f"evidence-{before.step.id}.json")


def _remember(git: Git, before: Decision, evidence: Evidence) -> None:
    # Only for the patience with an engine that is down; a full disk is no reason not to decide.
    with contextlib.suppress(OSError):
        atomic.write(_memory(git, before), json.dumps(evidence.document()).encode(), mode=0o600)


def _remembered(git: Git, before: Decision) -> Evidence | None:
    try:
        with open(_memory(git, before), encoding="utf-8") as file:
            value = json.load(file)
    except (OSError, ValueError):
        value = live.evidence_of(git, before)
    try:
        found = None if value is None else Evidence.parse(value)
    except InputError:
        return None
    return found if found is not None and found.rollout == before.step.id else None
