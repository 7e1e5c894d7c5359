"""Which words of two texts differ."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import NamedTuple

# The comparison takes time with the product of both lengths.
MOST = 1500
_WORD = re.compile(r"\S+|\s+")


class Piece(NamedTuple):
    """A part of a text, and whether the other text lacks it."""

    text: str
    differs: bool


def compare(one: str, other: str) -> tuple[list[Piece], list[Piece]]:
    """Return both texts in pieces; texts of more than `MOST` words are left whole and unmarked."""
    words, others = _WORD.findall(one), _WORD.findall(other)
    if one == other or max(len(words), len(others)) > 2 * MOST:
        return [Piece(one, differs=False)], [Piece(other, differs=False)]
    matcher = SequenceMatcher(None, words, others, autojunk=False)
    left: list[Piece] = []
    right: list[Piece] = []
    for kind, start, end, other_start, other_end in matcher.get_opcodes():
        _add(left, "".join(words[start:end]), differs=kind != "equal")
        _add(right, "".join(others[other_start:other_end]), differs=kind != "equal")
    return left, right


def _add(pieces: list[Piece], text: str, *, differs: bool) -> None:
    if text:
        # Two differences with only a space between them read better as one.
        if differs and len(pieces) > 1 and not pieces[-1].text.strip() and pieces[-2].differs:
            gap = pieces.pop().text
            pieces[-1] = Piece(pieces[-1].text + gap + text, differs=True)
        else:
            pieces.append(Piece(text, differs))
