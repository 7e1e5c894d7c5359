"""Which earlier releases and withdrawals count when a release follows them: only what somebody with the role signed.

Whoever may push a tag could otherwise choose what a canary compares with, by a release of their own or by a withdrawal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.errors import InputError, PromptopsError, RefusedError
from promptops.release import signatures, stored
from promptops.release.history import WITHDRAWN
from promptops.repo import tagobject, tags
from promptops.repo.source import TreeSource
from promptops.trust import policy, sshsig

if TYPE_CHECKING:
    from promptops.registry.version import Version
    from promptops.release.stored import Stored
    from promptops.repo.git import Git
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


def between(git: Git, name: str, low: Version | None, high: Version, trust: Trust) -> str | None:
    """Return the tag of a genuine release above ``low`` and below ``high``, or None; a stranger's tag is no release."""
    for each in tags.releases(git, name):
        if (low is None or each.version > low) and each.version < high:
            try:
                check_genuine(git, stored.read(git, each.tag), trust)
            except (RefusedError, InputError):
                continue
            except PromptopsError:
                # What cannot be judged here is not known to be a stranger's.
                return each.tag
            return each.tag
    return None
