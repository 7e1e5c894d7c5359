"""Deciding what an environment serves: promote a release, or roll back to an earlier one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from promptops.errors import PromptopsError, RefusedError
from promptops.release import authority, candidates, clone, history, journal, live, stored, verify
from promptops.repo import refs, tags
from promptops.trust import sshsig

if TYPE_CHECKING:
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


def promote(place: Desk, prompt: str, environment: str, *, version: str | None, reason: str) -> Decision:
    """Make a release live for everybody in an environment.

    Where the project plans stages for the environment this passes them over, and needs the role override; elsewhere
    it needs the role release.

    Args:
        place: from `desk`.
        prompt: its name.
        environment: one of the project's.
        version: the release; None for the newest that was not withdrawn.
        reason: why, in a sentence.

    Raises:
        UsageError: the project has no such environment.
        RefusedError: the release does not verify, was withdrawn or rolled back from, or the role is missing.
    """
    candidates.releaser(place.trust, place.key, authority.promoting_role(place.project, environment))
    decisions = _decisions(place, environment, prompt)
    standing = [release for release in history.releases(place.git, prompt) if not release.withdrawn]
    if version is None and not standing:
        raise PromptopsError(f"there is no release of {prompt} to promote", hint=f"promptops release {prompt}")
    short = tags.tag_name(prompt, version) if version else standing[0].tag
    return _decide(
        place,
        decisions,
        environment=environment,
        prompt=prompt,
        action=live.PROMOTE,
        short=short,
        left=None,
        reason=reason,
    )


def rollback(place: Desk, prompt: str, environment: str, *, version: str | None, reason: str) -> Decision:
    """Point an environment at an earlier release and never back at the one that it leaves.

    Args:
        place: from `desk`.
        prompt: its name.
        environment: where it serves.
        version: the release; None for the one that served before, or else the newest earlier one that stands.
        reason: why, in a sentence.

    Raises:
        PromptopsError: nothing serves there.
        RefusedError: the release does not verify, was withdrawn or rolled back from, is not earlier, no earlier one
            stands, or the role rollback is missing.
    """
    candidates.releaser(place.trust, place.key, "rollback")
    decisions = _decisions(place, environment, prompt)
    if not decisions:
        raise PromptopsError(f"{environment} serves no {prompt}, so there is nothing to roll back", hint=live.FETCH)
    now = decisions[0].tag
    choice = _earlier(place, decisions)
    short = tags.tag_name(prompt, version) if version else choice[0] if choice else None
    if short is None:
        raise RefusedError(
            f"there is no earlier release of {prompt} that stands", hint=f"fix it forward: promptops bump {prompt}"
        )
    if short not in choice:
        raise RefusedError(
            f"{short} is not an earlier release that stands", hint=f"one of: {', '.join(choice) or 'none'}"
        )
    return _decide(
        place,
        decisions,
        environment=environment,
        prompt=prompt,
        action=live.ROLLBACK,
        short=short,
        left=now,
        reason=reason,
    )


def _earlier(place: Desk, decisions: list[Decision]) -> list[str]:
    """Return the tags that may be rolled back to: those that served last first, then by falling version."""
    now = tags.split_tag(decisions[0].tag)
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


def _decisions(place: Desk, environment: str, prompt: str) -> list[Decision]:
    head = refs.read(place.git, live.ref_of(environment, prompt))
    if head is None:
        return []
    return authority.decisions(place.git, head, place.rules, environment=environment, prompt=prompt, succeeding=True)


def _decide(
    place: Desk,
    decisions: list[Decision],
    *,
    environment: str,
    prompt: str,
    action: str,
    short: str,
    left: str | None,
    reason: str,
) -> Decision:
    found = _fit_to_serve(place, short)
    if authority.is_left(decisions, short, place.rules):
        raise RefusedError(
            f"{environment} rolled back from {short}, which is final",
            hint=f"release a new version: promptops bump {prompt}",
        )
    before = decisions[0] if decisions else None
    oid = live.write(
        place.git,
        place.key,
        environment=environment,
        prompt=prompt,
        action=action,
        tag=short,
        tag_object=found.oid,
        manifest=found.digest,
        left=left,
        reason=candidates.reason_of(reason),
        repository=place.trust.repository,
        before=before,
    )
    ref = live.ref_of(environment, prompt)
    with journal.exclusive(place.git):
        journal.resume(place.git)
        journal.publish(place.git, [refs.Update(ref, oid, before.oid if before else None)], place.remote)
    return live.chain(place.git, oid, environment=environment, prompt=prompt)[0]


def _fit_to_serve(place: Desk, short: str) -> Stored:
    report = verify.release(place.git, short, verify.Options(root=place.trust.root))
    if not report.good or report.stored is None:
        raise RefusedError(f"{short} does not verify: {report.why}", hint=f"promptops verify {short} -v")
    return report.stored


def withdraw(place: Desk, short: str, reason: str) -> str:
    """Take a release back for good and return the tag that says so, ``<tag>!``, as GTO names a deregistration.

    Raises:
        PromptopsError: there is no such release.
        RefusedError: it is withdrawn already, or neither the role rollback nor release is held.
    """
    from promptops.release import tag

    who = candidates.releaser(place.trust, place.key, "rollback", "release")
    oid, _ = stored.find(place.git, short)
    if stored.is_withdrawn(place.git, short):
        raise RefusedError(f"{short} is withdrawn already")
    commit = place.git.commit(oid)
    name = f"{short}{history.WITHDRAWN}"
    message = f"Withdraw {short}\n\nobject  {oid}\nby      {who}\nreason  {candidates.reason_of(reason)}\n"
    made = tag.write(place.git, place.key, target=(commit, "commit"), name=name, message=message.encode())
    with journal.exclusive(place.git):
        journal.resume(place.git)
        journal.publish(place.git, [refs.Update(f"refs/tags/{name}", made)], place.remote)
    return name


def attest(place: Desk, short: str, reason: str) -> str:
    """Sign a release's tag object again, with a key of today's policy, and return the attestation's tag.

    Raises:
        PromptopsError: there is no such release.
        RefusedError: the key is not of a person in the policy.
    """
    from promptops.release import attestation

    found = stored.read(place.git, short)
    candidates.signer(place.trust, place.key, sshsig.GIT, sshsig.RELEASE)
    ref, made = attestation.write(place.git, place.key, found, candidates.reason_of(reason))
    with journal.exclusive(place.git):
        journal.resume(place.git)
        journal.publish(place.git, [refs.Update(ref, made)], place.remote)
    return ref.removeprefix("refs/tags/")
