"""The line of a prompt's releases, in which each names the one before it, and what counts in it.

Only what somebody with the role signed counts: whoever may push a tag could otherwise choose what a canary compares
with, by a release of their own or by a withdrawal. Dates are the signer's own, so a release's place in the line says
when it was made: a key that left the policy still counts in the commits that listed it, and cannot slip one in here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.errors import InputError, PromptopsError, RefusedError
from promptops.registry import version as versions
from promptops.release import signatures, stored
from promptops.release.history import WITHDRAWN
from promptops.repo import tagobject
from promptops.repo.source import TreeSource
from promptops.trust import policy, sshsig

if TYPE_CHECKING:
    from promptops.registry.version import Version
    from promptops.release.manifest import Link
    from promptops.release.stored import Stored
    from promptops.repo.git import Git
    from promptops.repo.tags import ReleaseTag
    from promptops.trust.policy import Trust

WITHDRAWERS = ("rollback", "release")


def policy_of(git: Git, found: Stored, trust: Trust) -> Trust:
    """Return the policy of the commit that an earlier release names, verified up to the root of ``trust``.

    Its own revocations count and not later ones: it is asked whether the release was genuine in its time.

    Raises:
        RefusedError: it does not follow from that root.
    """
    older = policy.load(TreeSource(git, found.manifest.commit))
    if older.digests != trust.digests:
        older.verify_chain(trust.root)
    return older


def check_genuine(git: Git, found: Stored, trust: Trust) -> None:
    """Check that an earlier release was signed by somebody who might release then.

    Raises:
        RefusedError: it was not.
    """
    try:
        signatures.releasers(found.bundle.first, policy_of(git, found, trust))
    except RefusedError as error:
        raise RefusedError(f"{found.manifest.tag} is no release of this repository: {error.message}") from error


def is_withdrawn(git: Git, found: Stored, trust: Trust) -> bool:
    """Return whether somebody with the role rollback or release took a release back.

    Looser than `promptops.release.stored.is_withdrawn` is strict: there a doubt must not serve a release, here it must
    not excuse one from being compared with.

    Args:
        git: the repository.
        found: the release.
        trust: the policy now; that of the release's own commit may name the signer too.
    """
    short = f"{found.manifest.tag}{WITHDRAWN}"
    there = git.object(f"refs/tags/{short}")
    if there is None or there.kind != "tag":
        return False
    for rules in (trust, policy_of(git, found, trust)):
        try:
            check_withdrawal(there.data, short, rules)
        except RefusedError:
            continue
        return True
    return False


def check_withdrawal(data: bytes, short: str, trust: Trust) -> None:
    """Check that a tag object is a withdrawal under its own name, signed by somebody who may withdraw.

    Raises:
        RefusedError: it is not.
    """
    tag = tagobject.parse_tag(data)
    if tag.name != short:
        raise RefusedError(f"the tag object is for {tag.name}")
    who, _ = trust.verify(tag.payload, tag.signature, sshsig.GIT)
    if not any(trust.has_role(who, role) for role in WITHDRAWERS):
        raise RefusedError(f"{who} has not the role {' or '.join(WITHDRAWERS)}")


def previous(git: Git, found: Stored, listed: list[ReleaseTag], trust: Trust) -> str:
    """Follow the links to earlier releases: genuine, in order, none left out, and only withdrawn ones passed over.

    Args:
        git: the repository.
        found: the release.
        listed: all releases of its prompt in this clone, in order of version.
        trust: the policy of its commit.

    Raises:
        PromptopsError: an earlier release is not in this clone.
        RefusedError: a link does not hold.
    """
    stated = found.manifest
    mine = versions.parse(stated.version)
    if stated.previous is None:
        older = _between(git, listed, None, mine, trust)
        if stated.sequence != 1 or stated.baseline or older:
            raise RefusedError(f"it claims to be the first release{f', beside {older}' if older else ''}")
        return "the first release"
    before = read(git, stated.previous)
    check_genuine(git, before, trust)
    skipped = _between(git, listed, versions.parse(before.manifest.version), mine, trust)
    if skipped:
        raise RefusedError(f"it follows {stated.previous.tag} and leaves {skipped} out")
    if stated.sequence != before.manifest.sequence + 1 or before.manifest.name != stated.name:
        raise RefusedError(f"its number {stated.sequence} does not follow that of {stated.previous.tag}")
    if stated.policy["version"] < before.manifest.policy["version"]:
        raise RefusedError(f"it was made under an older policy than {stated.previous.tag}, which came before it")
    step: Link | None = stated.previous
    while step != stated.baseline:
        if step is None or not is_withdrawn(git, read(git, step), trust):
            raise RefusedError("it was compared with an older release than the newest that was not withdrawn")
        step = read(git, step).manifest.previous
    return stated.previous.tag


def following(git: Git, found: Stored, listed: list[ReleaseTag], trust: Trust) -> str:
    """Check that the next release in this clone follows this very release, and not another one in its place.

    Raises:
        RefusedError: it names another one; a tag that nobody entitled signed says nothing.
    """
    newer = [tag.tag for tag in listed if tag.version > versions.parse(found.manifest.version)]
    after = _signed(git, newer[0], trust) if newer else None
    if after is None:
        return "the newest in this clone"
    named = after.manifest.previous
    if named != found.link:
        what = "another manifest under this tag" if named and named.tag == found.tag.name else "another release"
        raise RefusedError(f"{newer[0]} follows {what}: this one was made, or made again, after it")
    return newer[0]


def read(git: Git, link: Link) -> Stored:
    """Return the release that a later one names.

    Raises:
        PromptopsError: it is not in this clone.
        RefusedError: there is another one in its place.
    """
    found = stored.read(git, link.tag)
    if found.digest != link.digest:
        raise RefusedError(f"{link.tag} is not the release that the manifest names: its manifest was replaced")
    return found


def back(git: Git, found: Stored, sequence: int) -> Link | None:
    """Return the release with an earlier number that a release follows, itself where it has that number, or None.

    Raises:
        PromptopsError: one in between is not in this clone.
        RefusedError: there is another one in its place.
    """
    step = found
    while step.manifest.sequence > sequence and step.manifest.previous:
        step = read(git, step.manifest.previous)
    return step.link if step.manifest.sequence == sequence else None


def _between(git: Git, listed: list[ReleaseTag], low: Version | None, high: Version, trust: Trust) -> str | None:
    """Return the tag of a genuine release above ``low`` and below ``high``, or None; a stranger's tag is no release."""
    for each in listed:
        if (low is None or each.version > low) and each.version < high:
            try:
                found = stored.read(git, each.tag)
                check_genuine(git, found, trust)
            except (RefusedError, InputError):
                continue
            except PromptopsError:
                # What cannot be judged here is not known to be a stranger's.
                return each.tag
            # Anybody can put a genuine manifest under another name.
            if found.manifest.tag == each.tag:
                return each.tag
    return None


def _signed(git: Git, short: str, trust: Trust) -> Stored | None:
    """Return a release that somebody signed who might release at its commit, and whose key still counts, else None."""
    try:
        found = stored.read(git, short)
        older = policy_of(git, found, trust)
        signatures.releasers(found.bundle.first, older._replace(revoked_keys=older.revoked_keys + trust.revoked_keys))
    except PromptopsError:
        return None
    return found if found.manifest.tag == short else None
