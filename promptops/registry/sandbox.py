"""The part of Jinja2 that a template may use: it ends soon, fits in memory and gives the same text every time.

Jinja2's own sandbox keeps a template away from Python's internals. It does not bound time or memory, and lets object
addresses into the text; what could do either is left out here or metered.
"""

from __future__ import annotations

import warnings
from functools import wraps
from typing import TYPE_CHECKING, Any

from jinja2 import DictLoader, StrictUndefined, Undefined, nodes
from jinja2.filters import FILTERS
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS
from jinja2.utils import htmlsafe_json_dumps
from jinja2.visitor import NodeTransformer

from promptops.errors import InputError

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import jinja2

# Characters that one operator may make.
MAX_TEXT = 4 << 20
# Rounds of loops, included files, items of lists that are walked, and text that operators (by the kilobyte) and filters
# (by 64 characters) work on, together, in one rendering.
MAX_STEPS = 100_000
_MAX_RANGE = 10_000

# No macro, block, call or capture: each can double its own output any number of times.
_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Const, nodes.Name, nodes.Tuple, nodes.List, nodes.Dict,
    nodes.Helper, nodes.Slice, nodes.CondExpr, nodes.Compare, nodes.BinExpr, nodes.UnaryExpr, nodes.Concat,
    nodes.Filter, nodes.Test, nodes.Getattr, nodes.Getitem, nodes.Call, nodes.If, nodes.For, nodes.Include,
    nodes.Assign, nodes.With,
)  # fmt: skip
_TEXT_FILTERS = frozenset({"capitalize", "lower", "string", "title", "trim", "truncate", "upper", "wordcount"})
# They compare or hash what is in a list; a list that holds one list twice, and so on, has more in it than memory.
_WALKING_FILTERS = frozenset({"dictsort", "groupby", "list", "max", "min", "sort", "unique"})
_COMPARING_TESTS = frozenset(
    {"==", "eq", "equalto", "!=", "ne", ">", "gt", "greaterthan", ">=", "ge", "<", "lt", "lessthan", "<=", "le", "in"}
)
_FILTERS = (
    "abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "groupby", "int", "items", "last",
    "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "round", "select",
    "selectattr", "sort", "string", "sum", "title", "trim", "truncate", "unique", "upper", "wordcount",
)  # fmt: skip
_METHODS = (
    "capitalize", "count", "cycle", "endswith", "find", "get", "items", "keys", "lower", "lstrip", "removeprefix",
    "removesuffix", "rstrip", "split", "splitlines", "startswith", "strip", "title", "upper", "values",
)  # fmt: skip


