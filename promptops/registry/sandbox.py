"""The part of Jinja2 that a template may use: it ends soon, fits in memory and gives the same text every time.

Jinja2's own sandbox keeps a template away from Python's internals. It does not bound time or memory, and lets object
addresses into the text; what could do either is left out here, or rewritten to go through `language`.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from jinja2 import DictLoader, StrictUndefined, nodes, pass_context
from jinja2.lexer import TokenStream
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from promptops.errors import InputError
from promptops.registry.language import METHODS, Language
from promptops.registry.markers import MARKER
from promptops.registry.meter import COMPARABLE_BITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import jinja2
    from jinja2.lexer import Token

# No macro, block, call or capture: each can double its own output any number of times.
_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Const, nodes.Name, nodes.Tuple, nodes.List, nodes.Dict,
    nodes.Helper, nodes.Slice, nodes.CondExpr, nodes.Compare, nodes.BinExpr, nodes.UnaryExpr, nodes.Concat,
    nodes.Filter, nodes.Test, nodes.Getattr, nodes.Getitem, nodes.Call, nodes.If, nodes.For, nodes.Include,
    nodes.Assign, nodes.With,
)  # fmt: skip
# Python compiles no deeper code than about twice this.
_MAX_DEPTH = 50
_MAX_LOOPS = 10
_MAX_INCLUDES = 20
_MAX_TOKENS = 50_000


class _Rewriter(NodeTransformer):
    """Send what takes time or memory through filters of `Language`, and mark the author's own turn markers."""

    def visit_TemplateData(self, node: nodes.TemplateData) -> Any:  # noqa: N802  Jinja2 dispatches on these names
        if MARKER.search(node.data) is None:
            return node
        parts: list[nodes.Expr] = []
        end = 0
        for match in MARKER.finditer(node.data):
            parts.append(nodes.TemplateData(node.data[end : match.start()], lineno=node.lineno))
            parts.append(_filter("_own", nodes.Const(match[0], lineno=node.lineno)))
            end = match.end()
        return [*parts, nodes.TemplateData(node.data[end:], lineno=node.lineno)]

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802  the same
        weight = sum(1 for part in node.body for _ in part.find_all(nodes.Node))
        self.generic_visit(node)
        node.iter = _filter("_counted", node.iter, nodes.Const(weight))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802  the same
        self.generic_visit(node)
        return _filter("join", nodes.List(node.nodes, lineno=node.lineno))

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802  the same
        self.generic_visit(node)
        node.expr = _filter("_compared", node.expr)
        for operand in node.ops:
            operand.expr = _filter("_searched" if operand.op in {"in", "notin"} else "_compared", operand.expr)
        return node

    def visit_Pair(self, node: nodes.Pair) -> nodes.Node:  # noqa: N802  the same
        self.generic_visit(node)
        node.key = _filter("_key", node.key)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802  the same
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            node.node = _filter("_sliced", node.node)
        return node

    def visit_Call(self, node: nodes.Call) -> nodes.Node:  # noqa: N802  the same
        self.generic_visit(node)
        owner: nodes.Expr = nodes.Const(None, lineno=node.lineno)
        name, args = "_range", node.args
        if isinstance(node.node, nodes.Getattr):
            name, owner, args = "_call", node.node.node, [nodes.Const(node.node.attr), *node.args]
        return nodes.Filter(owner, name, args, node.kwargs, node.dyn_args, node.dyn_kwargs, lineno=node.lineno)


