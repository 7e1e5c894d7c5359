"""Deciding what an environment serves: promote a release, or roll back to an earlier one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from promptops.errors import PromptopsError, RefusedError
from promptops.release import authority, candidates, clone, history, journal, live, ramp, stepping, stored, verify
from promptops.repo import refs, tags
from promptops.trust import sshsig

if TYPE_CHECKING:
    from collections.abc import Callable

    from promptops.registry.project import Project
    from promptops.release.live import Decision
    from promptops.release.stored import Stored
    from promptops.repo.git import Git
    from promptops.trust.policy import Trust


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a decision is made.

    Attributes:
        rules: what decides which decisions count here: the newest policy on the protected branches, and their settings.
        key: the signing key.
        remote: where decisions are pushed before they count here; None to keep them here.
    """

    git: Git
    rules: authority.Rules
    key: str
    remote: str | None

    @property
    def trust(self) -> Trust:
        """The newest policy on the protected branches."""
        return self.rules.trust

    @property
    def project(self) -> Project:
        """The project's settings."""
        return self.rules.project


def desk(git: Git, *, key: str | None, push: bool | None, remote: str | None) -> Desk:
    """Open the policy, the project's settings and the key.

    Args:
        git: the repository.
        key: signing key, or None for the configured one.
        push: whether to push; None for the project's setting.
        remote: the remote; None for the project's.

    Raises:
        PromptopsError: there is no policy, no commit or no key.
    """
    rules = authority.rules(git, clone.newest_trust(git))
    wanted = rules.project.push if push is None else push
    return Desk(git, rules, sshsig.signing_key(git, key), (remote or rules.project.remote) if wanted else None)


class _Wish(NamedTuple):
    """What a person asks for.

    Attributes:
        action: `live.PROMOTE` or `live.ROLLBACK`.
        version: of the release that is to serve; None to choose it.
        reason: why, as `candidates.reason_of` returns it.
        tell: is told the decision once it is recorded, or found recorded by the same command, which was killed before
            it could say so: a second rollback would go one release too far.
        scope: of a rollback of a running rollout; None for the plan's.
    """

    action: str
    environment: str
    prompt: str
    version: str | None
    reason: str
    tell: Callable[[Decision], None] | None
    scope: str | None = None

    @property
    def short(self) -> str | None:
        """The tag of the release, or None to choose it."""
        return tags.tag_name(self.prompt, self.version) if self.version else None

    def is_met_by(self, decision: Decision) -> bool:
        """Return whether a decision is what the same command recorded."""
        same = (decision.action, decision.reason) == (self.action, self.reason)
        return same and self.short in (None, decision.tag)

    def told(self, decision: Decision) -> None:
        """Tell who asked."""
        if self.tell:
            self.tell(decision)


def promote(
    place: Desk,
    prompt: str,
    environment: str,
    *,
    version: str | None,
    reason: str,
    tell: Callable[[Decision], None] | None = None,
) -> Decision:
    """Make a release live for everybody in an environment.

    Where the project plans stages for the environment this passes them over, and needs the role override; elsewhere
    it needs the role release.

    Args:
        place: from `desk`.
        prompt: its name.
        environment: one of the project's.
        version: the release; None for the newest that was not withdrawn.
        reason: why, in a sentence.
        tell: see `_Wish`.

    Raises:
        UsageError: the project has no such environment.
        RefusedError: the release does not verify, was withdrawn or rolled back from, or the role is missing.
    """
    candidates.releaser(place.trust, place.key, authority.promoting_role(place.project, environment))
    return _decide(place, _Wish(live.PROMOTE, environment, prompt, version, candidates.reason_of(reason), tell))


def _to_promote(place: Desk, wish: _Wish) -> str:
    standing = [release for release in history.releases(place.git, wish.prompt) if not release.withdrawn]
    if wish.short is None and not standing:
        raise PromptopsError(f"there is no release of {wish.prompt} to promote", hint=_first(place.git, wish.prompt))
    return wish.short or standing[0].tag


