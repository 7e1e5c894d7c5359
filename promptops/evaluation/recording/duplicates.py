"""Telling texts that say the same apart from those that only look alike."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

NEAR = 0.8
_WORDS = 3


def normal(value: Any) -> str:
    """Return the texts of a JSON value without differences of case, spaces and compatibility characters."""
    return " ".join(unicodedata.normalize("NFKC", " ".join(_texts(value))).casefold().split())


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key in sorted(value):
            yield from _texts(value[key])
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif value is not None:
        yield str(value)


def shingles(text: str) -> frozenset[tuple[str, ...]]:
    """Return the runs of three words of a normal text; a shorter text is one run."""
    words = text.split()
    return frozenset(tuple(words[start : start + _WORDS]) for start in range(max(1, len(words) - _WORDS + 1)))


def jaccard(one: frozenset[Any], other: frozenset[Any]) -> float:
    """Return the share of common shingles among all, in [0, 1] (Broder, "On the resemblance of documents", 1997)."""
    return len(one & other) / len(one | other) if one | other else 1.0


class Seen:
    """Texts that are there already.

    Args:
        near: texts that share so much, as `jaccard` counts it, are near-duplicates; 1 keeps all but exact ones.
    """

    def __init__(self, near: float = NEAR) -> None:
        self._near = near
        self._exact: set[str] = set()
        self._shingles: list[frozenset[tuple[str, ...]]] = []

    def kind(self, value: Any) -> str | None:
        """Say whether a value is a ``duplicate`` or ``near-duplicate`` of one that was added."""
        text = normal(value)
        if text in self._exact:
            return "duplicate"
        mine = shingles(text)
        return "near-duplicate" if any(jaccard(mine, other) >= self._near for other in self._shingles) else None

    def add(self, value: Any) -> None:
        """Remember a value."""
        text = normal(value)
        self._exact.add(text)
        self._shingles.append(shingles(text))
