"""Semantic versions and the grade of a change."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import InputError

if TYPE_CHECKING:
    from promptops.registry.configuration import Configuration

_SEMVER = re.compile(
    r"(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})"
    r"(?:-((?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
)
GRADES = ("none", "patch", "minor", "major")

# They describe a variable to people and change no request.
_PROSE = frozenset({"title", "description", "examples", "$comment"})


class Version(NamedTuple):
    """A semantic version without build metadata (semver.org 2.0.0); orders by precedence."""

    major: int
    minor: int
    patch: int
    # An empty pre-release sorts last: (1,) is above every (0, ...).
    precedence: tuple[Any, ...]
    text: str

    def bump(self, grade: str) -> Version:
        """Return the next version of ``grade`` (``major``, ``minor`` or ``patch``)."""
        if grade == "major":
            return parse(f"{self.major + 1}.0.0")
        if grade == "minor":
            return parse(f"{self.major}.{self.minor + 1}.0")
        return parse(f"{self.major}.{self.minor}.{self.patch + 1}")

    def grade_above(self, older: Version) -> str:
        """Return the grade of the step from ``older`` to this version."""
        for name, mine, theirs in zip(GRADES[:0:-1], self[:3], older[:3], strict=True):
            if mine != theirs:
                return name if mine > theirs else "none"
        return "patch" if self > older else "none"


def parse(text: str) -> Version:
    """Parse a version such as ``1.4.0`` or ``2.0.0-rc.1``.

    Raises:
        InputError: not a semantic version, or one with build metadata.
    """
    match = _SEMVER.fullmatch(text) if isinstance(text, str) and len(text) <= 80 else None
    if match is None:
        raise InputError(f"{str(text)[:40]!r} is not a semantic version", hint='write it quoted, as "1.4.0"')
    precedence: tuple[Any, ...] = (1,)
    if match[4]:
        parts = match[4].split(".")
        precedence = (0, *((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts))
    return Version(int(match[1]), int(match[2]), int(match[3]), precedence, text)


def grade(old: Configuration, new: Configuration) -> str:
    """Return the least grade that a change from ``old`` to ``new`` needs.

    ``none`` when both have one digest; ``major`` when a caller may break (a variable removed, renamed, retyped or
    newly required; another output schema); ``minor`` when the model, a parameter, a tool, the context or an optional
    variable changed; ``patch`` for text.
    """
    if old.digest == new.digest:
        return "none"
    was, now = old.prompt, new.prompt
    if was.output != now.output or _breaks_callers(was.variables, now.variables):
        return "major"
    shapes = [(each.parameters, each.tools, each.context, each.variables) for each in (was, now)]
    return "minor" if shapes[0] != shapes[1] or old.model_identity != new.model_identity else "patch"


def _breaks_callers(was: dict[str, Any], now: dict[str, Any]) -> bool:
    if was.keys() - now.keys():
        return True
    if any("default" not in now[name] for name in now.keys() - was.keys()):
        return True
    return any(
        _contract(was[name]) != _contract(now[name]) or ("default" in was[name] and "default" not in now[name])
        for name in was
    )


def _contract(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in _PROSE and key != "default"}
