"""Prompt templates: Jinja2 in a sandbox, with a fast path for plain ones.

A template may use variables, conditions, loops and filters, and may include other files of the registry by literal
name. It can reach no attribute of Python objects, no environment and no file outside the registry.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import jinja2

# Not after a brace: Jinja2 opens at the first two of three.
_PLAIN = re.compile(r"(?<!\{)\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_NEWLINE = re.compile(r"\r\n|\r|\n")
# Jinja2 gives these names a meaning of its own.
_RESERVED = frozenset(
    [
        "true",
        "false",
        "none",
        "True",
        "False",
        "None",
        "and",
        "or",
        "not",
        "in",
        "is",
        "if",
        "else",
        "self",
        "loop",
        "super",
        "caller",
        "varargs",
        "kwargs",
    ]
)
# Turn markers of common chat formats. Servers that build the raw text of a conversation read them as turns.
MARKER = re.compile(r"<\|([A-Za-z0-9_ ]{1,40})\|>|<(/?)(start_of_turn|end_of_turn)>|(\[)(/?)INST\]|<<(/?)SYS>>|<(/?)s>")
# Characters of one rendered message.
MAX_RENDERED = 4 << 20
# What a template's own expression raises on the values it was given. Filters of Jinja2 assert, and a folded infinity is
# a name that nothing defines.
_FAILED = (
    TypeError, ValueError, ArithmeticError, LookupError, AttributeError, AssertionError, NameError, MemoryError,
)  # fmt: skip


class EscapeError(InputError):
    """A template reaches for something outside its sandbox."""


class Shape(NamedTuple):
    """What a template refers to: variable names, and the literal names of the files that it includes."""

    variables: frozenset[str]
    includes: tuple[str, ...]


def is_plain(text: str) -> bool:
    """Return whether ``text`` has no construct but ``{{ name }}``."""
    rest = _PLAIN.sub("\0", text)
    if "{{" in rest or "{%" in rest or "{#" in rest:
        return False
    return not _RESERVED.intersection(_PLAIN.findall(text))


@lru_cache(maxsize=20_000)
def shape(text: str) -> Shape:
    """Return the variables and includes of a template.

    Raises:
        InputError: a syntax error (with its line in the template), or an import, extension or computed include.
    """
    if is_plain(text):
        return Shape(frozenset(_PLAIN.findall(text)), ())
    from jinja2 import TemplateSyntaxError, meta, nodes

    from promptops.registry.sandbox import Sandbox

    try:
        tree = Sandbox({}).parse(text)
        variables = frozenset(meta.find_undeclared_variables(tree))
    except TemplateSyntaxError as error:
        raise InputError(f"template: {error.message}", line=error.lineno) from error
    except RecursionError as error:
        raise InputError("template is nested too deeply") from error
    except ValueError as error:
        # Python reads no integer of more than 4,300 digits.
        raise InputError("template: a number has too many digits") from error
    includes: list[str] = []
    for node in tree.find_all(nodes.Include):
        if not isinstance(node.template, nodes.Const) or not isinstance(node.template.value, str):
            raise EscapeError("include needs one literal file name", line=node.lineno)
        includes.append(node.template.value)
    for attribute in tree.find_all((nodes.Getattr, nodes.Getitem)):
        name = attribute.attr if isinstance(attribute, nodes.Getattr) else _constant(attribute)
        if isinstance(name, str) and name.startswith("_"):
            raise EscapeError(f"template reaches for the attribute {name}", line=attribute.lineno)
    return Shape(variables, tuple(dict.fromkeys(includes)))


def _constant(item: jinja2.nodes.Node) -> Any:
    return getattr(getattr(item, "arg", None), "value", "")


def neutral(value: Any) -> Any:
    """Return a variable's value with turn markers broken by spaces, so that it cannot open a turn of its own.

    ``<|im_start|>`` becomes ``< |im_start| >``; lists and objects are walked.
    """
    if isinstance(value, str):
        return MARKER.sub(lambda match: f"{match[0][0]} {match[0][1:-1]} {match[0][-1]}", value)
    if isinstance(value, list):
        return [neutral(item) for item in value]
    if isinstance(value, dict):
        return {key: neutral(item) for key, item in value.items()}
    return value


def render(text: str, variables: Mapping[str, Any], files: Mapping[str, str]) -> str:
    """Render one template.

    Args:
        text: the template.
        variables: values by name, already checked against the prompt's contract and made `neutral`.
        files: text of every file that may be included, by the name used in the template.

    Raises:
        UsageError: a variable is missing.
        InputError: the template fails or its result is larger than 4 MiB.
    """
    if is_plain(text):
        missing = [name for name in _PLAIN.findall(text) if name not in variables]
        if missing:
            raise UsageError(f"variable {missing[0]} is not given", hint=f"--var {missing[0]}=...")
        return _limited(_PLAIN.sub(lambda match: str(variables[match[1]]), _NEWLINE.sub("\n", text)))
    return _limited(_render_jinja(text, variables, files))


def _limited(text: str) -> str:
    if len(text) > MAX_RENDERED:
        raise InputError(f"rendered text is larger than {MAX_RENDERED:,} characters")
    return text


def _render_jinja(text: str, variables: Mapping[str, Any], files: Mapping[str, str]) -> str:
    from jinja2 import TemplateError, UndefinedError
    from jinja2.exceptions import SecurityError

    from promptops.registry.sandbox import Sandbox

    parts, size = [], 0
    try:
        # Piece by piece, so that a result that is too large is never in memory.
        for part in Sandbox(files).from_string(text).generate(variables):
            size += len(part)
            parts.append(part)
            if size > MAX_RENDERED:
                break
        return "".join(parts)
    except UndefinedError as error:
        raise UsageError(f"template: {error.message}") from error
    except SecurityError as error:
        raise InputError(f"template leaves its sandbox: {error.message}") from error
    except TemplateError as error:
        raise InputError(f"template: {error.message}", line=getattr(error, "lineno", None)) from error
    except RecursionError as error:
        raise InputError("template is nested too deeply, or its includes form a circle") from error
    except _FAILED as error:
        raise InputError(f"template: {type(error).__name__}: {error}") from error
