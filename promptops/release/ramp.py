"""The member ``rollout`` of a decision of format 2: which arms there are, how wide they are, and which step may follow.

What is checked here follows from two decisions and the plan frozen beside them. Whether the evidence proves a step is
told by `promptops.rollout.deriving`, and who may take it by `promptops.release.authority`.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import InputError, RefusedError
from promptops.registry import canonical
from promptops.runtime import assignment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from promptops.release.live import Decision
    from promptops.rollout.plan import Plan

START, ADVANCE, HOLD, PAUSE, RESUME = "start", "advance", "hold", "pause", "resume"
PROMOTE, ROLLBACK, OVERRIDE, END = "promote", "rollback", "override", "end"
ACTIONS = frozenset({START, ADVANCE, HOLD, PAUSE, RESUME, PROMOTE, ROLLBACK, OVERRIDE, END})
RUNNING, PAUSED, FROZEN, PROMOTED, ENDED = "running", "paused", "frozen", "promoted", "ended"
RAMPING = frozenset({RUNNING, PAUSED, FROZEN})
HASH = assignment.HASH
IMMEDIATE, NEW_CONVERSATIONS = "immediate", "new-conversations"
# What only people decide carries no verdict.
BY_HAND = frozenset({START, PAUSE, RESUME, OVERRIDE})
MAX_REASONS = 32

_ID = re.compile(r"[0-9a-f]{12}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ARM = {"tag", "object", "manifest"}
_MEMBERS: dict[str, type | tuple[type, ...]] = {
    "id": str, "stage": int, "share": str, "since": int, "started": int, "state": str, "salt": str, "hash": str,
    "weights": dict, "scope": str, "arms": dict, "plan": str, "evidence": (str, type(None)), "reasons": list,
    "verdict": (dict, type(None)), "quarantined": list, "supersedes": (str, type(None)),
}  # fmt: skip


class Arm(NamedTuple):
    """A release that an arm serves: its tag, the id of the tag object, and SHA-256 (hex) of its manifest."""

    tag: str
    object: str
    manifest: str


class Rollout(NamedTuple):
    """Where a rollout stands.

    Attributes:
        id: twelve hexadecimal digits, see `identity`.
        stage: index of the plan's stage.
        share: that stage's share, as the plan writes it.
        since: seconds since 1970 when the stage began.
        started: seconds since 1970 when the rollout began.
        state: ``running``, ``paused`` by a person, ``frozen`` by invalid or missing data, ``promoted`` or ``ended``.
        salt: what slots are computed with.
        hash: name of the function of slots.
        weights: slots of the canary and of the baseline, of 2^32.
        scope: whether a rollback ends running conversations (``immediate``) or not (``new-conversations``).
        canary: the new release.
        baseline: the old one, served to as many as the canary at the same time.
        plan: ``sha256:<hex>`` of the plan.
        evidence: ``sha256:<hex>`` of the evidence, or None.
        reasons: why, most important first.
        verdict: what the rules said of the evidence; None for what a person decided.
        quarantined: metrics that may not count as success until the plan changes.
        supersedes: id of the rollout that this one replaced while it ran, or None.
    """

    id: str
    stage: int
    share: str
    since: int
    started: int
    state: str
    salt: str
    hash: str
    weights: tuple[int, int]
    scope: str
    canary: Arm
    baseline: Arm
    plan: str
    evidence: str | None
    reasons: tuple[str, ...]
    verdict: Mapping[str, Any] | None
    quarantined: tuple[str, ...]
    supersedes: str | None

    @property
    def alive(self) -> bool:
        """Whether it still decides who gets what."""
        return self.state != ENDED

    def document(self) -> dict[str, Any]:
        """Return the member as it is stored."""
        made = self._asdict()
        canary, baseline = made.pop("canary"), made.pop("baseline")
        return made | {
            "weights": dict(zip(("canary", "baseline"), self.weights, strict=True)),
            "arms": {"canary": canary._asdict(), "baseline": baseline._asdict()},
            "reasons": list(self.reasons),
            "quarantined": list(self.quarantined),
        }


def parse(value: Any) -> Rollout:
    """Return the member ``rollout`` of untrusted JSON.

    Raises:
        InputError: it has other members or types than ours.
    """
    if not isinstance(value, dict) or value.keys() != _MEMBERS.keys():
        raise InputError("its rollout has missing or unknown members")
    for name, kind in _MEMBERS.items():
        if not isinstance(value[name], kind) or isinstance(value[name], bool):
            raise InputError(f"its rollout has a {name} of the wrong type")
    arms, weights = value["arms"], value["weights"]
    good = (
        _ID.fullmatch(value["id"])
        and _DIGEST.fullmatch(value["plan"])
        and (value["evidence"] is None or _DIGEST.fullmatch(value["evidence"]))
        and value["state"] in RAMPING | {PROMOTED, ENDED}
        and value["scope"] in (IMMEDIATE, NEW_CONVERSATIONS)
        and value["hash"] == assignment.HASH
        and value["salt"] == value["id"]
        and min(value["stage"], value["since"], value["started"]) >= 0
        and len(value["reasons"]) <= MAX_REASONS
        and all(isinstance(each, str) for key in ("reasons", "quarantined") for each in value[key])
        and weights.keys() == arms.keys() == {"canary", "baseline"}
        and all(type(each) is int and 0 <= each <= assignment.SLOTS for each in weights.values())
        and all(_is_arm(each) for each in arms.values())
    )
    if not good:
        raise InputError("its rollout holds a value that no rollout can have")
    rest = {key: value[key] for key in Rollout._fields if key in value}
    return Rollout(**rest | {
        "weights": (weights["canary"], weights["baseline"]),
        "canary": Arm(**arms["canary"]), "baseline": Arm(**arms["baseline"]),
        "reasons": tuple(value["reasons"]), "quarantined": tuple(value["quarantined"]),
    })  # fmt: skip


def _is_arm(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == _ARM and all(isinstance(each, str) for each in value.values())


def weights(plan: Plan, stage: int) -> tuple[int, int]:
    """Return the slots of canary and baseline in a stage; none where the plan is only tried."""
    found = plan.weights(stage)
    return (0, 0) if plan.dry_run else (found["canary"], found["baseline"])


def identity(environment: str, prompt: str, canary: Arm, plan: str, previous: str) -> str:
    """Return a rollout's id: it follows from what is rolled out and when, so that nobody chooses who gets it first.

    Args:
        environment: where.
        prompt: its name.
        canary: the new release.
        plan: digest of the plan.
        previous: id of the decision before the start.
    """
    value = [environment, prompt, canary.object, plan, previous]
    return hashlib.sha256(canonical.dumps(value)).hexdigest()[:12]


def check(decision: Decision, before: Decision | None, plan: Plan) -> None:
    """Check that a decision of format 2 may follow the one before it, whoever made it and for whatever reason.

    Args:
        decision: of format 2.
        before: the one before it in the chain.
        plan: the one frozen beside it.

    Raises:
        RefusedError: it may not.
    """
    now = decision.rollout
    if now is None:
        raise RefusedError("it is of no rollout")
    if before is None:
        raise RefusedError("a rollout needs a release that serves already")
    _require(decision.time >= before.time, "it is dated before the decision that it follows")
    _require(now.stage <= plan.last, "its plan has no such stage")
    _require((plan.prompt, plan.environment) == (decision.prompt, decision.environment), "its plan is for another")
    last = before.rollout
    if decision.action == START:
        _check_start(decision, now, before, plan)
        return
    if last is None or last.id != now.id or not last.alive:
        raise RefusedError(f"the rollout {now.id} does not run")
    fixed = ("started", "salt", "hash", "canary", "baseline", "plan", "supersedes")
    _require(
        all(getattr(now, name) == getattr(last, name) for name in fixed), "it changes what a rollout never changes"
    )
    _require(set(last.quarantined) <= set(now.quarantined), "it counts a metric again that was set aside")
    if decision.action in (ADVANCE, PROMOTE, OVERRIDE):
        _check_step(decision, now, last, before, plan)
    elif decision.action in (ROLLBACK, END):
        _check_end(decision, now, last, dry_run=plan.dry_run)
    else:
        _check_still(decision, now, last, before)


def _require(holds: object, otherwise: str) -> None:
    if not holds:
        raise RefusedError(otherwise)


def served(decision: Decision) -> Arm:
    """Return what a request without a unit gets."""
    return Arm(decision.tag, decision.tag_object, decision.manifest)


def candidate(decision: Decision) -> str:
    """Return the tag of the newest release that anybody gets: what a rollback leaves."""
    now = decision.rollout
    return now.canary.tag if now is not None and now.alive else decision.tag


def _check_start(decision: Decision, now: Rollout, before: Decision, plan: Plan) -> None:
    last = before.rollout
    running = last.id if last is not None and last.alive else None
    _require(now.supersedes == running, f"it does not name the rollout that it replaces, {running or 'none'}")
    _require(now.id == identity(decision.environment, decision.prompt, now.canary, now.plan, before.oid),
             "its id is not that of its content")  # fmt: skip
    _require(now.stage == 0 and now.since == now.started == decision.time, "it does not begin with the first stage")
    _require(now.baseline == served(before) == served(decision), "its baseline is not what served before")
    _require(now.canary.tag != now.baseline.tag, "it tries what serves already")
    _require(now.state == RUNNING, "it starts in another state than running")
    kept = last.quarantined if last is not None and last.plan == now.plan else ()
    _require(set(kept) <= set(now.quarantined), "it counts a metric again that was set aside")
    _check_weights(now, plan)


def _check_weights(now: Rollout, plan: Plan) -> None:
    _require(now.weights == weights(plan, now.stage), "its weights are not those of its stage")
    _require(now.share == plan.stages[now.stage].share, "its share is not that of its stage")


def _check_step(decision: Decision, now: Rollout, last: Rollout, before: Decision, plan: Plan) -> None:
    final = last.stage + 1 == plan.last
    _require(last.state in (RUNNING, FROZEN) or (decision.action == OVERRIDE and last.state == PAUSED),
             f"a rollout that is {last.state} takes no further step")  # fmt: skip
    _require(now.stage == last.stage + 1 and now.since == decision.time, "it is not the next stage")
    if decision.action != OVERRIDE:
        _require((decision.action == PROMOTE) == final, "only the last stage is a promotion")
    _require(now.state == (PROMOTED if final else RUNNING), "its state is not that of its stage")
    _require(served(decision) == (now.canary if final and not plan.dry_run else served(before)),
             "it serves another release than its stage says")  # fmt: skip
    _check_weights(now, plan)


def _check_end(decision: Decision, now: Rollout, last: Rollout, *, dry_run: bool) -> None:
    _require(now.state == ENDED and now.weights == (0, 0), "it ends a rollout and leaves it running")
    _require((now.stage, now.since, now.share) == (last.stage, last.since, last.share), "it changes the stage")
    if decision.action == END and dry_run:
        _require(served(decision) == now.baseline, "a trial moves nobody")
    elif decision.action == END:
        _require(last.state == PROMOTED and served(decision) == now.canary, "only a promoted rollout ends so")
    else:
        _require(decision.left == now.canary.tag != decision.tag, "it does not leave what it rolls back")
        _require(
            now.verdict is None or served(decision) == now.baseline, "it goes back to another release than it left"
        )


def _check_still(decision: Decision, now: Rollout, last: Rollout, before: Decision) -> None:
    moves = {
        HOLD: {(RUNNING, FROZEN), (FROZEN, RUNNING), (RUNNING, RUNNING), (FROZEN, FROZEN), (PAUSED, PAUSED),
               (PROMOTED, PROMOTED)},
        PAUSE: {(RUNNING, PAUSED), (FROZEN, PAUSED)},
        RESUME: {(PAUSED, RUNNING)},
    }  # fmt: skip
    _require((last.state, now.state) in moves[decision.action], f"{decision.action} does not follow {last.state}")
    same = ("stage", "since", "share", "weights", "scope")
    _require(all(getattr(now, name) == getattr(last, name) for name in same), "it changes who gets what")
    _require(served(decision) == served(before), "it serves another release")
