"""The one reader of YAML: values that JSON can carry, and where they stand.

Builds on the C event stream because the full loaders are six to forty times slower. YAML 1.2 scalars; whatever two
readers could see differently (duplicate keys, tags, merge keys, odd numbers, several documents) is refused.
"""

from __future__ import annotations

import re
from sys import intern
from typing import Any, NamedTuple

from _ruamel_yaml import (
    AliasEvent,
    CParser,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.error import YAMLError

from promptops.errors import InputError
from promptops.registry.canonical import MAX_SAFE_INTEGER

MAX_BYTES = 4 << 20
MAX_DEPTH = 50
MAX_NODES = 500_000

_CONSTANTS = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|[-+]?\.[0-9]+(?:[eE][-+][0-9]+)?")
# Octal, hexadecimal, binary, digit groups, leading zeros, infinities: YAML versions and readers disagree on these.
_AMBIGUOUS = (
    r"[-+]?(?:0[0-9_.]+|0[oO]?[0-7_]+|0[xX][0-9a-fA-F_]+|0[bB][01_]+|[0-9][0-9_]*_[0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?"
    r"|0+[0-9.]*(?:[eE][-+]?[0-9]+)?|[0-9_]*\.[0-9_]+(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF)|_[0-9_]*)|\.(?:nan|NaN|NAN)|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
)
# U+0085, U+2028 and U+2029 end a line, and with it a comment, in YAML 1.1 but not in YAML 1.2; U+FEFF at the start of
# a line is skipped by some.
_UNCLEAR = re.compile(rb"\xc2\x85|\xe2\x80[\xa8\xa9]|\xef\xbb\xbf")
_NUMERIC_START = frozenset("0123456789+-._")
_UNUSUAL_KEYS = frozenset((*_CONSTANTS, "<<"))


class Document(NamedTuple):
    """A parsed YAML file.

    Attributes:
        path: the file's name for messages.
        value: nested dict, list, str, int, float, bool or None.
        data: the bytes that were read.
    """

    path: str
    value: Any
    data: bytes

    def where(self, pointer: tuple[str | int, ...]) -> tuple[int, int]:
        """Return the 1-based line and column of the value at ``pointer``, or of its nearest existing parent."""
        return _Locator(self.data).find(pointer)


def load(data: bytes, path: str) -> Document:
    """Parse one YAML document.

    Args:
        data: the file's bytes; CRLF line ends mean the same as LF.
        path: the file's name for messages.

    Raises:
        InputError: with line and column, for anything malformed, ambiguous or oversized.
    """
    if len(data) > MAX_BYTES:
        message = f"file has {len(data):,} bytes; the limit is {MAX_BYTES:,}"
        raise InputError(message, hint="split it, or move data elsewhere", path=path)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError("not UTF-8 text", hint="save the file as UTF-8", path=path, line=line, column=1) from error
    if data.startswith(b"\xef\xbb\xbf"):
        raise InputError(
            "file starts with a byte order mark", hint="save the file as UTF-8 without BOM", path=path, line=1, column=1
        )
    unclear = _UNCLEAR.search(data)
    if unclear:
        raise InputError(
            f"readers of YAML disagree on the meaning of U+{ord(unclear[0].decode()):04X}",
            hint=f'remove it, or write "\\u{ord(unclear[0].decode()):04x}" in double quotes',
            path=path,
            line=data.count(b"\n", 0, unclear.start()) + 1,
            column=len(data[data.rfind(b"\n", 0, unclear.start()) + 1 : unclear.start()].decode()) + 1,
        )
    try:
        return Document(path, _Builder(data, path).document(), data)
    except YAMLError as error:
        raise _syntax_error(error, path) from error


def _syntax_error(error: Any, path: str) -> InputError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "malformed"
    return InputError(
        f"not valid YAML: {problem}",
        path=path,
        line=mark.line + 1 if mark else 1,
        column=mark.column + 1 if mark else 1,
    )


def scalar(text: str) -> Any:
    """Return the value of a plain scalar (YAML 1.2 core schema, the unambiguous part).

    Raises:
        ValueError: when readers of YAML disagree on the value.
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in _NUMERIC_START:
        if text in {"=", "<<"}:
            raise ValueError(f"a plain {text} has a meaning of its own in some readers of YAML: quote it")
        return text
    if _INTEGER.fullmatch(text):
        value = int(text) if len(text) < 20 else MAX_SAFE_INTEGER + 1
        if abs(value) > MAX_SAFE_INTEGER:
            raise ValueError(f"integer {text[:30]} is outside +-(2^53-1); quote it if it is text")
        return value
    if _FLOAT.fullmatch(text):
        number = float(text)
        if number in {float("inf"), float("-inf")}:
            raise ValueError(f"number {text[:30]} is too large")
        return number
    # Compiled on first use: most files never get here, and every command would pay for it.
    if re.fullmatch(_AMBIGUOUS, text):
        raise ValueError(f"readers of YAML disagree on the value of {text[:40]}: quote it, or write a plain decimal")
    return text


class _Builder:
    """Turn events into values; positions are worked out only when something is wrong."""

    def __init__(self, data: bytes, path: str) -> None:
        self._path = path
        self._data = data
        self._text: str | None = None
        self._parser = CParser(data)
        self._next = self._parser.get_event
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._open: set[str] = set()
        self._nodes = 0

    def document(self) -> Any:
        self._next()
        start = self._next()
        if not hasattr(start, "explicit"):
            raise InputError("file is empty", path=self._path, line=1, column=1)
        if start.version is not None:
            self._fail("%YAML directives are not allowed", start, "remove the directive; files are read as YAML 1.2")
        value = self._node(self._next(), 0)
        self._next()
        following = self._next()
        if hasattr(following, "explicit"):
            self._fail("file holds more than one document", following)
        return value

    def _fail(self, message: str, event: Any, hint: str | None = None) -> None:
        mark = event.start_mark
        raise InputError(message, hint=hint, path=self._path, line=mark.line + 1, column=mark.column + 1)

    def _node(self, event: Any, depth: int) -> Any:
        kind = type(event)
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._fail(f"more than {MAX_NODES:,} values, aliases counted in full", event)
        if kind is ScalarEvent and event.anchor is None:
            return self._scalar(event)
        if kind is AliasEvent:
            return self._alias(event)
        before = self._nodes
        anchor = event.anchor
        if anchor is not None:
            if anchor in self._open or anchor in self._anchors:
                self._fail(f"anchor &{anchor} appears twice", event, "give each anchor a name of its own")
            self._check_end(event)
            self._open.add(anchor)
        if kind is ScalarEvent:
            value = self._scalar(event)
        elif depth >= MAX_DEPTH:
            return self._fail(f"nested deeper than {MAX_DEPTH} levels", event)
        else:
            if event.ctag is not None:
                self._fail(f"tag {event.ctag} is not allowed", event, "remove the tag")
            value = self._mapping(depth) if kind is MappingStartEvent else self._sequence(depth)
        if anchor is not None:
            self._open.discard(anchor)
            self._anchors[anchor] = (value, self._nodes - before + 1)
        return value

    def _check_end(self, event: Any) -> None:
        """Refuse ``&a:`` and the like: in YAML 1.2 the colon belongs to the name, in YAML 1.1 it does not."""
        self._text = self._text if self._text is not None else self._data.decode()
        end = event.start_mark.index + 1 + len(event.anchor)
        if self._text[end : end + 1] not in {"", " ", "\t", "\r", "\n", ",", "[", "]", "{", "}"}:
            self._fail(f"readers of YAML disagree on where the name {event.anchor} ends", event, "put a space after it")

    def _alias(self, event: Any) -> Any:
        self._check_end(event)
        if event.anchor in self._open:
            self._fail(f"alias *{event.anchor} stands inside its own anchor", event)
        if event.anchor not in self._anchors:
            self._fail(f"alias *{event.anchor} has no anchor", event)
        value, size = self._anchors[event.anchor]
        self._nodes += size
        if self._nodes > MAX_NODES:
            self._fail(f"more than {MAX_NODES:,} values, aliases counted in full", event)
        return value

    def _scalar(self, event: Any) -> Any:
        if event.ctag is not None:
            self._fail(f"tag {event.ctag} is not allowed", event, "remove the tag; quote the value if it is text")
        if event.style:
            return event.value
        try:
            return scalar(event.value)
        except ValueError as error:
            return self._fail(str(error), event)

    def _sequence(self, depth: int) -> list[Any]:
        items: list[Any] = []
        following = self._next
        event = following()
        while type(event) is not SequenceEndEvent:
            items.append(self._node(event, depth + 1))
            event = following()
        return items

    def _mapping(self, depth: int) -> dict[str, Any]:
        members: dict[str, Any] = {}
        following = self._next
        event = following()
        while type(event) is not MappingEndEvent:
            if type(event) is not ScalarEvent:
                self._fail("a key must be plain text", event)
            key = event.value
            if not event.style and (key in _UNUSUAL_KEYS or key[0] in _NUMERIC_START or event.ctag is not None):
                if key == "<<":
                    self._fail("merge keys (<<) are not allowed", event, "write the values out")
                if not isinstance(self._scalar(event), str):
                    self._fail(f"key {key} is not a string", event, f"quote it: '{key}'")
            elif event.ctag is not None:
                self._scalar(event)
            if event.anchor is not None:
                self._fail("anchors on keys are not allowed", event)
            # The same few names stand in each of many thousand cases.
            key = intern(key)
            if key in members:
                self._fail(f"key {key} appears twice", event)
            members[key] = self._node(following(), depth + 1)
            event = following()
        return members


class _Locator:
    """Walk the events of a valid document to one pointer."""

    def __init__(self, data: bytes) -> None:
        self._next = CParser(data).get_event

    def find(self, pointer: tuple[str | int, ...]) -> tuple[int, int]:
        self._next()
        self._next()
        event = self._next()
        position = event.start_mark
        for step in pointer:
            found = self._member(step) if type(event) is MappingStartEvent else self._item(event, step)
            if found is None:
                break
            position, event = found
        return position.line + 1, position.column + 1

    def _member(self, step: str | int) -> tuple[Any, Any] | None:
        key = self._next()
        while type(key) is not MappingEndEvent:
            value = self._next()
            if key.value == step:
                # A block scalar's own mark is its indicator; the key reads better as a place.
                return key.start_mark, value
            self._skip(value)
            key = self._next()
        return None

    def _item(self, event: Any, step: str | int) -> tuple[Any, Any] | None:
        if type(event) is not SequenceStartEvent or not isinstance(step, int):
            return None
        for _ in range(step):
            item = self._next()
            if type(item) is SequenceEndEvent:
                return None
            self._skip(item)
        item = self._next()
        return None if type(item) is SequenceEndEvent else (item.start_mark, item)

    def _skip(self, event: Any) -> None:
        depth = 0
        while True:
            kind = type(event)
            if kind is MappingStartEvent or kind is SequenceStartEvent:
                depth += 1
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                depth -= 1
            if depth == 0:
                return
            event = self._next()
