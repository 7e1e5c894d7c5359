"""Template variables given on the command line."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from promptops.errors import InputError, UsageError
from promptops.registry import canonical, yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_var: Callable[[Any], Any] = click.option(
    "--var", "pairs", multiple=True, metavar="NAME=VALUE", help="A variable; JSON unless it is declared as a string."
)
_var_file: Callable[[Any], Any] = click.option(
    "--var-file",
    type=click.Path(exists=True, dir_okay=False),
    help="YAML or JSON file with an object of variables; --var wins over it.",
)


def variable_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--var`` (parameter ``pairs``) and ``--var-file`` (parameter ``var_file``) to a command."""
    decorated: Callable[..., Any] = _var(_var_file(command))
    return decorated


def read_variables(
    pairs: tuple[str, ...], var_file: str | None, declared: Mapping[str, dict[str, Any]]
) -> dict[str, Any]:
    """Return variable values by name.

    Args:
        pairs: ``name=value`` texts; the value is text where ``declared`` says ``string``, otherwise JSON.
        var_file: path of a YAML or JSON file that holds one object, or None.
        declared: the prompt's ``variables``.

    Raises:
        UsageError: a pair without ``=``, or a value that is not of the declared type.
        InputError: the file is malformed.
    """
    values = _from_file(var_file) if var_file else {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"--var {pair!r} has no value", hint="--var name=value")
        try:
            # Whatever the locale is: prompts are UTF-8.
            text = os.fsencode(text).decode("utf-8")
        except UnicodeError as error:
            raise UsageError(f"--var {name} is not UTF-8 text", hint="use --var-file FILE") from error
        values[name] = text if declared.get(name, {}).get("type") == "string" else _json(text)
    return values


def _from_file(path: str) -> dict[str, Any]:
    with open(path, "rb") as file:
        value = yaml.load(file.read(yaml.MAX_BYTES + 1), path).value
    if not isinstance(value, dict):
        raise InputError("must hold one object of variables by name", path=path, line=1)
    return value


def _json(text: str) -> Any:
    try:
        return canonical.loads(text.encode())
    except InputError:
        # Not declared as a string, yet not JSON: the check against the declaration names the mismatch.
        return text