def _first(git: Git, prompt: str) -> str:
    """Return the next step where no release stands: of a prompt whose releases were withdrawn it is another prompt."""
    if history.releases(git, prompt):
        return f"every release was withdrawn: mend the prompt, then promptops bump {prompt}; promptops release {prompt}"
    return f"promptops release {prompt}"


def rollback(
    place: Desk,
    prompt: str,
    environment: str,
    *,
    version: str | None,
    reason: str,
    tell: Callable[[Decision], None] | None = None,
    scope: str | None = None,
) -> Decision:
    """Point an environment at an earlier release and never back at the one that it leaves.

    Where a rollout runs, it ends, and what is left is the release that it brings.

    Args:
        place: from `desk`.
        prompt: its name.
        environment: where it serves.
        version: the release; None for the one that served before, or else the newest earlier one that stands.
        reason: why, in a sentence.
        tell: see `_Wish`.
        scope: of a rollback of a running rollout, `ramp.IMMEDIATE` or `ramp.NEW_CONVERSATIONS`; None for the plan's.

    Raises:
        PromptopsError: nothing serves there.
        RefusedError: the release does not verify, was withdrawn or rolled back from, is not earlier, no earlier one
            stands, or the role rollback is missing.
    """
    candidates.releaser(place.trust, place.key, "rollback")
    wish = _Wish(live.ROLLBACK, environment, prompt, version, candidates.reason_of(reason), tell, scope)
    return _decide(place, wish, patience=10)


def _to_roll_back_to(place: Desk, wish: _Wish, decisions: list[Decision]) -> str:
    if not decisions:
        message = f"{wish.environment} serves no {wish.prompt}, so there is nothing to roll back"
        raise PromptopsError(message, hint=live.FETCH)
    choice = _earlier(place, decisions)
    short = wish.short or (choice[0] if choice else None)
    if short is None:
        message = f"there is no earlier release of {wish.prompt} that stands"
        raise RefusedError(message, hint=f"fix it forward: promptops bump {wish.prompt}")
    if short not in choice:
        raise RefusedError(
            f"{short} is not an earlier release that stands", hint=f"one of: {', '.join(choice) or 'none'}"
        )
    return short


def _earlier(place: Desk, decisions: list[Decision]) -> list[str]:
    """Return the tags that may be rolled back to: those that served last first, then by falling version."""
    now = tags.split_tag(ramp.candidate(decisions[0]))
    fit = [
        release.tag
        for release in history.releases(place.git, decisions[0].prompt)
        if not release.withdrawn
        and now
        and release.version < now[1]
        and not authority.is_left(decisions, release.tag, place.rules)
    ]
    served = [decision.tag for decision in decisions if decision.tag in fit]
    return list(dict.fromkeys([*served, *fit]))


def is_ramping(git: Git, environment: str, prompt: str) -> bool:
    """Return whether the newest decision that this clone has is of a rollout that runs; it is not judged."""
    head = refs.read(git, live.ref_of(environment, prompt))
    try:
        rollout = live.read(git, head).rollout if head else None
    except PromptopsError:
        return False
    return rollout is not None and rollout.alive


def decisions(place: Desk, environment: str, prompt: str) -> list[Decision]:
    """Return the decisions about a prompt, newest first, of which the newest counts; none where nothing serves.

    Raises:
        RefusedError: the newest does not count.
    """
    head = refs.read(place.git, live.ref_of(environment, prompt))
    if head is None:
        return []
    return authority.decisions(place.git, head, place.rules, environment=environment, prompt=prompt, succeeding=True)


def _decide(place: Desk, wish: _Wish, patience: float = 0) -> Decision:
    """Record what is wished, unless that is what an interrupted command had recorded before it could say so."""
    ref = live.ref_of(wish.environment, wish.prompt)
    finished: list[Decision] = []

    def recognise(moved: list[str]) -> None:
        found = decisions(place, wish.environment, wish.prompt) if ref in moved else []
        if found and wish.is_met_by(found[0]):
            finished.append(found[0])
            wish.told(found[0])

    with journal.exclusive(place.git, patience):
        journal.resume(place.git, recognise)
        return finished[0] if finished else _record(place, wish, ref)


