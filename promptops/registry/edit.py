"""Changing one value in a YAML file and nothing else: comments, quotes, line ends and layout stay byte for byte."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from _ruamel_yaml import (
    AliasEvent,
    CParser,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from promptops.errors import InputError
from promptops.registry import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from promptops.registry.yaml import Document


def replace(document: Document, key: str, text: str) -> bytes:
    """Return the file's bytes with the string at top-level ``key`` replaced by ``text``.

    Args:
        document: a file that was read.
        key: a top-level key whose value is a string.
        text: printable ASCII without quotes or backslashes, such as a version or a name.

    Raises:
        InputError: the value is written in a way that cannot be edited alone, such as an anchor that others use.
    """
    event = _value(document.data, key)
    decoded = document.data.decode("utf-8")
    start, end = event.start_mark.index, event.end_mark.index
    quote = decoded[start] if decoded[start] in "'\"" else '"' if key == "version" else ""
    made = (decoded[:start] + quote + text + quote + decoded[end:]).encode()
    # The proof that nothing else changed covers every way in which a scalar can be written.
    try:
        proven = yaml.load(made, document.path).value == {**document.value, key: text}
    except InputError:
        proven = False
    if not proven:
        line, column = document.where((key,))
        hint = f"write it as a plain value by hand: {key}: {quote}{text}{quote}"
        raise InputError(f"{key} cannot be edited in place", hint=hint, path=document.path, line=line, column=column)
    return made


def _value(data: bytes, key: str) -> Any:
    """Return the event of the value of a top-level key, which exists."""
    following = CParser(data).get_event
    depth = 0
    name: str | None = None
    for event in iter(following, None):
        kind = type(event)
        if depth == 1 and kind in {ScalarEvent, AliasEvent}:
            if name == key:
                return event
            name = event.value if name is None else None
        elif kind in {MappingStartEvent, SequenceStartEvent}:
            depth += 1
        elif kind in {MappingEndEvent, SequenceEndEvent}:
            depth -= 1
            name = None
    raise InputError(f"the file has no plain value at {key}")


def append(document: Document, key: str, items: Sequence[Any], lines: Callable[[str], str]) -> bytes:
    """Return the file's bytes with ``items`` at the end of the block list at top-level ``key``.

    Args:
        document: a file that was read.
        key: a top-level key whose value is a list.
        items: what is added, as it is to be read again.
        lines: writes the items, each after a dash, behind the indentation that it is given.

    Raises:
        InputError: the list is written in a way that cannot be added to, such as between brackets.
    """
    decoded = document.data.decode("utf-8")
    made = b""
    place = _end(document.data, key)
    if place is not None:
        end, column = place
        line_end = end - 1 if decoded[end - 1 : end] == "\n" else decoded.find("\n", end)
        head = decoded + "\n" if line_end < 0 else decoded[: line_end + 1]
        tail = "" if line_end < 0 else decoded[line_end + 1 :]
        made = (head + lines(" " * column) + tail).encode()
    try:
        wanted = {**document.value, key: [*document.value[key], *items]}
        proven = bool(made) and yaml.load(made, document.path).value == wanted
    except InputError:
        proven = False
    if not proven:
        line, found = document.where((key,))
        hint = "write it as a list with a dash before each item, on lines of their own"
        raise InputError(f"{key} cannot be added to", hint=hint, path=document.path, line=line, column=found)
    return made


def _end(data: bytes, key: str) -> tuple[int, int] | None:
    """Return where the last word of the block list at a top-level key ends, and the column of its dashes."""
    following = CParser(data).get_event
    depth, name, column = 0, None, -1
    last = 0
    for event in iter(following, None):
        kind = type(event)
        if kind is SequenceStartEvent and depth == 1 and name == key:
            if event.flow_style:
                return None
            column = event.start_mark.column
        if kind in {MappingStartEvent, SequenceStartEvent}:
            depth += 1
        elif kind in {MappingEndEvent, SequenceEndEvent}:
            depth -= 1
            if depth == 1:
                if column >= 0:
                    return last, column
                name = None
        elif depth == 1 and kind in {ScalarEvent, AliasEvent}:
            name = event.value if name is None and kind is ScalarEvent else None
        # Marks of the end of a block collection stand at the next word, beyond the comments between.
        if kind in {ScalarEvent, AliasEvent} or event.end_mark.index > event.start_mark.index:
            last = event.end_mark.index
    return None


def scalar(text: str) -> str:
    """Return a text as a double-quoted YAML scalar, whatever is in it."""
    return '"' + "".join(_ESCAPES.get(sign) or (sign if sign.isprintable() else _escape(sign)) for sign in text) + '"'


def flow(value: Any) -> str:
    """Return a JSON value as YAML on one line."""
    if isinstance(value, str):
        return scalar(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(flow, value)) + "]"
    return json.dumps(value)


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}


def _escape(sign: str) -> str:
    code = ord(sign)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
