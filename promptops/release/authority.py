"""Which decisions on a live ref count: those that the newest policy lets their signer make."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, NamedTuple

from promptops.errors import InputError, PromptopsError, RefusedError
from promptops.registry.governed import ROLLOUTS
from promptops.release import clone, live, ramp
from promptops.repo import tagobject
from promptops.trust import sshsig

if TYPE_CHECKING:
    from collections.abc import Callable

    from promptops.registry.project import Project
    from promptops.release.live import Decision
    from promptops.repo.git import Git
    from promptops.trust.policy import Trust

# A stranger may have piled up more bad decisions than anybody wants to wait for.
_LOOKED_AT = 50
_WIDENING = frozenset({ramp.START, ramp.ADVANCE, ramp.PROMOTE, ramp.OVERRIDE})
# Decisions that this process has checked, each with what it was checked by.
_SOUND: set[tuple[str, tuple[str, bytes, str]]] = set()


class Rules(NamedTuple):
    """What decides which decisions count: the newest policy, the project's settings, and the policies before.

    Attributes:
        past: returns the earlier versions of the policy, without the keys that were revoked since.
    """

    trust: Trust
    project: Project
    past: Callable[[], list[Trust]] = list


def rules(git: Git, trust: Trust) -> Rules:
    """Return what decides in this clone by the newest policy ``trust``."""
    return Rules(trust, clone.settings(git, trust), cache(lambda: clone.earlier_policies(git, trust)))


def promoting_role(project: Project, environment: str) -> str:
    """Return the role that a promotion in one step needs.

    Raises:
        UsageError: the project has no such environment.
    """
    return "override" if project.environment(environment).get("stages") else "release"


def check(decision: Decision, rules: Rules, role: str | None = None) -> None:
    """Check that who signed a decision may make it.

    Args:
        decision: of either format.
        rules: what decides which count.
        role: that it needs; None for the one that its action needs.

    Raises:
        RefusedError: the signature does not verify, the role is missing, or it is for another repository.
    """
    trust = rules.trust
    if decision.repository not in trust.names:
        raise RefusedError(f"it is for the repository {decision.repository}")
    who, _ = trust.verify(decision.commit.payload, decision.commit.signature, sshsig.GIT)
    role = role or _role(decision, rules)
    if not trust.has_role(who, role):
        raise RefusedError(f"{who} has not the role {role}")


def _role(decision: Decision, rules: Rules) -> str:
    if decision.action == live.ROLLBACK:
        return "rollback"
    if decision.action == ramp.OVERRIDE:
        return "override"
    return "release" if decision.rollout else promoting_role(rules.project, decision.environment)


def check_step(git: Git, decision: Decision, before: Decision | None, rules: Rules, *, old: bool = True) -> None:
    """Check that a decision of a rollout follows from the one before, its plan and its evidence, and who made it.

    Args:
        git: the repository.
        decision: of format 2.
        before: the one before it in the chain.
        rules: what decides which count.
        old: whether it may be of the past, so that an earlier policy may have allowed it.

    Raises:
        RefusedError: it may not follow, its plan was never on a protected branch, or it goes on without proof.
    """
    from promptops.rollout import deriving

    plan = deriving.plan_of(git, decision)
    ramp.check(decision, before, plan)
    if decision.action == ramp.START:
        _check_governed(git, decision, rules.trust)
    if not old:
        rules = rules._replace(past=list)
    forward = decision.action in (ramp.ADVANCE, ramp.PROMOTE, ramp.END)
    if not forward or before is None:
        check_counting(decision, rules)
    else:
        # Whoever may go on without proof says so: such a step is an override, and never looks like a proved one.
        try:
            deriving.check(git, decision, before)
        except InputError as error:
            raise RefusedError(f"its evidence is malformed: {error.message}") from error
        except RefusedError as error:
            raise RefusedError(f"its evidence does not prove it: {error.message}") from error
        check_counting(decision, rules, "release")


def _check_governed(git: Git, decision: Decision, trust: Trust) -> None:
    from promptops.rollout.plan import Plan

    path = f"{ROLLOUTS}{decision.prompt}.yaml"
    for data in clone.versions_of(git, trust, path):
        try:
            if decision.rollout and Plan.parse(path, data).digest == decision.rollout.plan:
                return
        except InputError:
            continue
    raise RefusedError(f"its plan was never {path} on a protected branch")


def check_counting(decision: Decision, rules: Rules, role: str | None = None) -> None:
    """Check who made a decision by the newest policy or, for one of the past, by an earlier one.

    Raises:
        RefusedError: it counts by none of them.
    """
    try:
        check(decision, rules, role)
    except RefusedError:
        if not any(_counts_by(decision, rules._replace(trust=trust), role) for trust in rules.past()):
            raise


def is_left(decisions: list[Decision], tag: str, rules: Rules) -> bool:
    """Return whether a rollback that counts left a release for good; one that nobody may have made does not count.

    It counts by the policy now or by an earlier one: a rollback is final, though its signer's key or role went since.
    """
    return any(decision.left == tag and _counts(decision, rules) for decision in decisions)


def _counts(decision: Decision, rules: Rules) -> bool:
    return any(_counts_by(decision, rules._replace(trust=trust)) for trust in (rules.trust, *rules.past()))


def _counts_by(decision: Decision, rules: Rules, role: str | None = None) -> bool:
    try:
        check(decision, rules, role)
    except RefusedError:
        return False
    return True


def decisions(
    git: Git, head: str, rules: Rules, *, environment: str, prompt: str, succeeding: bool = False
) -> list[Decision]:
    """Return all decisions from the newest to the first, of which the newest counts.

    Whoever decides on top of a decision vouches for it, so nobody may do that unseen.

    Args:
        git: the repository.
        head: id of the newest decision's commit.
        rules: what decides which count.
        environment: where they serve.
        prompt: the prompt.
        succeeding: whether they are about to be followed by another: then the newest may be of somebody who could
            decide at the time, and whose key was rotated or taken out of the policy since.

    Raises:
        PromptopsError: the newest is not in this clone.
        RefusedError: they form no chain, the newest does not count, or it serves what was rolled back from; the hint
            says how to go on from the last one that counts.
    """
    ref = live.ref_of(environment, prompt)
    if git.object(head) is None:
        hint = f"{live.FETCH}; or, where nobody has it: git update-ref -d {ref}"
        raise PromptopsError(f"{ref} points to {head[:12]}, which is not in this clone", hint=hint)
    try:
        return _good(git, head, rules, environment, prompt)
    except RefusedError as error:
        gone = _of_the_past(git, head, rules, environment, prompt)
        if gone and succeeding:
            return gone
        if gone:
            raise _successor_wanted(gone[0], error) from error
        good = _last_good(git, head, rules, environment, prompt)
        raise RefusedError(
            f"what {environment} serves of {prompt} does not hold, decision {head[:12]}: {error.message}",
            hint=_next(ref, head, good, rules.project),
        ) from error


def _good(git: Git, head: str, rules: Rules, environment: str, prompt: str) -> list[Decision]:
    found = live.chain(git, head, environment=environment, prompt=prompt)
    check(found[0], rules)
    _check_served(git, found, rules)
    return found


def _check_served(git: Git, newest_first: list[Decision], rules: Rules, *, old: bool = False) -> None:
    """Check what the newest decision serves: nothing that was left, and each step that widened an arm on its merits.

    A rollback, and a promotion in one step, says by itself all that is served; the steps of a rollout build on what
    was before, so they are followed down to the next of those.
    """
    for tag in served_tags(newest_first[0]):
        if is_left(newest_first, tag, rules):
            raise RefusedError(f"it serves {tag} again after a rollback from it")
    by = (rules.trust.digest, rules.trust.revoked_keys, promoting_role(rules.project, newest_first[0].environment))
    for place, decision in enumerate(newest_first):
        if (decision.oid, by) in _SOUND:
            break
        before = newest_first[place + 1] if place + 1 < len(newest_first) else None
        if decision.rollout is None:
            if place:
                check_counting(decision, rules)
            break
        if decision.action in _WIDENING or decision.action == ramp.ROLLBACK or not place:
            _explained(decision, partial(check_step, old=old or place > 0), git, decision, before, rules)
        else:
            from promptops.rollout import deriving

            _explained(decision, ramp.check, decision, before, deriving.plan_of(git, decision))
        if decision.action == ramp.ROLLBACK:
            break
    else:
        place = len(newest_first)
    if not old:
        # What holds under a policy holds under it for good.
        _SOUND.update((each.oid, by) for each in newest_first[:place])


def _explained(decision: Decision, call: Callable[..., None], *arguments: object) -> None:
    try:
        call(*arguments)
    except RefusedError as error:
        message = f"number {decision.sequence}, {decision.action}: {error.message}"
        raise RefusedError(message, hint=error.hint) from error


def served_tags(decision: Decision) -> list[str]:
    """Return the releases that anybody gets by a decision."""
    now = decision.rollout
    arms = zip((now.canary, now.baseline), now.weights, strict=True) if now else ()
    return list(dict.fromkeys([decision.tag, *(arm.tag for arm, weight in arms if weight)]))


def _of_the_past(git: Git, head: str, rules: Rules, environment: str, prompt: str) -> list[Decision]:
    """Return the decisions whose newest only counted under an earlier policy, or nothing."""
    try:
        found = live.chain(git, head, environment=environment, prompt=prompt)
    except RefusedError:
        return []
    if not _counts(found[0], rules):
        return []
    try:
        _check_served(git, found, rules, old=True)
    except RefusedError:
        return []
    return found


def _successor_wanted(decision: Decision, error: RefusedError) -> RefusedError:
    name = decision.tag.removeprefix("prompt/").replace("@v", "@")
    return RefusedError(
        f"what {decision.environment} serves of {decision.prompt} was decided by somebody who may not do so any more,"
        f" decision {decision.oid[:12]}: {error.message}",
        hint=f"somebody who may decides again: promptops promote {name} --env {decision.environment} --reason REASON",
    )


def _last_good(git: Git, head: str, rules: Rules, environment: str, prompt: str) -> Decision | None:
    oid: str | None = head
    for _ in range(_LOOKED_AT):
        try:
            found = git.object(oid) if oid else None
            oid = tagobject.parse_commit(found.data).parent if found and found.kind == "commit" else None
        except RefusedError:
            oid = None
        if oid is None:
            return None
        try:
            return _good(git, oid, rules, environment, prompt)[0]
        except PromptopsError:
            continue
    return None


def _next(ref: str, head: str, good: Decision | None, project: Project) -> str:
    if good is None:
        return f"no decision before it holds: git reflog {ref}; git update-ref -d {ref} {head}; then promptops promote"
    steps = f"git update-ref {ref} {good.oid} {head}"
    if project.push:
        steps += f"; git push --force-with-lease={ref}:{head} {project.remote} {good.oid}:{ref}"
    return f"go on from the last good decision, number {good.sequence} for {good.tag}: {steps}"
