"""Versions: the regular expression and the order of semver.org 2.0.0, without build metadata."""

from __future__ import annotations

import re
from itertools import zip_longest

from oracle import require

from promptops.errors import InputError
from promptops.registry import version

SPLIT = None
PIECES = (
    *[b"0", b"1", b"9", b"10", b"00", b"01", b"999999999", b"1000000000", b".", b"..", b"-", b"+", b"-rc.1", b"-alpha", b"-0"],
    *[b"-00", b"-0a", b"-1.2.3", b"--", b"v", b" ", b"\n", b"\t", b"\0", b"1.0.0", b"2.0.0-rc.1", b"+build", b"\xd9\xa1", b"\xc2\xb2", b"e5", b"_"],
)  # fmt: skip
# The suggested expression of semver.org 2.0.0; `\d` there is a digit of ASCII.
SEMVER = re.compile(
    r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(?:-((?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
    r"(?:\.(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?"
)


def target(data: bytes) -> None:
    """Parse one version, or two on two lines and compare them."""
    first, _, second = data.decode("utf-8", "surrogateescape").partition("\n")
    one = _parsed(first)
    if second:
        _compare(one, _parsed(second))
    for grade in ("major", "minor", "patch"):
        if max(one[:3]) < 999_999_999:
            require(one.bump(grade) > one and one.bump(grade).grade_above(one) == grade, f"{one.text} + {grade}")


def _parsed(text: str) -> version.Version:
    match = SEMVER.fullmatch(text)
    try:
        found = version.parse(text)
    except InputError:
        # Documented: no build metadata, 80 characters, nine digits.
        limits = match is not None and (match[5] or len(text) > 80 or max(map(len, match.groups()[:3])) > 9)
        require(match is None or limits, f"{text[:90]!r} is a version")
        raise
    require(match is not None and not match[5], f"{text[:90]!r} is no version")
    require(found.text == text and found[:3] == tuple(map(int, text.partition("-")[0].split("."))), "other numbers")
    return found


def _compare(one: version.Version, two: version.Version) -> None:
    expected = _order(one.text, two.text)
    require((one > two) - (one < two) == expected or (expected == 0 and one.text == two.text), "the order is another")


def _order(one: str, two: str) -> int:
    """Return -1, 0 or 1 by section 11 of the specification, read word by word."""
    numbers = [[int(part) for part in text.partition("-")[0].split(".")] for text in (one, two)]
    if numbers[0] != numbers[1]:
        return 1 if numbers[0] > numbers[1] else -1
    rest = [text.partition("-")[2] for text in (one, two)]
    if not all(rest):
        return bool(rest[1]) - bool(rest[0])
    for left, right in zip_longest(rest[0].split("."), rest[1].split(".")):
        if left != right:
            return 1 if _above(left, right) else -1
    return 0


def _above(left: str | None, right: str | None) -> bool:
    if left is None or right is None:
        return right is None
    if left.isdigit() and right.isdigit():
        return int(left) > int(right)
    return right.isdigit() if left.isdigit() != right.isdigit() else left > right
