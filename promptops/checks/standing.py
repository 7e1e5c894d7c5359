"""Whether a version is legal, and the least one that would be.

A configuration is legal when (name, version, digest) equals a release, or its version is untagged, above every
released version of that name, and its grade is at least that of the change since the newest release. Where nothing was
released, an earlier state takes the place of the newest release.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from promptops.registry import version as versions

if TYPE_CHECKING:
    from promptops.checks.history import History
    from promptops.registry.configuration import Configuration
    from promptops.registry.version import Version

UNCHANGED_VERSION = "unchanged version"
TAKEN_OR_LOWER = "taken or lower"
GRADE_TOO_SMALL = "grade too small"


class Standing(NamedTuple):
    """The judgement of one version.

    Attributes:
        problem: None when legal, or one of this module's three constants.
        message: what is wrong.
        least: the least legal version, or None when legal.
    """

    problem: str | None = None
    message: str = ""
    least: Version | None = None


LEGAL = Standing()


def judge(current: Configuration, history: History) -> Standing:
    """Return the standing of ``current`` against its releases, or its earlier states where there are none.

    Raises:
        InputError: the version is no semantic version.
        GitError: the clone is shallow and may lack the tags.
    """
    version = versions.parse(current.prompt.version)
    releases = history.releases(current.prompt.name)
    if not releases:
        return _against_states(current, version, history)
    same = [release for release in releases if release.version == version]
    for release in same:
        old = history.released(release)
        if old is not None and old.digest == current.digest:
            return LEGAL
    newest = releases[-1]
    return _compare(
        current,
        version,
        old=history.released(newest),
        old_version=newest.version,
        taken=bool(same),
        where=f"release {newest.tag}",
    )


def _against_states(current: Configuration, version: Version, history: History) -> Standing:
    standing = LEGAL
    for position in range(history.states):
        old = history.before(current.prompt.name, position)
        if old is None or old.digest == current.digest:
            return LEGAL
        old_version = versions.parse(old.prompt.version)
        standing = _compare(
            current, version, old=old, old_version=old_version, taken=version == old_version, where="the base"
        )
        if standing.problem is None:
            return LEGAL
    return standing


def _compare(
    current: Configuration,
    version: Version,
    *,
    old: Configuration | None,
    old_version: Version,
    taken: bool,
    where: str,
) -> Standing:
    # What cannot be read any more cannot be shown to be compatible.
    needed = versions.grade(old, current) if old is not None else "major"
    least = old_version.bump("patch" if needed == "none" else needed)
    name = current.prompt.name
    if version == old_version:
        message = f"{name} changed since {where}, but its version is still {version.text}"
        return Standing(UNCHANGED_VERSION, message, least)
    if taken:
        return Standing(TAKEN_OR_LOWER, f"version {version.text} of {name} was released with other content", least)
    if version < old_version:
        message = f"version {version.text} of {name} is below {old_version.text}, the version of {where}"
        return Standing(TAKEN_OR_LOWER, message, least)
    given = version.grade_above(old_version)
    if versions.GRADES.index(given) < versions.GRADES.index(needed):
        message = (
            f"{name} went from {old_version.text} to {version.text}, a {given} step, but this change since {where}"
            f" needs a {needed} step"
        )
        return Standing(GRADE_TOO_SMALL, message, least)
    return LEGAL
