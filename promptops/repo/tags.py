"""Release tags: ``prompt/<name>@v<version>``, annotated."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from promptops.errors import InputError
from promptops.registry import version as versions

if TYPE_CHECKING:
    from collections.abc import Collection

    from promptops.registry.version import Version
    from promptops.repo.git import Git

PREFIX = "refs/tags/prompt/"


class ReleaseTag(NamedTuple):
    """One release tag.

    Attributes:
        name: the prompt.
        version: its version.
        oid: id of the tag object.
        commit: id of the tagged commit.
    """

    name: str
    version: Version
    oid: str
    commit: str

    @property
    def tag(self) -> str:
        """The tag's short name, ``prompt/<name>@v<version>``."""
        return tag_name(self.name, self.version.text)


def tag_name(name: str, version: str) -> str:
    """Return the tag of a release, without ``refs/tags/``."""
    return f"prompt/{name}@v{version}"


def split_tag(tag: str) -> tuple[str, Version] | None:
    """Return prompt name and version of a release tag (full ref or short name), or None for any other ref."""
    short = tag.removeprefix("refs/tags/")
    name, at, number = short.removeprefix("prompt/").rpartition("@v")
    if not at or not short.startswith("prompt/"):
        return None
    try:
        return name, versions.parse(number)
    except InputError:
        return None


def releases(git: Git, name: str | None = None) -> list[ReleaseTag]:
    """Return the release tags of one prompt, or of all, in order of name and version.

    One git process whatever their number. Lightweight tags are not releases.
    """
    if name is None:
        return _matching(git, [PREFIX])
    return [release for release in _matching(git, [_pattern(name)]) if release.name == name]


def releases_of(git: Git, names: Collection[str]) -> dict[str, list[ReleaseTag]]:
    """Return the release tags of each of ``names``, in order of version; one git process."""
    # Past a handful, one walk over all tags is cheaper than a walk for each pattern.
    patterns = [_pattern(name) for name in names] if len(names) <= 20 else [PREFIX]
    found: dict[str, list[ReleaseTag]] = {name: [] for name in names}
    for release in _matching(git, patterns) if patterns else []:
        if release.name in found:
            found[release.name].append(release)
    return found


def _pattern(name: str) -> str:
    # for-each-ref matches a whole path component or a wildcard, and `*` would cross into other names.
    return f"{PREFIX}{name}@v*"


def _matching(git: Git, patterns: list[str]) -> list[ReleaseTag]:
    listing = git.text(
        "for-each-ref", "--format=%(objectname) %(objecttype) %(*objecttype) %(*objectname) %(refname)", *patterns
    )
    found = []
    for line in listing.splitlines():
        oid, kind, target, commit, ref = line.split(" ", 4)
        parsed = split_tag(ref)
        if kind == "tag" and target == "commit" and parsed:
            found.append(ReleaseTag(*parsed, oid, commit))
    return sorted(found)
