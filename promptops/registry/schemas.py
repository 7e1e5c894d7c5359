"""The published JSON Schemas, and what is wrong with a value."""

from __future__ import annotations

import json
import os
from functools import cache, lru_cache
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import InputError, UsageError
from promptops.registry import canonical, data, quick

if TYPE_CHECKING:
    import jsonschema_rs

    from promptops.registry.yaml import Document

SUFFIX = ".schema.json"
_FEW = 20
_asked = count()


class Problem(NamedTuple):
    """One violation: where in the value (keys and indexes from the root) and what."""

    pointer: tuple[str | int, ...]
    message: str


def names() -> list[str]:
    """Return the names of all published schemas."""
    return sorted(name.removesuffix(SUFFIX) for name in os.listdir(data.path("schemas")) if name.endswith(SUFFIX))


@cache
def schema(name: str) -> dict[str, Any]:
    """Return one published schema as a JSON value.

    Raises:
        UsageError: there is no schema of that name.
    """
    try:
        loaded: dict[str, Any] = json.loads(data.read("schemas", name + SUFFIX))
    except FileNotFoundError as error:
        raise UsageError(f"there is no schema named {name}", hint=f"one of: {', '.join(names())}") from error
    return loaded


@cache
def _validator(name: str) -> jsonschema_rs.Validator:
    import jsonschema_rs

    return jsonschema_rs.Draft202012Validator(schema(name), pattern_options=jsonschema_rs.RegexOptions(), offline=True)


def problems(name: str, value: Any) -> list[Problem]:
    """Return what is wrong with ``value`` under the schema ``name``; an empty list when nothing is."""
    # Compiling the full validator costs more than checking a few files without it.
    if next(_asked) < _FEW and quick.accepts(schema(name), value):
        return []
    validator = _validator(name)
    if validator.is_valid(value):
        return []
    # The two differ where Python's patterns do: a final $ also matches before a last newline.
    return _explained(schema(name), value) or [
        Problem(tuple(error.instance_path), _shortened(error.message)) for error in validator.iter_errors(value)
    ]


def _explained(against: dict[str, Any], value: Any) -> list[Problem]:
    """Return the violations of ``value`` in words fit for a person, deepest cause of each alternative first."""
    # Twenty times slower than the validator above but far better at naming the cause, so it runs on bad input only.
    import jsonschema
    from jsonschema.exceptions import best_match

    found: list[Problem] = []
    for error in sorted(
        jsonschema.Draft202012Validator(against).iter_errors(value), key=lambda e: list(map(str, e.path))
    ):
        cause = best_match([error]) or error
        found.append(Problem(tuple(cause.absolute_path), _words(cause)))
    return found


def _words(error: Any) -> str:
    message: str = error.message
    custom = error.schema.get("x-message") if isinstance(error.schema, dict) else None
    if isinstance(custom, str):
        return custom
    if error.validator == "pattern" and len(message) > 160:
        return f"does not match the pattern {error.validator_value}"
    return _shortened(message)


def _shortened(message: str) -> str:
    return message if len(message) <= 200 else f"{message[:80]} ... {message[-100:]}"


@lru_cache(maxsize=4096)
def compiled(own: bytes) -> jsonschema_rs.Validator:
    """Return the validator of somebody else's schema, given as JSON (draft 2020-12 unless it says otherwise).

    Its patterns are those without look-around and back-references, so that matching takes time linear in the text.

    Raises:
        InputError: it is no JSON Schema, or refers to something outside itself.
    """
    import jsonschema_rs

    try:
        # The default engine backtracks, and a reference would fetch files and pages while judging.
        return jsonschema_rs.validator_for(
            canonical.loads(own), pattern_options=jsonschema_rs.RegexOptions(), offline=True
        )
    except ValueError as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"the JSON Schema is not valid: {_shortened(reason)}", hint="references stay inside the schema"
        ) from error


def misfit(own: dict[str, Any], value: Any) -> str | None:
    """Return why ``value`` does not fit a schema that somebody else wrote, or None when it does.

    Raises:
        InputError: as `compiled`.
    """
    validator = compiled(canonical.dumps(own))
    try:
        error = next(validator.iter_errors(value), None)
    except ValueError:
        return "JSON cannot carry it"
    return _shortened(error.message) if error else None


def check_document(name: str, document: Document) -> None:
    """Raise for the first violation of ``document``, with its line and column.

    Raises:
        InputError: the document does not fit the schema ``name``.
    """
    for problem in problems(name, document.value):
        line, column = document.where(problem.pointer)
        raise InputError(
            _with_place(problem), hint=f"promptops schema {name}", path=document.path, line=line, column=column
        )


def _with_place(problem: Problem) -> str:
    place = ".".join(map(str, problem.pointer))
    return f"{place}: {problem.message}" if place else problem.message
