"""What every target shares: the one way to say that an answer is wrong, and a reference reader of JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from promptops.errors import PromptopsError


class ViolationError(AssertionError):
    """The code under test broke a promise: it is wrong, whatever the input."""


def require(condition: object, promise: str) -> None:
    """Raise unless a promise was kept.

    Raises:
        ViolationError: ``condition`` is false.
    """
    if not condition:
        raise ViolationError(promise)


def require_place(error: PromptopsError, path: str, lines: int) -> None:
    """Raise unless a refusal names the file, and a line that the file has (one past the end counts)."""
    require(error.path == path, f"the refusal names no file: {error.message!r}")
    require(error.line is None or 1 <= error.line <= lines + 1, f"the refusal names line {error.line} of {lines}")


def strict_json(data: bytes) -> Any:
    """Return ``data`` as RFC 8259 has it, read by the standard library.

    Raises:
        ValueError: malformed, not UTF-8, a member twice, or NaN and the like.
    """
    return json.loads(data.decode("utf-8"), object_pairs_hook=_members, parse_constant=_constant)


def unique_json(data: bytes) -> Any:
    """Return ``data`` as the standard library reads it, NaN included; members that stand twice raise ValueError."""
    return json.loads(data, object_pairs_hook=_members)


def same(left: Any, right: Any) -> bool:
    """Return whether two JSON values are equal, with ``1``, ``1.0`` and ``true`` kept apart."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