def _record(place: Desk, wish: _Wish, ref: str) -> Decision:
    older = decisions(place, wish.environment, wish.prompt)
    rolls_back = wish.action == live.ROLLBACK
    short = _to_roll_back_to(place, wish, older) if rolls_back else _to_promote(place, wish)
    found = fit_to_serve(place, short)
    if authority.is_left(older, short, place.rules):
        raise RefusedError(
            f"{wish.environment} rolled back from {short}, which is final",
            hint=f"release a new version: promptops bump {wish.prompt}",
        )
    before = older[0] if older else None
    if rolls_back and before and before.rollout and before.rollout.alive:
        arm = ramp.Arm(short, found.oid, found.digest)
        return stepping.record(
            place, before, ramp.ROLLBACK, stepping.rolled_back(before, wish.reason, wish.scope), serves=arm,
            reason=wish.reason, at=stepping.moment(before, urgent=True),
            files={"plan.json": live.plan_of(place.git, before)}, tell=wish.told,
        )  # fmt: skip
    oid = live.write(
        place.git,
        place.key,
        environment=wish.environment,
        prompt=wish.prompt,
        action=wish.action,
        tag=short,
        tag_object=found.oid,
        manifest=found.digest,
        left=before.tag if rolls_back and before else None,
        reason=wish.reason,
        repository=place.trust.repository,
        before=before,
    )
    decision = live.read(place.git, oid)
    update = refs.Update(ref, oid, before.oid if before else None)
    journal.publish(place.git, [update], place.remote, lambda: wish.told(decision))
    return decision


def fit_to_serve(place: Desk, short: str) -> Stored:
    """Return a release that verifies.

    Raises:
        PromptopsError: it does not, or could not be checked.
    """
    report = verify.release(place.git, short, verify.Options(root=place.trust.root))
    if not report.good or report.stored is None:
        raise report.error(f"{short} does not verify", f"promptops verify {short} -v")
    return report.stored


def withdraw(place: Desk, short: str, reason: str) -> str:
    """Take a release back for good and return the tag that says so, ``<tag>!``, as GTO names a deregistration.

    Raises:
        PromptopsError: there is no such release.
        RefusedError: it is withdrawn already, or neither the role rollback nor release is held.
    """
    from promptops.release import tag

    who = candidates.releaser(place.trust, place.key, "rollback", "release")
    why = candidates.reason_of(reason)
    name = f"{short}{history.WITHDRAWN}"
    with journal.exclusive(place.git):
        if f"refs/tags/{name}" in journal.resume(place.git):
            return name
        oid, _ = stored.find(place.git, short)
        if stored.is_withdrawn(place.git, short):
            raise RefusedError(f"{short} is withdrawn already")
        commit = place.git.commit(oid)
        message = f"Withdraw {short}\n\nobject  {oid}\nby      {who}\nreason  {why}\n"
        made = tag.write(place.git, place.key, target=(commit, "commit"), name=name, message=message.encode())
        journal.publish(place.git, [refs.Update(f"refs/tags/{name}", made)], place.remote)
    return name


def attest(place: Desk, short: str, reason: str) -> str:
    """Sign a release's tag object again, with a key of today's policy, and return the attestation's tag.

    Whoever has signed it already, as before a kill, gets that tag again; it is pushed where it is not there yet.

    Raises:
        PromptopsError: there is no such release.
        RefusedError: the key is not of a person in the policy.
    """
    from promptops.release import attestation

    found = stored.read(place.git, short)
    who = candidates.signer(place.trust, place.key, sshsig.GIT, sshsig.RELEASE)
    why = candidates.reason_of(reason)
    with journal.exclusive(place.git):
        journal.resume(place.git)
        ref = attestation.made_by(place.git, found, place.trust, who)
        if ref is None:
            ref, made = attestation.write(place.git, place.key, found, why)
            journal.publish(place.git, [refs.Update(ref, made)], place.remote)
        elif place.remote and not refs.remote_refs(place.git, place.remote, [ref]):
            refs.push(place.git, place.remote, [refs.Update(ref, place.git.text("rev-parse", ref))])
    return ref.removeprefix("refs/tags/")
