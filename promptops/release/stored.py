"""Releases as they lie in git: read and parsed, their signatures not yet judged."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from promptops.errors import PromptopsError, RefusedError, UsageError
from promptops.registry.prompt import is_name
from promptops.release import bundle, manifest
from promptops.repo import tagobject, tags

if TYPE_CHECKING:
    from promptops.release.manifest import Link, Manifest
    from promptops.repo.git import Git

FETCH_TAGS = "git fetch --tags"


class Stored(NamedTuple):
    """A release as found.

    Attributes:
        oid: id of the tag object; empty for a bundle without its tag.
        tag: the tag object.
        bundle: its envelopes.
        manifest: the release, from the first envelope.
        digest: SHA-256 (hex) of the manifest's bytes.
    """

    oid: str
    tag: tagobject.TagObject
    bundle: bundle.Bundle
    manifest: Manifest
    digest: str

    @property
    def link(self) -> Link:
        """This release as a later one names it."""
        return manifest.Link(self.manifest.tag, self.digest)


def short_name(text: str) -> str:
    """Return the tag's short name for ``NAME@VERSION``, ``prompt/NAME@vVERSION`` or its full ref.

    Raises:
        UsageError: no release can have this name.
    """
    name, _, number = text.removeprefix("refs/tags/").removeprefix("prompt/").rpartition("@")
    short = tags.tag_name(name, number.removeprefix("v"))
    if not is_name(name) or tags.split_tag(short) is None:
        raise UsageError(f"{text} is not the name of a release", hint="as prompt/NAME@vVERSION; promptops log")
    return short


def find(git: Git, short: str) -> tuple[str, bytes]:
    """Return id and bytes of the tag object that the ref of a release points to.

    Raises:
        PromptopsError: there is no such ref.
        RefusedError: the ref points to something else than an annotated tag.
    """
    found = git.object(f"refs/tags/{short}")
    if found is None:
        raise PromptopsError(f"there is no tag {short} in this clone", hint=f"{FETCH_TAGS}; promptops log")
    if found.kind != "tag":
        raise RefusedError(f"{short} is a lightweight tag: it points to a {found.kind} and carries no signature")
    return found.oid, found.data


def read(git: Git, short: str) -> Stored:
    """Read a release by its tag's short name.

    Raises:
        PromptopsError: there is no such tag.
        RefusedError: it is no release, or is malformed.
    """
    return parse(*find(git, short))


def parse(oid: str, data: bytes) -> Stored:
    """Parse the bytes of a release's tag object.

    Raises:
        RefusedError: it is no release, or is malformed.
    """
    tag = tagobject.parse_tag(data)
    parsed = bundle.parse(bundle.extract(tag.message))
    payload = parsed.first.payload
    return Stored(oid, tag, parsed, manifest.parse(payload), manifest.digest(payload))


def of_bundle(lines: bytes) -> Stored:
    """Parse a release's bundle that travels without its tag; only its own envelopes are signed then.

    Raises:
        RefusedError: it holds no release, or is malformed.
    """
    parsed = bundle.parse(lines)
    found = manifest.parse(parsed.first.payload)
    try:
        created = int(datetime.fromisoformat(found.created).timestamp())
    except ValueError as error:
        raise RefusedError(f"the manifest was created at no time: {found.created}") from error
    tag = tagobject.TagObject(found.commit, "commit", found.tag, created, b"", b"", b"")
    return Stored("", tag, parsed, found, manifest.digest(parsed.first.payload))


def is_withdrawn(git: Git, short: str) -> bool:
    """Return whether a withdrawal of the release exists.

    Anything of that name counts, signed or not: a doubt about a withdrawal must not put a release back in service.
    """
    return git.object(f"refs/tags/{short}!") is not None