class _Meter:
    """What one rendering has left to spend."""

    def __init__(self) -> None:
        self._left = MAX_STEPS

    def spend(self, steps: int = 1) -> None:
        self._left -= steps
        if self._left < 0:
            raise InputError(f"template takes more than {MAX_STEPS:,} steps")

    def text(self, length: int) -> None:
        """Account for a text of ``length`` characters before it is made."""
        if length > MAX_TEXT:
            raise InputError(f"template makes a text of more than {MAX_TEXT:,} characters")
        self.spend(1 + length // 1024)

    def walked(self, value: Any) -> Any:
        """Account for everything in ``value`` before all of it is compared or hashed."""
        if isinstance(value, str):
            self.text(len(value))
        stack = [value]
        while stack:
            inner = _items(stack.pop())
            self.spend(len(inner))
            stack += inner
        return value

    def listed(self, values: Any) -> Any:
        """Return ``values``, as a list where it was lazy, accounted for."""
        return self.walked(values if isinstance(values, (str, list, tuple, dict)) else list(self.counted(values)))

    def printed(self, value: Any) -> Any:
        """Return a value that has the same text in every process; refuse functions, generators and the like."""
        stack = [value]
        while stack:
            each = stack.pop()
            if each is not value and isinstance(each, Undefined):
                # In a list it would be written as a word; this raises its error.
                str(each)
            if each is not None and not isinstance(each, (str, int, float, list, tuple, dict, Undefined)):
                hint = "end the expression with |list or |join(', ')"
                raise InputError(f"template prints a {type(each).__name__}", hint=hint)
            inner = _items(each)
            self.spend(len(inner))
            stack += inner
        return value

    def worked_on(self, value: Any) -> Any:
        """Account for a text that a filter or a method is about to read."""
        if isinstance(value, str):
            self.spend(len(value) // 64)
        return self.printed(value)

    def sliced(self, value: Any) -> Any:
        """Account for a copy of a part of ``value``."""
        if isinstance(value, (str, list, tuple)):
            self.spend(len(value) // 64)
        return value

    def summed(self, values: Iterable[Any], start: Any = 0) -> Any:
        numbers = [start, *self.counted(values)]
        if not all(isinstance(number, (int, float)) for number in numbers):
            raise InputError("template sums things that are no numbers")
        return sum(numbers)

    def counted(self, values: Iterable[Any]) -> Iterator[Any]:
        for value in values:
            self.spend()
            yield value

    def joined(self, values: Iterable[Any], separator: str = "") -> str:
        texts = [str(self.worked_on(value)) for value in self.counted(values)]
        self.text(sum(map(len, texts)) + len(separator) * len(texts))
        return str(separator).join(texts)

    def replaced(self, text: Any, old: str, new: str, count: int = -1) -> str:
        text = str(self.worked_on(text))
        self.text(len(text) + (text.count(old) if count < 0 else count) * len(new))
        return str(text.replace(old, new, count))

    def added(self, left: Any, right: Any) -> None:
        if isinstance(left, str) and isinstance(right, str):
            self.text(len(left) + len(right))
        elif isinstance(left, list) and isinstance(right, list):
            self.spend(len(left) + len(right))
        elif not all(isinstance(value, (int, float)) for value in (left, right)):
            raise InputError("template adds things that are neither two numbers, two texts nor two lists")


def _items(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return list(value) if isinstance(value, (list, tuple)) else []


def _through(node: Any, name: str) -> nodes.Filter:
    """Return an expression that passes the value of the expression ``node`` through one of our filters."""
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


class _Rewriter(NodeTransformer):
    """Send loops, calls, comparisons and text operators through the meter."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802  Jinja2 dispatches on this name
        self.generic_visit(node)
        node.iter = _through(node.iter, "_counted")
        return node

    def visit_Call(self, node: nodes.Call) -> nodes.Node:  # noqa: N802  the same
        self.generic_visit(node)
        if not isinstance(node.node, nodes.Getattr):
            return node
        arguments = [nodes.Const(node.node.attr, lineno=node.lineno), *node.args]
        return nodes.Filter(
            node.node.node, "_method", arguments, node.kwargs, node.dyn_args, node.dyn_kwargs, lineno=node.lineno
        )

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802  the same
        self.generic_visit(node)
        node.expr = _through(node.expr, "_walked")
        for operand in node.ops:
            operand.expr = _through(operand.expr, "_walked")
        return node

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:  # noqa: N802  the same
        self.generic_visit(node)
        for pair in node.items:
            pair.key = _through(pair.key, "_walked")
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802  the same
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            node.node = _through(node.node, "_sliced")
        else:
            node.arg = _through(node.arg, "_walked")
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802  the same
        self.generic_visit(node)
        return _through(nodes.List(node.nodes, lineno=node.lineno), "join")


class Sandbox(ImmutableSandboxedEnvironment):
    """A Jinja2 environment for one rendering.

    Args:
        files: text of every file that may be included, by name.
    """

    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def __init__(self, files: Mapping[str, str]) -> None:
        self.meter = _Meter()
        super().__init__(
            loader=DictLoader(files),
            undefined=StrictUndefined,
            # Prompts are text, not HTML.
            autoescape=False,
            keep_trailing_newline=True,
            cache_size=-1,
            finalize=self.meter.printed,
        )
        meter = self.meter
        self.filters = {name: FILTERS[name] for name in _FILTERS}
        self.filters |= {name: _prepared(FILTERS[name], meter.worked_on) for name in _TEXT_FILTERS}
        self.filters |= {name: _prepared(FILTERS[name], meter.listed) for name in _WALKING_FILTERS}
        self.filters |= {
            "_counted": meter.counted,
            "_method": self._method,
            "_sliced": meter.sliced,
            "_walked": meter.walked,
            "join": meter.joined,
            "replace": meter.replaced,
            "sum": meter.summed,
            "tojson": self._json,
        }
        self.tests = TESTS | {name: _comparing(TESTS[name], meter.walked) for name in _COMPARING_TESTS}
        self.globals.clear()
        self.globals["range"] = _bounded_range

    def get_template(self, *args: Any, **options: Any) -> jinja2.Template:
        """Return a template for one inclusion; includes that include twice would double without end."""
        self.meter.spend()
        return super().get_template(*args, **options)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        _restrict(tree)
        _Rewriter().visit(tree)
        # The nodes that were put in know no environment yet.
        tree.set_environment(self)
        return tree

    def _compile(self, source: str, filename: str) -> types.CodeType:
        with warnings.catch_warnings():
            # Python warns of `{{ 1[0:2] }}` and the like, in lines of code that nobody wrote; rendering refuses them.
            warnings.simplefilter("ignore", SyntaxWarning)
            return super()._compile(source, filename)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Return whether a template may read ``attr``: data only, for a method's text is its address in memory."""
        return super().is_safe_attribute(obj, attr, value) and not callable(value)

    def _method(self, value: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call one of `_METHODS`, which stay within bounds."""
        found = getattr(value, name, None)
        if found is None or not super().is_safe_attribute(value, name, found) or not callable(found):
            # Raises what a template that calls an undefined name gets.
            return self.undefined(obj=value, name=name)()
        for each in (value, *args, *kwargs.values()):
            self.meter.sliced(self.meter.walked(each))
        return found(*args, **kwargs)

    def _json(self, value: Any) -> str:
        # As Jinja2 writes it, but for its indent of any width.
        return str(htmlsafe_json_dumps(self.meter.printed(value), sort_keys=True))

    def wrap_str_format(self, value: Any) -> Any:
        """Refuse ``str.format``: a width in it fills the memory."""
        if super().wrap_str_format(value) is not None:
            raise InputError("template calls format, which is not available")

    def call_binop(self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any) -> Any:
        """Return ``left operator right`` where the result stays small."""
        if operator == "+":
            self.meter.added(left, right)
        # Repetition and powers are the cheapest way to exhaust memory.
        elif not all(isinstance(value, (int, float)) and abs(value) < 1e6 for value in (left, right)):
            raise InputError(f"template uses {operator} on other things than small numbers")
        return super().call_binop(context, operator, left, right)


def _prepared(function: Callable[..., Any], prepare: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return a filter whose value goes through ``prepare`` first; Jinja2 may pass an environment before it."""
    at = int(hasattr(function, "jinja_pass_arg"))

    @wraps(function)
    def prepared(*args: Any, **kwargs: Any) -> Any:
        return function(*args[:at], prepare(args[at]), *args[at + 1 :], **kwargs)

    return prepared


def _comparing(function: Any, walked: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda value, other: function(walked(value), walked(other))


def _restrict(tree: nodes.Template) -> None:
    for node in tree.find_all(nodes.Node):
        if isinstance(node, (nodes.Extends, nodes.Import, nodes.FromImport)):
            raise InputError("template may include files, not extend or import them", line=node.lineno)
        if not isinstance(node, _ALLOWED):
            raise InputError(f"template uses {type(node).__name__}, which is not available", line=node.lineno)
        if isinstance(node, nodes.Call) and not _may_be_called(node.node):
            raise InputError("template calls something that is not available", line=node.lineno)
        if isinstance(node, nodes.Filter) and node.name.startswith("_"):
            raise InputError(f"No filter named {node.name!r}", line=node.lineno)


def _may_be_called(function: nodes.Node) -> bool:
    if isinstance(function, nodes.Name):
        return function.name == "range"
    return isinstance(function, nodes.Getattr) and function.attr in _METHODS


def _bounded_range(*bounds: int) -> range:
    values = range(*bounds)
    if len(values) > _MAX_RANGE:
        raise InputError(f"template loops over more than {_MAX_RANGE:,} numbers")
    return values
