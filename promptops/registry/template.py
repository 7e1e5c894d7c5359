"""Prompt templates: Jinja2 in a sandbox, with a fast path for plain ones.

A template may use variables, conditions, loops and filters, and may include other files of the registry by literal
name. It can reach no attribute of Python objects, no environment and no file outside the registry.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import InputError, PromptopsError, UsageError
from promptops.registry.markers import MARKER, Own, break_markers, may_hold, neutral
from promptops.registry.meter import MAX_TEXT, Meter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
# More than the length of any.
_LONGEST_MARKER = 80
_LONGEST_MESSAGE = 300
# What a template's own expression raises on the values it was given. Filters of Jinja2 assert.
_FAILED = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, AssertionError, MemoryError)
_BY_ATTRIBUTE = frozenset({"groupby", "selectattr", "rejectattr"})
# Where the names of included files start.
_FOLDER = "prompts/"

__all__ = ["MARKER", "EscapeError", "Shape", "is_plain", "neutral", "render", "shape"]


class EscapeError(InputError):
    """A template reaches for something outside its sandbox."""


class Shape(NamedTuple):
    """What a template refers to, and the turn markers that it builds.

    Attributes:
        variables: names of the variables.
        includes: literal names of the files that it includes.
        markers: turn markers that its literal texts make when they are put together, each with its line.
    """

    variables: frozenset[str]
    includes: tuple[str, ...]
    markers: tuple[tuple[str, int], ...] = ()


@lru_cache(maxsize=20_000)
def _plain(text: str) -> tuple[str, ...] | None:
    """Return literal texts and names in turn if ``text`` has no construct but ``{{ name }}``, else None."""
    pieces = _PLAIN.split(_NEWLINE.sub("\n", text))
    rest = "\0".join(pieces[::2])
    if "{{" in rest or "{%" in rest or "{#" in rest or not _RESERVED.isdisjoint(pieces[1::2]):
        return None
    return tuple(pieces)


def is_plain(text: str) -> bool:
    """Return whether ``text`` has no construct but ``{{ name }}``."""
    return _plain(text) is not None


@lru_cache(maxsize=20_000)
def shape(text: str) -> Shape:
    """Return the variables and includes of a template.

    Raises:
        InputError: a syntax error (with its line in the template), or an import, extension or computed include.
    """
    pieces = _plain(text)
    if pieces is not None:
        return Shape(frozenset(pieces[1::2]), ())
    from jinja2 import TemplateSyntaxError, meta, nodes

    from promptops.registry.sandbox import Sandbox

    try:
        sandbox = Sandbox({})
        tree = sandbox.parse(text)
        seeker = meta.TrackingCodeGenerator(sandbox)
        # Else it would run what it can of the template, and put the results into the tree.
        seeker.optimizer = None
        seeker.visit(tree)
        variables = frozenset(seeker.undeclared_identifiers)
    except TemplateSyntaxError as error:
        raise InputError(f"template: {error.message}", line=error.lineno) from error
    except (RecursionError, MemoryError) as error:
        raise InputError("template is nested too deeply") from error
    except ValueError as error:
        raise InputError("template has an integer of thousands of digits") from error
    includes: list[str] = []
    for node in tree.find_all(nodes.Include):
        if not isinstance(node.template, nodes.Const) or not isinstance(node.template.value, str):
            raise EscapeError("include needs one literal file name", line=node.lineno)
        includes.append(node.template.value)
    for user in tree.find_all((nodes.Getattr, nodes.Getitem, nodes.Filter)):
        for name in _attributes(user):
            if name.startswith("_"):
                raise EscapeError(f"template reaches for the attribute {name}", line=user.lineno)
    return Shape(variables, tuple(dict.fromkeys(includes)), _built(tree))


def _attributes(node: jinja2.nodes.Node) -> list[str]:
    """Return the attributes that a node names in a literal text."""
    from jinja2 import nodes

    if isinstance(node, nodes.Getattr):
        return [node.attr]
    named: list[Any] = [getattr(node, "arg", None)]
    if isinstance(node, nodes.Filter):
        # As in `map(attribute='a.b')`, `sort(attribute='a,b')` and `groupby('a')`.
        named = [keyword.value for keyword in node.kwargs if keyword.key == "attribute"]
        named += node.args[:1] if node.name in _BY_ATTRIBUTE else []
    texts = [each.value for each in named if isinstance(each, nodes.Const) and isinstance(each.value, str)]
    return [name for text in texts for name in re.split("[.,]", text)]


def _built(tree: jinja2.nodes.Template) -> tuple[tuple[str, int], ...]:
    """Return the markers that the literal texts of a template make when they are put together in their order.

    A variable between two texts parts them. A marker that this overlooks is broken when it is rendered.
    """
    from jinja2 import nodes

    found: dict[str, int] = {}
    literal = ""
    for node in tree.find_all((nodes.TemplateData, nodes.Const, nodes.Name)):
        if isinstance(node, nodes.Name):
            literal += "\0" if node.ctx == "load" else ""
        elif isinstance(node, nodes.TemplateData):
            literal += node.data
        elif isinstance(node, nodes.Const) and isinstance(node.value, str):
            literal += node.value
        end = 0
        for match in MARKER.finditer(literal):
            found.setdefault(match[0], node.lineno)
            end = match.end()
        literal = literal[end:][-_LONGEST_MARKER:]
    return tuple(found.items())


def render(text: str, variables: Mapping[str, Any], files: Mapping[str, str]) -> str:
    """Render one template; turn markers are broken, but for those that stand in the text of a template itself.

    Args:
        text: the template.
        variables: values by name, already checked against the prompt's contract and made `neutral`.
        files: text of every file that may be included, by the name used in the template.

    Raises:
        UsageError: a variable is missing.
        InputError: the template fails or its result is larger than 4 MiB.

    Errors carry the line in the template, and the path of the included file when they are in one.
    """
    plain = _plain(text)
    pieces = _render_jinja(text, variables, files) if plain is None else _render_plain(plain, variables)
    made = "".join(pieces)
    if may_hold(made):
        made = break_markers(made, _own(pieces, plain=plain is not None))
    if len(made) > MAX_TEXT:
        raise InputError(f"rendered text is larger than {MAX_TEXT:,} characters")
    return made


def _own(pieces: Sequence[str], *, plain: bool) -> set[tuple[int, int]]:
    """Return start and end of the markers that the authors of the templates wrote."""
    own: set[tuple[int, int]] = set()
    start = 0
    for index, piece in enumerate(pieces):
        if isinstance(piece, Own):
            own.add((start, start + len(piece)))
        elif plain and index % 2 == 0 and may_hold(piece):
            own.update((start + match.start(), start + match.end()) for match in MARKER.finditer(piece))
        start += len(piece)
    return own


def _render_plain(pieces: tuple[str, ...], variables: Mapping[str, Any]) -> list[str]:
    made = list(pieces)
    for index in range(1, len(made), 2):
        name = made[index]
        if name not in variables:
            raise UsageError(f"variable {name} is not given", hint=f"--var {name}=...")
        value = variables[name]
        made[index] = value if type(value) is str else str(Meter().printable(value))
    return made


def _render_jinja(text: str, variables: Mapping[str, Any], files: Mapping[str, str]) -> list[str]:
    from jinja2 import TemplateError, UndefinedError
    from jinja2.exceptions import SecurityError

    from promptops.registry.sandbox import Sandbox

    parts, size = [], 0
    try:
        # Piece by piece, so that a result that is too large is never in memory.
        for part in Sandbox(files).from_string(text).generate(variables):
            size += len(part)
            parts.append(part)
            if size > MAX_TEXT:
                break
    except UndefinedError as error:
        hint = "give it a value, or write |default('...')"
        raise _placed(UsageError(f"template: {_short(error)}", hint=hint), error) from error
    except SecurityError as error:
        raise _placed(InputError(f"template leaves its sandbox: {_short(error)}"), error) from error
    except TemplateError as error:
        raise _placed(InputError(f"template: {_short(error)}"), error) from error
    except InputError as error:
        raise _placed(error, error) from error.__cause__
    except (RecursionError, SyntaxError) as error:
        raise InputError("template is nested too deeply, or its includes form a circle") from error
    except _FAILED as error:
        hint = "correct the expression, or guard it with {% if %}"
        raise _placed(InputError(f"template: {type(error).__name__}: {_short(error)}", hint=hint), error) from error
    return parts


def _short(error: Exception) -> str:
    # Values stand in some messages.
    return str(error)[:_LONGEST_MESSAGE]


def _placed(shown: PromptopsError, error: BaseException) -> PromptopsError:
    """Return ``shown`` with the innermost place in a template where ``error`` came up."""
    shown.line = shown.line or getattr(error, "lineno", None)
    frame = error.__traceback__
    while frame is not None:
        found = frame.tb_frame.f_globals.get("__jinja_template__")
        if found is not None:
            shown.line = found.get_corresponding_lineno(frame.tb_lineno)
            shown.path = f"{_FOLDER}{found.name}" if found.name else None
        frame = frame.tb_next
    return shown
