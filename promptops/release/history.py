"""Releases as the tags tell, in one git process however many they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from promptops.repo import tags

if TYPE_CHECKING:
    from promptops.registry.version import Version
    from promptops.repo.git import Git

WITHDRAWN = "!"
_FORMAT = "--format=%(objectname) %(objecttype) %(*objectname) %(taggerdate:unix) %(refname)"


class Release(NamedTuple):
    """One release tag, unverified.

    Attributes:
        oid: id of the tag object.
        commit: id of the tagged commit.
        time: the tagger's clock, seconds since 1970.
        withdrawn: whether a withdrawal of it exists.
    """

    name: str
    version: Version
    oid: str
    commit: str
    time: int
    withdrawn: bool

    @property
    def tag(self) -> str:
        """The tag's short name."""
        return tags.tag_name(self.name, self.version.text)


def releases(git: Git, name: str | None = None) -> list[Release]:
    """Return releases of one prompt, or of all, by name and falling version."""
    pattern = f"{tags.PREFIX}{name}@v*" if name else tags.PREFIX
    lines = [line.split(" ", 4) for line in git.text("for-each-ref", _FORMAT, pattern).splitlines()]
    taken_back = {ref.removesuffix(WITHDRAWN) for *_, ref in lines if ref.endswith(WITHDRAWN)}
    found = []
    for oid, kind, commit, time, ref in lines:
        parsed = tags.split_tag(ref) if kind == "tag" else None
        if parsed and (name is None or parsed[0] == name):
            found.append(Release(*parsed, oid, commit, int(time or 0), ref in taken_back))
    found.sort(key=lambda release: release.version, reverse=True)
    found.sort(key=lambda release: release.name)
    return found
