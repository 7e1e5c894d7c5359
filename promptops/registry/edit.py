"""Changing one value in a YAML file and nothing else: comments, quotes, line ends and layout stay byte for byte."""

from __future__ import annotations

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