def _filter(name: str, value: Any, *args: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(value, name, list(args), [], None, None, lineno=value.lineno)


class Sandbox(ImmutableSandboxedEnvironment):
    """A Jinja2 environment for one rendering.

    Args:
        files: text of every file that may be included, by name.
    """

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self, files: Mapping[str, str]) -> None:
        self.language = Language(self)
        self._files = files
        self._depths: dict[str | None, int] = {}
        self._tokens = 0
        super().__init__(
            loader=DictLoader(files),
            undefined=StrictUndefined,
            # Prompts are text, not HTML.
            autoescape=False,
            keep_trailing_newline=True,
            cache_size=-1,
            # It takes a context, so nothing is written before the rendering: folded constants would have no provenance.
            finalize=pass_context(lambda _context, value: self.language.written(value)),
            # Folding runs a template's code before there is a rendering, and writes infinities as names.
            optimized=False,
        )
        self.filters.clear()
        self.filters.update(self.language.filters())
        self.tests.clear()
        self.tests.update(self.language.tests())
        self.globals.clear()

    def get_template(self, name: Any, parent: str | None = None, globals: Any = None) -> jinja2.Template:  # noqa: A002  Jinja2 names it
        """Return a template for one inclusion; includes that include twice would double without end.

        Each piece of an included text passes through all templates above it, so that their number is bounded too.
        """
        self._depths[name] = depth = self._depths.get(parent, 0) + 1
        if depth > _MAX_INCLUDES:
            raise InputError(f"template includes more than {_MAX_INCLUDES} levels deep, or its includes form a circle")
        self.language.spend()
        self.language.text(len(self._files.get(name, "")))
        return super().get_template(name, parent, globals)

    def call_filter(self, name: str, *args: Any, **options: Any) -> Any:
        """Apply a filter that a template names in a text, as ``map`` does."""
        if str(name).startswith("_"):
            raise InputError(f"No filter named {name!r}")
        return super().call_filter(name, *args, **options)

    def handle_exception(self, source: str | None = None) -> NoReturn:  # noqa: ARG002  Jinja2 names it
        """Raise the exception that is being handled as it is; its frames tell the line."""
        raise sys.exc_info()[1] or RuntimeError("no exception is being handled")

    def _tokenize(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> TokenStream:
        tokens = self.lexer.tokenize(self.preprocess(source, name, filename), name, filename, state)
        return TokenStream(self._bounded(tokens), name, filename)

    def _bounded(self, tokens: Iterable[Token]) -> Iterator[Token]:
        """Yield tokens as long as parsing and compiling them takes a moment, over all files of the rendering."""
        for token in tokens:
            self._tokens += 1
            if self._tokens > _MAX_TOKENS:
                raise InputError(f"template holds more than {_MAX_TOKENS:,} tokens", line=token.lineno)
            yield token

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        _restrict(tree)
        _Rewriter().visit(tree)
        # The nodes that were put in know no environment yet.
        tree.set_environment(self)
        return tree

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return an item; a key is hashed, so it must be bounded."""
        self.language.visit()
        if not isinstance(argument, str):
            self.language.comparable(argument)
        if isinstance(obj, dict):
            # No method stands in for a missing key.
            return obj[argument] if argument in obj else self.undefined(obj=obj, name=argument)
        return super().getitem(obj, argument)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Return whether a template may read ``attr``: data only, since the address of a method would be printed."""
        if callable(value) and not attr.startswith("_"):
            hint = f"write {attr}() to call it, or name['{attr}'] for a key of that name"
            raise InputError(f"template uses the method {attr} without a call", hint=hint)
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> None:
        """Leave ``str.format`` a method like others, which cannot be used: a width in it fills the memory."""

    def call_binop(self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any) -> Any:
        """Return ``left operator right`` where the result stays small."""
        self.language.operated(operator, left, right)
        return super().call_binop(context, operator, left, right)


def _restrict(tree: nodes.Template) -> None:
    for node, depth, loops in _walk(tree, 0, 0):
        reason = _refused(node)
        if depth > _MAX_DEPTH or loops > _MAX_LOOPS:
            reason = f"is nested too deeply: more than {_MAX_DEPTH} levels, or {_MAX_LOOPS} loops"
        if reason:
            raise InputError(f"template {reason}", line=node.lineno)


def _walk(node: nodes.Node, depth: int, loops: int) -> Iterator[tuple[nodes.Node, int, int]]:
    yield node, depth, loops
    loops += isinstance(node, nodes.For)
    for child in node.iter_child_nodes():
        yield from _walk(child, depth + 1, loops)


def _refused(node: nodes.Node) -> str:
    if isinstance(node, (nodes.Extends, nodes.Import, nodes.FromImport)):
        return "may include files, not extend or import them"
    if not isinstance(node, _ALLOWED):
        return f"uses {type(node).__name__}, which is not available"
    reason = ""
    if isinstance(node, nodes.Call) and not _may_be_called(node.node):
        reason = "calls something that is not available"
    elif isinstance(node, nodes.Filter) and node.name.startswith("_"):
        reason = f"uses {node.name!r}, which is no filter"
    # An infinity becomes a name in Python's code, and its compiler is slow with integers whose hashes collide.
    elif isinstance(node, nodes.Const) and isinstance(node.value, (int, float)) and _too_large(node.value):
        reason = "has a number that is too large"
    # Python takes letters for each other that Jinja2 keeps apart.
    elif isinstance(node, nodes.Name) and not node.name.isascii():
        reason = f"has a variable {node.name}; names are plain ASCII letters"
    return reason


def _too_large(number: float) -> bool:
    return number.bit_length() > COMPARABLE_BITS if isinstance(number, int) else math.isinf(number)


def _may_be_called(function: nodes.Node) -> bool:
    if isinstance(function, nodes.Name):
        return function.name == "range"
    return isinstance(function, nodes.Getattr) and function.attr in METHODS
