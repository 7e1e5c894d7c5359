"""The standard order of the keys of a governed file.

Whole blocks of lines move, each with the comments above it; nothing inside a block is rewritten, so quoting, folding
and spacing stay as their author left them.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

from _ruamel_yaml import AliasEvent, CParser, MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceStartEvent

from promptops.errors import InputError
from promptops.registry import schemas, yaml


class _Block(NamedTuple):
    """A top-level key: its name, its 0-based line, and the line after its value."""

    key: str
    start: int
    end: int


def order(schema: str) -> list[str]:
    """Return the top-level keys of a file in standard order: that of its schema."""
    return list(schemas.schema(schema)["properties"])


def arrange(data: bytes, path: str, keys: list[str]) -> bytes:
    """Return a YAML file with its top-level keys in the order of ``keys``, the others after them.

    A file that is already in order comes back as the same bytes. A file in flow style is left alone.

    Raises:
        InputError: malformed YAML, or an alias that would come to stand before its anchor.
    """
    before = yaml.load(data, path)
    blocks = _blocks(data)
    rank = {key: index for index, key in enumerate(keys)}
    wanted = sorted(blocks, key=lambda block: rank.get(block.key, len(rank)))
    if wanted == blocks:
        return data
    arranged = _join(data, blocks, wanted)
    try:
        same = yaml.load(arranged, path).value == before.value
    except InputError:
        same = False
    if not same:
        raise InputError(
            "keys cannot be put in order without changing the content",
            hint="an alias may stand in another key than its anchor: write it out, then run it again",
            path=path,
            line=1,
        )
    return arranged


def _blocks(data: bytes) -> list[_Block]:
    """Return the top-level entries of a block mapping in file order; none for any other document."""
    following = CParser(data).get_event
    following()
    following()
    root = following()
    if type(root) is not MappingStartEvent or root.flow_style:
        return []
    blocks: list[_Block] = []
    key = following()
    while type(key) is not MappingEndEvent:
        end = _end(following)
        blocks.append(_Block(key.value, key.start_mark.line, end))
        key = following()
    return blocks


def _end(following: Any) -> int:
    """Consume one value and return the line after the last one that belongs to it."""
    depth, line = 0, 0
    while True:
        event = following()
        kind = type(event)
        if kind in {ScalarEvent, AliasEvent}:
            line = event.end_mark.line + (event.end_mark.column > 0)
        elif kind in {MappingStartEvent, SequenceStartEvent}:
            depth += 1
            line = max(line, event.start_mark.line + 1)
        else:
            depth -= 1
            # A flow collection ends at its bracket; a block collection's mark is that of the next token.
            line = event.end_mark.line + 1 if event.end_mark.column > event.start_mark.column else line
        if depth == 0:
            return line


def _join(data: bytes, blocks: list[_Block], wanted: list[_Block]) -> bytes:
    lines = data.splitlines(keepends=True)
    if not lines[-1].endswith(b"\n"):
        lines[-1] += b"\r\n" if lines[0].endswith(b"\r\n") else b"\n"
    # What stands above the first key speaks of the file, and a document end marker of nothing else.
    starts = [blocks[0].start]
    starts += [_above(lines, block.start, before.end) for before, block in pairwise(blocks)]
    stops = [*starts[1:], _tail(lines, blocks[-1].end)]
    moved = {block: lines[start:stop] for block, start, stop in zip(blocks, starts, stops, strict=True)}
    body = [line for block in wanted for line in moved[block]]
    return b"".join([*lines[: starts[0]], *body, *lines[stops[-1] :]])


def _above(lines: list[bytes], start: int, floor: int) -> int:
    """Return the first line of the comments directly above line ``start``, not before ``floor``."""
    while start > floor and lines[start - 1].startswith(b"#"):
        start -= 1
    return start


def _tail(lines: list[bytes], floor: int) -> int:
    """Return the line of the document end marker, or the number of lines."""
    return next((index for index in range(floor, len(lines)) if lines[index].startswith(b"...")), len(lines))
