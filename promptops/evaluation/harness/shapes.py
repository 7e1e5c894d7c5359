"""Reading JSON that other tools wrote: what is missing is said, never guessed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from promptops.errors import PromptopsError

if TYPE_CHECKING:
    from collections.abc import Iterator

_T = TypeVar("_T")
_FORMAT = "does the harness write the `format` that the suite states?"


def parsed(content: bytes, what: str) -> dict[str, Any]:
    """Return the object that JSON text holds.

    Raises:
        PromptopsError: it holds none.
    """
    return _object(content, f"the harness wrote something else than {what}:")


def member(value: dict[str, Any], name: str, kind: type[_T]) -> _T:
    """Return a member of the type ``kind``.

    Raises:
        PromptopsError: there is none.
    """
    found = value.get(name)
    if not isinstance(found, kind):
        raise PromptopsError(f"what the harness wrote has no usable {name!r}", hint="is it of a version known here?")
    return found


def objects(value: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return a member that is a list of objects.

    Raises:
        PromptopsError: it is something else.
    """
    found = member(value, name, list)
    if not all(isinstance(item, dict) for item in found):
        raise PromptopsError(f"what the harness wrote has something else than objects in {name!r}")
    return found


def rows(content: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield number and object of each line of JSON Lines that is not blank.

    Raises:
        PromptopsError: a line holds no object.
    """
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        yield number, _object(line, f"line {number} of what the harness wrote is")


def _object(content: bytes, start: str) -> dict[str, Any]:
    try:
        value: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise PromptopsError(f"{start} no JSON", hint=_FORMAT) from error
    if not isinstance(value, dict):
        raise PromptopsError(f"{start} no object", hint=_FORMAT)
    return value
