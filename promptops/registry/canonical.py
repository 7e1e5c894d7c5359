"""JSON in one form only: RFC 8785 out, strict reading in."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from promptops.errors import InputError

MAX_SAFE_INTEGER = 2**53 - 1
_escape = json.encoder.encode_basestring
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def dumps(value: Any) -> bytes:
    """Return ``value`` as canonical JSON (RFC 8785).

    Args:
        value: dict with string keys, list, tuple, str, int within 2^53-1, finite float, bool or None.

    Raises:
        InputError: for a number that JSON readers do not agree on, a lone surrogate, another type, or a value that is
            nested too deeply.
    """
    parts: list[str] = []
    try:
        _write(value, parts.append)
        return "".join(parts).encode()
    except RecursionError as error:
        raise InputError("JSON is nested too deeply") from error
    except UnicodeEncodeError as error:
        raise InputError("text holds a lone surrogate, which UTF-8 cannot carry") from error


def sha256(value: Any) -> str:
    """Return ``sha256:<hex>`` of the canonical form of ``value``."""
    return "sha256:" + hashlib.sha256(dumps(value)).hexdigest()


def _write(value: Any, emit: Any) -> None:
    if value is None:
        emit("null")
    elif value is True:
        emit("true")
    elif value is False:
        emit("false")
    elif isinstance(value, str):
        emit(_escape(value))
    elif isinstance(value, int):
        if abs(value) > MAX_SAFE_INTEGER:
            raise InputError(f"integer {value} is outside +-(2^53-1), where JSON readers disagree")
        emit(str(value))
    elif isinstance(value, float):
        emit(_number(value))
    elif isinstance(value, (list, tuple)):
        _write_items("[", value, "]", emit)
    elif isinstance(value, dict):
        _write_members(value, emit)
    else:
        raise InputError(f"{type(value).__name__} has no JSON form")


def _write_items(opening: str, items: Any, closing: str, emit: Any) -> None:
    emit(opening)
    for index, item in enumerate(items):
        if index:
            emit(",")
        _write(item, emit)
    emit(closing)


def _write_members(members: dict[Any, Any], emit: Any) -> None:
    if not all(isinstance(key, str) for key in members):
        raise InputError("object keys must be strings")
    emit("{")
    # RFC 8785 section 3.2.3 orders by UTF-16 code units, which differs from code points above U+FFFF.
    for index, key in enumerate(sorted(members, key=lambda name: name.encode("utf-16-be", "surrogatepass"))):
        emit(("," if index else "") + _escape(key) + ":")
        _write(members[key], emit)
    emit("}")


def _number(value: float) -> str:
    """Return ``value`` as ECMAScript writes it (RFC 8785 section 3.2.2.3, ECMA-262 Number::toString)."""
    if value != value or value in {float("inf"), float("-inf")}:  # noqa: PLR0124  NaN is the value unequal to itself
        raise InputError("NaN and infinity have no JSON form")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    if fraction == "0":
        fraction = ""
    digits = (whole + fraction).lstrip("0")
    leading = len(whole + fraction) - len(digits)
    point = len(whole) - leading + int(exponent or 0)
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        text = digits + "0" * (point - count)
    elif 0 < point <= 21:
        text = f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        text = "0." + "0" * -point + digits
    else:
        power = point - 1
        tail = f".{digits[1:]}" if count > 1 else ""
        text = f"{digits[0]}{tail}e{'+' if power > 0 else '-'}{abs(power)}"
    return sign + text


def loads(data: bytes, *, limit: int = 4 << 20) -> Any:
    """Parse untrusted JSON so that no two readers can see two documents in it.

    Args:
        data: UTF-8 bytes without a byte order mark.
        limit: largest accepted size in bytes.

    Raises:
        InputError: malformed, too large, too deep, duplicate or case-equal keys, NaN, an unsafe integer, or a lone
            surrogate.
    """
    if len(data) > limit:
        raise InputError(f"JSON of {len(data)} bytes is over the limit of {limit}")
    try:
        text = data.decode("utf-8")
        value = json.loads(
            text,
            object_pairs_hook=_members,
            parse_constant=_refuse_constant,
            parse_int=_integer,
            parse_float=_float,
        )
    except RecursionError as error:
        raise InputError("JSON is nested too deeply") from error
    except ValueError as error:
        raise InputError(f"not valid JSON: {error}") from error
    if _SURROGATE.search(text):
        # Some readers replace a lone surrogate, some refuse it, and no file can hold it; writing finds it.
        dumps(value)
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    # Some parsers match names without regard to case, so two such keys are two documents in one.
    if len({key.casefold() for key in members}) != len(pairs):
        raise InputError("JSON object repeats a key (or two keys differ in case only)")
    return members


def _refuse_constant(name: str) -> Any:
    raise InputError(f"{name} is not JSON")


def _integer(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > MAX_SAFE_INTEGER:
        raise InputError("JSON integer is outside +-(2^53-1)")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if value in {float("inf"), float("-inf")}:
        raise InputError("JSON number is too large")
    return value
