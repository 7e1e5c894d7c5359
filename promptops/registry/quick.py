"""A small JSON Schema validator for a handful of files.

It knows the keywords that the published schemas use and says so when it meets another. Loading and compiling the full
validator takes longer than a hook needs for everything else, so a file or two are accepted here; whatever is not
accepted goes to the full one, which has the last word.
"""

from __future__ import annotations

import re
from typing import Any

_ANNOTATIONS = frozenset(
    ("$schema", "$id", "$defs", "title", "description", "examples", "default", "x-message", "then", "else")
)
_TYPES: dict[str, type] = {"object": dict, "array": list, "string": str, "null": type(None), "boolean": bool}
# Python and ECMA-262 differ on these classes, outside printable ASCII.
_FOREIGN = re.compile(r"\\[sSwWdDbB]")


class _UnknownError(Exception):
    """A keyword, or a use of one, that only the full validator knows."""


def accepts(schema: dict[str, Any], value: Any) -> bool:
    """Return True only when ``value`` fits ``schema`` for certain; False means that the full validator must say."""
    try:
        return _fits(schema, value, schema)
    except (_UnknownError, RecursionError):
        return False


def _fits(schema: Any, value: Any, root: dict[str, Any]) -> bool:
    if isinstance(schema, bool):
        return schema
    for keyword, rule in schema.items():
        if keyword in _ANNOTATIONS:
            continue
        if keyword not in _KEYWORDS:
            raise _UnknownError(keyword)
        if not _KEYWORDS[keyword](rule, value, schema, root):
            return False
    return True


def _type(rule: Any, value: Any) -> bool:
    if isinstance(rule, list):
        return any(_type(each, value) for each in rule)
    if rule in _TYPES:
        return isinstance(value, _TYPES[rule])
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, float) and (rule == "number" or value.is_integer()))


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, (dict, list)) or isinstance(right, (dict, list)):
        raise _UnknownError("comparison of containers")
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _matches(pattern: str, text: str) -> bool:
    if _FOREIGN.search(pattern) and not (text.isascii() and text.isprintable()):
        raise _UnknownError("pattern")
    # In Python a final $ also matches before a last newline.
    return re.search(re.sub(r"(?<!\\)\$", r"\\Z", pattern), text) is not None


def _additional(rule: Any, value: Any, schema: Any, root: Any) -> bool:
    known = schema.get("properties", {})
    return not isinstance(value, dict) or all(_fits(rule, value[name], root) for name in value if name not in known)


def _properties(rule: Any, value: Any, _schema: Any, root: Any) -> bool:
    return not isinstance(value, dict) or all(_fits(rule[name], value[name], root) for name in rule if name in value)


def _items(rule: Any, value: Any, schema: Any, root: Any) -> bool:
    start = len(schema.get("prefixItems", ()))
    return not isinstance(value, list) or all(_fits(rule, item, root) for item in value[start:])


def _prefix_items(rule: Any, value: Any, _schema: Any, root: Any) -> bool:
    return not isinstance(value, list) or all(_fits(*pair, root) for pair in zip(rule, value, strict=False))


def _unique(rule: Any, value: Any, _schema: Any, _root: Any) -> bool:
    if not isinstance(value, list) or not rule:
        return True
    if not all(isinstance(item, str) for item in value):
        raise _UnknownError("uniqueItems")
    return len(set(value)) == len(value)


def _condition(rule: Any, value: Any, schema: Any, root: Any) -> bool:
    return _fits(schema.get("then" if _fits(rule, value, root) else "else", True), value, root)


def _reference(rule: Any, value: Any, _schema: Any, root: Any) -> bool:
    prefix = "#/$defs/"
    if not rule.startswith(prefix):
        raise _UnknownError("$ref")
    return _fits(root["$defs"][rule.removeprefix(prefix)], value, root)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_KEYWORDS: dict[str, Any] = {
    "type": lambda rule, value, *_: _type(rule, value),
    "required": lambda rule, value, *_: not isinstance(value, dict) or all(name in value for name in rule),
    "properties": _properties,
    "additionalProperties": _additional,
    "propertyNames": lambda rule, value, _, root: (
        not isinstance(value, dict) or all(_fits(rule, name, root) for name in value)
    ),
    "minProperties": lambda rule, value, *_: not isinstance(value, dict) or len(value) >= rule,
    "maxProperties": lambda rule, value, *_: not isinstance(value, dict) or len(value) <= rule,
    "items": _items,
    "prefixItems": _prefix_items,
    "minItems": lambda rule, value, *_: not isinstance(value, list) or len(value) >= rule,
    "maxItems": lambda rule, value, *_: not isinstance(value, list) or len(value) <= rule,
    "uniqueItems": _unique,
    "pattern": lambda rule, value, *_: not isinstance(value, str) or _matches(rule, value),
    "minLength": lambda rule, value, *_: not isinstance(value, str) or len(value) >= rule,
    "maxLength": lambda rule, value, *_: not isinstance(value, str) or len(value) <= rule,
    "minimum": lambda rule, value, *_: not _number(value) or value >= rule,
    "maximum": lambda rule, value, *_: not _number(value) or value <= rule,
    "exclusiveMinimum": lambda rule, value, *_: not _number(value) or value > rule,
    "exclusiveMaximum": lambda rule, value, *_: not _number(value) or value < rule,
    "enum": lambda rule, value, *_: any(_same(each, value) for each in rule),
    "const": lambda rule, value, *_: _same(rule, value),
    "not": lambda rule, value, _, root: not _fits(rule, value, root),
    "anyOf": lambda rule, value, _, root: any(_fits(each, value, root) for each in rule),
    "allOf": lambda rule, value, _, root: all(_fits(each, value, root) for each in rule),
    "oneOf": lambda rule, value, _, root: sum(_fits(each, value, root) for each in rule) == 1,
    "if": _condition,
    "$ref": _reference,
}
