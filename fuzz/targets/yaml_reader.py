"""The YAML reader: what it accepts, ruamel's safe loader reads as the same value."""

from __future__ import annotations

import warnings
import zlib
from typing import Any

from oracle import ViolationError, require, require_place, same
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import YAMLWarning

from promptops.errors import InputError
from promptops.registry import yaml

PIECES = tuple(
    piece.encode()
    for piece in [
        *["\n", "\n  ", "\n    ", " ", "- ", "a: ", "b: ", "? ", "{", "}", "[", "]", ", ", ",", ": ", "&x ", "*x", "*y", "!t ", "!!str ", "|", ">", "|-", ">+", "|2-"],
        *["'", '"', "# c", "\n---\n", "\n...\n", "%YAML 1.1\n", "%TAG ! x\n", "1", "01", "0o7", "0x1F", "1_0", "1:30", "1e3", ".5", "+.e1", ".inf", ".nan", "-0", "true", "Null", "~"],
        *["text", "é", "\t", "\r\n", "\r", "<<: ", "=", "\\n", "''", '""', "@", "`", "😀", "\x85", "\u2028", "\ufeff", "\x07", "\x00", "2024-11-20", "9007199254740992", "-", "+", "_"],
    ]
)  # fmt: skip
SPLIT = b""
# The reference is slow; beyond this size only crashes, time and memory are looked at.
MAX_COMPARED = 4096
REFUSED = object()


def target(data: bytes) -> None:
    """Read, and compare with ruamel what was read."""
    try:
        document = yaml.load(data, "a.yaml")
    except InputError as error:
        require_place(
            error,
            "a.yaml",
            data.count(b"\n") + data.count(b"\r") + data.count(b"\xc2\x85") + data.count(b"\xe2\x80") + 1,
        )
        raise
    if isinstance(document.value, dict):
        for key in list(document.value)[:3]:
            require(document.where((key,))[0] >= 1, "a value stands nowhere")
    if len(data) <= MAX_COMPARED:
        # Its parser in Python is ten times slower, so it sees an eighth of the inputs.
        compare(document.value, data.decode(), pure=zlib.crc32(data) % 8 == 0)


def compare(mine: Any, text: str, *, pure: bool = True) -> None:
    """Raise unless ruamel reads ``mine`` from ``text``.

    Its pure parser refuses some tabs that the C parser takes, so that one may refuse; another mapping it may not see.
    """
    if not same(mine, theirs(text)):
        raise ViolationError(f"read {mine!r:.200}, ruamel reads {theirs(text)!r:.200}")
    strict = theirs(text, pure=True) if pure else REFUSED
    if not (strict is REFUSED or same(mine, strict) or not isinstance(mine, dict)):
        raise ViolationError(f"read {mine!r:.200}, ruamel without C reads {strict!r:.200}")


def theirs(text: str, *, pure: bool = False) -> Any:
    """Return what ruamel reads, or `REFUSED`."""
    reader = YAML(typ="safe", pure=pure)
    reader.Constructor = _TextDates
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", YAMLWarning)
        try:
            return reader.load(text)
        except Exception:
            return REFUSED


class _TextDates(SafeConstructor):
    """Dates stay text: YAML 1.2 knows none."""


_TextDates.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)
