"""Standing in for a revoked key: people sign the very tag object of a release again.

``attest/<name>@v<version>/<n>`` is a signed tag whose target is the release's tag object. It counts by the newest
policy on the protected branches, so that a key that came later may sign, and a revoked one may not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from promptops.errors import RefusedError
from promptops.release import tag
from promptops.repo import refs, tagobject
from promptops.trust import sshsig

if TYPE_CHECKING:
    from promptops.release.clone import Clone
    from promptops.release.stored import Stored
    from promptops.repo.git import Git
    from promptops.trust.policy import Trust

PREFIX = "refs/tags/attest/"
_TEXT = """\
Attest {tag}

I checked this release and stand for it: its tag object {oid}
and all that it carries. {reason}
"""


def folder(short: str) -> str:
    """Return the refs below which the attestations of a release lie."""
    return f"{PREFIX}{short.removeprefix('prompt/')}/"


def write(git: Git, key: str, found: Stored, reason: str) -> tuple[str, str]:
    """Sign and store an attestation that no ref points to yet; return its ref and its id."""
    taken = refs.listing(git, folder(found.tag.name))
    numbers = [last for last in (ref.rpartition("/")[2] for ref in taken) if last.isascii() and last.isdecimal()]
    number = 1 + max(map(int, numbers), default=0)
    ref = f"{folder(found.tag.name)}{number}"
    text = _TEXT.format(tag=found.tag.name, oid=found.oid, reason=reason)
    target = (found.oid, "tag")
    return ref, tag.write(git, key, target=target, name=ref.removeprefix("refs/tags/"), message=text.encode())


def made_by(git: Git, found: Stored, newest: Trust, who: str) -> str | None:
    """Return the ref of an attestation of a release that somebody made and that counts by a policy, or None."""
    listed = refs.listing(git, folder(found.tag.name))
    return next((ref for ref, oid in listed.items() if _attester(git, found, newest, ref, oid) == who), None)


class Vouchers(NamedTuple):
    """Who attested a release.

    Attributes:
        people: everybody who did; bots do not count.
        releasers: those of them who may release: one stands in for the releaser.
        enough: how many people stand in for the review: one more than the approvals that the policy asks for.
    """

    people: frozenset[str] = frozenset()
    releasers: frozenset[str] = frozenset()
    enough: int = 1

    @property
    def names(self) -> str:
        """The people, for a message."""
        return ", ".join(sorted(self.people))

    @property
    def reviewed(self) -> bool:
        """Whether they stand in for the review too."""
        return bool(self.releasers) and len(self.people) >= self.enough


def vouchers(git: Git, found: Stored, trust: Trust, here: Clone, root: str | None = None) -> Vouchers:
    """Return who attested a release, by the newest policy on the protected branches.

    Raises:
        RefusedError: that policy does not follow from the root.
    """
    listed = refs.listing(git, folder(found.tag.name))
    if not listed:
        return Vouchers()
    newest = here.newest_policy(trust, root)
    people = {who for ref, oid in listed.items() if (who := _attester(git, found, newest, ref, oid))}
    able = {who for who in people if newest.has_role(who, "release")}
    return Vouchers(frozenset(people), frozenset(able), 1 + int(newest.policy["approvals"]["default"]))


def _attester(git: Git, found: Stored, newest: Trust, ref: str, oid: str) -> str | None:
    data = git.object(oid)
    if data is None or data.kind != "tag":
        return None
    try:
        parsed = tagobject.parse_tag(data.data)
        who, _ = newest.verify(parsed.payload, parsed.signature, sshsig.GIT)
    except RefusedError:
        return None
    bound = (parsed.target, parsed.kind, parsed.name) == (found.oid, "tag", ref.removeprefix("refs/tags/"))
    return who if bound and not newest.is_bot(who) else None
