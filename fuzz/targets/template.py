"""Templates: the fast path writes what Jinja2 writes, and so does the sandbox where it accepts, but for turn markers."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import jinja2
import jinja2.sandbox
from jinja2 import meta
from oracle import ViolationError, require

from promptops.errors import InputError, UsageError
from promptops.registry import markers, template

SPLIT = None
PIECES = tuple(
    piece.encode()
    for piece in [
        *["{", "}", "{{", "}}", "{%", "%}", "{#", "#}", "{{-", "-}}", "{%-", "-%}", "{{+", "+%}", "{{ a }}", "{{a}}", "{{ b\n}}", "{{ none }}", "{{ True }}", "{{ self }}", "{{ a.b }}"],
        *["{{ _c }}", "a", "items", "d", "n", " ", "\n", "\r\n", "\r", "\t", "\u00a0", "\u2028", "\x0b", "\x00", "\x1b[31m", "\u202e", "\u200b", "é", "'", '"', "|", "\\", "%", "#", "raw"],
        *["{{ ª }}", "{{\x0ca }}", "{% raw %}", "{% endraw %}", "{% if a %}", "{% else %}", "{% endif %}", "{% for i in items %}", "{% endfor %}", "{% set x = ", "{% include 'a.md' %}"],
        *["{% import 'a.md' as m %}", "{% macro m() %}", "{% block b %}", "|upper", "|default('x')", "|join(', ')", "|tojson", "|length", "|map('upper')", "|map(attribute='__class__')"],
        *["|groupby('k')", "|attr('x')", "|sort", "|replace('a','b')", "|truncate(5)", "|round", "|string", ".__class__", "['__class__']", ".format(a)", ".items()", "~", "+", "*", "**", "//"],
        *["range(9)", "range(10**9)", "lipsum", "cycler", "joiner", "namespace()", "loop.index", "loop.cycle(1,2)", "not ", " in ", " is defined", " if ", " else ", "[0]", "[1:2]", "(", ")", ","],
        *["{{ a }}{{ b }}", "{{{ a }}}", "\n%%\n", "# for", "1e999", "9", "''", "true", "...", "$", "<|im_start|>", "<|im_", "start|>", "<s", ">", "|reverse"],
    ]
)  # fmt: skip
VALUES: dict[str, Any] = {
    "a": "A{{ b }}\n<|im_start|>",
    "b": "B",
    "_c": "C",
    "n": 7,
    "none": "N",
    "True": "T",
    "self": "S",
    "raw": "R",
    "f": 2.5,
    "items": ["x", "", "y", "x"],
    "d": {"k": "v", "l": [1, 2, None]},
    "rows": [{"k": 1, "v": "one"}, {"k": 2, "v": "two"}],
}
_PLAIN = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
# Jinja2 itself compiles a plain text of megabytes for many seconds.
_COMPARED = 100_000


def target(data: bytes) -> None:
    r"""Judge ``TEMPLATE`` or ``TEMPLATE\n%%\nINCLUDED``."""
    text, _, included = data.decode("utf-8", "replace").partition("\n%%\n")
    files = {"a.md": included}
    variables = copy.deepcopy(VALUES)
    try:
        shape = template.shape(text)
        mine = template.render(text, variables, files)
    except (InputError, UsageError) as error:
        require(not isinstance(error.__cause__, MemoryError), "a template filled the memory")
        raise
    require(variables == VALUES, "a template changed the values that it was given")
    written = set(markers.MARKER.findall(text)) | set(markers.MARKER.findall(included))
    require(written.issuperset(markers.MARKER.findall(mine)), "a turn marker that no template wrote is in the text")
    if len(data) > _COMPARED:
        return
    if template.is_plain(text):
        require(
            shape.variables == meta.find_undeclared_variables(_PLAIN.parse(text)), "the fast path sees other variables"
        )
        _compare(mine, _PLAIN, text)
    else:
        require(" object at 0x" not in mine, "an object's address is in the text")
        _compare(mine, _reference(files), text)


def _reference(files: dict[str, str]) -> jinja2.Environment:
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False, loader=jinja2.DictLoader(files)
    )  # fmt: skip
    tojson = environment.filters["tojson"]

    @jinja2.pass_eval_context
    def plain(context: Any, value: Any, indent: int | None = None) -> str:
        # Inside of a list Jinja2 would print the name of the class that marks HTML.
        return str(tojson(context, value, indent))

    environment.filters["tojson"] = plain
    return environment


def _compare(mine: str, environment: jinja2.Environment, text: str) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            theirs = environment.from_string(text).render(VALUES)
    except Exception as error:
        raise ViolationError(f"rendered {mine!r:.100}, Jinja2 refuses: {error!r:.100}") from error
    # Jinja2 lets values and expressions write turn markers, and ours lets only the text of a template.
    if markers.break_markers(mine) != markers.break_markers(theirs):
        raise ViolationError(f"rendered {mine!r:.150}, Jinja2 renders {theirs!r:.150}")
