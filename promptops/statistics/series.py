"""Ordered small integers as short text: the sufficient statistics of a betting test."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING

from promptops.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

GRID = 1000
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NAMED = {None: ".", 0: "=", GRID: "+", -GRID: "-"}
_VALUES: dict[str, int | None] = {symbol: value for value, symbol in _NAMED.items()}
_TOKEN = re.compile(r"([1-9][0-9]{0,8})?([.=+-]|[a-zA-Z]{2})")


def encode(values: Iterable[int | None]) -> str:
    """Return the text of integers in [-1000, 1000]; None marks a position without a value.

    ``.`` none, ``=`` 0, ``+`` 1000, ``-`` -1000, otherwise two letters to base 52 of value + 1000; a decimal number in
    front repeats the symbol. Each sequence has one text.
    """
    parts = []
    for value, group in groupby(values):
        symbol = _NAMED.get(value) or _pair(value)
        count = sum(1 for _ in group)
        parts.append(symbol if count == 1 else f"{count}{symbol}")
    return "".join(parts)


def _pair(value: int | None) -> str:
    if value is None or not -GRID <= value <= GRID:
        raise ValueError(f"{value} lies outside [-{GRID}, {GRID}]")
    high, low = divmod(value + GRID, len(_LETTERS))
    return _LETTERS[high] + _LETTERS[low]


def decode(text: str, length: int) -> list[int | None]:
    """Return the integers of `encode`.

    Args:
        text: what `encode` wrote; may come from anybody.
        length: how many positions it must hold; nothing longer is expanded.

    Raises:
        InputError: when ``text`` is not the text of a sequence of that length.
    """
    values: list[int | None] = []
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise InputError(f"evidence holds no value at character {position + 1} of a series")
        count = int(token[1] or 1)
        if len(values) + count > length:
            raise InputError(f"evidence holds a series of more than {length} pairs")
        values.extend([_value(token[2])] * count)
        position = token.end()
    if len(values) != length or encode(values) != text:
        raise InputError(f"evidence holds a series that is not the text of {length} pairs")
    return values


def _value(symbol: str) -> int | None:
    if symbol in _VALUES:
        return _VALUES[symbol]
    value = _LETTERS.index(symbol[0]) * len(_LETTERS) + _LETTERS.index(symbol[1]) - GRID
    if value > GRID:
        raise InputError(f"evidence holds {symbol!r}, which stands for no value")
    return value
