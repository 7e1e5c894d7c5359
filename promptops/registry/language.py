"""What templates can do with values: filters, tests, methods and operators, each within the bounds of one rendering."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from jinja2 import Undefined
from jinja2.filters import FILTERS, make_attrgetter
from jinja2.runtime import LoopContext
from jinja2.tests import TESTS
from jinja2.utils import htmlsafe_json_dumps

from promptops.errors import InputError
from promptops.registry.markers import Own
from promptops.registry.meter import MAX_BITS, MAX_TEXT, VISITS, Meter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from jinja2 import Environment

# Filters by what they cost. These look at a value or at the head of one, or at every character of a text.
_FILTERS = ("count", "d", "default", "first", "float", "int", "items", "last", "length", "truncate")
# These write a value first.
_TEXTS = ("capitalize", "lower", "upper")
# These go over values one by one, when they are asked for them.
_LAZY = ("map", "reject", "rejectattr", "select", "selectattr")
# These compare or hash whole values.
_DEEP = ("dictsort", "groupby", "max", "min", "sort", "unique")

_TESTS = (
    "boolean", "defined", "false", "float", "integer", "iterable", "mapping", "none", "number", "sameas", "sequence",
    "string", "true", "undefined",
)  # fmt: skip
_COMPARISONS = (
    "!=", "<", "<=", "==", ">", ">=", "eq", "equalto", "ge", "greaterthan", "gt", "in", "le", "lessthan", "lt", "ne",
)  # fmt: skip
# On texts these would be printf.
_ARITHMETIC = ("divisibleby", "even", "odd")

_METHODS: dict[type, tuple[str, ...]] = {
    str: (
        "capitalize", "count", "endswith", "find", "lower", "lstrip", "removeprefix", "removesuffix", "rstrip",
        "split", "splitlines", "startswith", "strip", "title", "upper",
    ),
    dict: ("get", "items", "keys", "values"),
    list: ("count",),
    tuple: ("count",),
    LoopContext: ("cycle",),
}  # fmt: skip
METHODS = frozenset(name for names in _METHODS.values() for name in names)

_MAX_RANGE = 10_000
_MAX_PRECISION = 100
# Each stripped character is looked up among these.
_MAX_STRIPPED = 100
# A filter or a method costs as much as looking at some values.
_CALL = 8


class Language(Meter):
    """The functions of one rendering; names that start with an underscore are for rewritten templates only.

    Args:
        environment: looks up attributes.
    """

    def __init__(self, environment: Environment) -> None:
        super().__init__()
        self._environment = environment

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return every filter by name."""
        made = {name: self._metered(FILTERS[name], self._shallow) for name in _FILTERS}
        made |= {name: self._metered(FILTERS[name], self.written) for name in _TEXTS}
        made |= {name: self._metered(FILTERS[name], self._lazy) for name in _LAZY}
        made |= {name: self._metered(FILTERS[name], self._deep, self.comparable) for name in _DEEP}
        return made | {
            "abs": self._metered(FILTERS["abs"], self._number),
            "join": self.joined,
            "list": self._listed,
            "replace": self._replaced,
            "reverse": self._metered(FILTERS["reverse"], self._sequence),
            "round": self._rounded,
            "string": lambda value: str(self.written(value)),
            "sum": self._summed,
            "title": self._metered(FILTERS["title"], self._pieces),
            "tojson": self._json,
            "trim": self._metered(FILTERS["trim"], self.written, self._few),
            "wordcount": self._metered(FILTERS["wordcount"], self._pieces),
            "_call": self._called,
            "_compared": self.comparable,
            "_counted": self._counted,
            "_key": self._key,
            "_own": Own,
            "_range": self._range,
            "_searched": self._searched,
            "_sliced": self._sliced,
        }

    def tests(self) -> dict[str, Callable[..., Any]]:
        """Return every test by name."""
        # Jinja2's type for them is "function", which nothing fits.
        known: Mapping[str, Any] = TESTS
        made = {name: self._metered(known[name], self._shallow) for name in _TESTS}
        made |= {name: self._metered(known[name], self.written) for name in ("lower", "upper")}
        made |= {name: self._metered(known[name], self.comparable, self.comparable) for name in _COMPARISONS}
        return made | {name: self._metered(known[name], self._number, self._number) for name in _ARITHMETIC}

    def refuse(self, value: Any) -> None:
        """Raise an error for a value that is no data."""
        if isinstance(value, Undefined):
            # Raises an error that names the variable.
            str(value)
        super().refuse(value)

    def written(self, value: Any) -> str:
        """Return the text of ``value`` where it is printed."""
        if isinstance(value, str):
            self.text(len(value))
            return value
        return str(self.printable(value))

    def joined(self, values: Iterable[Any], separator: str = "") -> str:
        """Return the texts of ``values``, joined."""
        texts, size, between = [], 0, self.written(separator)
        for value in self.drawn(values):
            texts.append(self.written(value))
            size += len(texts[-1]) + len(between)
            if size > MAX_TEXT:
                break
        self.text(size)
        return between.join(texts)

    def operated(self, operator: str, left: Any, right: Any) -> None:
        """Account for ``left operator right``.

        Raises:
            InputError: the operands are not of a kind for which the result stays small.
        """
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            self.text(len(left) + len(right))
            return
        if operator == "+" and isinstance(left, list) and isinstance(right, list):
            self.visit(len(left) + len(right))
            return
        self._number(left)
        self._number(right)
        # Repetition and powers are the cheapest way to exhaust memory.
        if operator == "**" and (abs(right) > MAX_BITS or _bits(left) * abs(right) > MAX_BITS):
            raise InputError("template raises a number to a power that is too large")

    def _metered(
        self,
        function: Callable[..., Any],
        first: Callable[[Any], Any],
        other: Callable[[Any], Any] | None = None,
    ) -> Callable[..., Any]:
        """Return ``function`` with its value through ``first`` and its other arguments through ``other``."""
        rest = other or self._shallow
        # Jinja2's marked functions take an environment or a context before the value; `wraps` keeps the mark.
        skip = 1 if hasattr(function, "jinja_pass_arg") else 0

        @wraps(function)
        def metered(*args: Any, **options: Any) -> Any:
            self.visit(_CALL)
            given = [*args[:skip], *map(first, args[skip : skip + 1]), *map(rest, args[skip + 1 :])]
            return function(*given, **{name: rest(value) for name, value in options.items()})

        return metered

    def _shallow(self, value: Any) -> Any:
        if isinstance(value, str):
            self.visit(len(value) // 16)
        return value

    def _few(self, value: Any) -> Any:
        if isinstance(value, str) and len(value) > _MAX_STRIPPED:
            raise InputError(f"template strips more than {_MAX_STRIPPED} characters of a text")
        return value

    def _pieces(self, value: Any) -> str:
        """Account for a text that is taken to pieces: each is a text of its own."""
        text = self.written(value)
        self.spend(1 + len(text) // 16)
        return text

    def _sequence(self, value: Any) -> Any:
        if isinstance(value, (str, list, tuple, dict, range)):
            self.visit(len(value) // 16)
            return value
        return list(self.drawn(value))

    def _sliced(self, value: Any) -> Any:
        return self._sequence(value) if isinstance(value, (str, list, tuple)) else value

    def _listed(self, value: Any) -> list[Any]:
        return list(self.drawn(self._pieces(value) if isinstance(value, str) else value))

    def _lazy(self, value: Any) -> Any:
        # These filters take what is empty, or none, for an empty list.
        return self.drawn(value) if value else value

    def _deep(self, value: Any) -> Any:
        values = value if isinstance(value, (list, tuple, dict)) else list(self.drawn(value))
        before = self._left
        self.comparable(values)
        # Sorting looks at each value about this often.
        self.visit((before - self._left) * len(values).bit_length())
        return values

    def _number(self, value: Any) -> Any:
        if isinstance(value, Undefined):
            self.refuse(value)
        if not isinstance(value, (int, float)):
            hint = "compute with numbers; + also joins two texts or two lists"
            raise InputError(f"template computes with a value of type {type(value).__name__}", hint=hint)
        if _bits(value) > MAX_BITS:
            raise InputError(f"template computes with an integer of more than {MAX_BITS:,} bits")
        return value

    def _counted(self, values: Iterable[Any], weight: int) -> Iterator[Any]:
        """Yield what a loop goes over; one round also costs ``weight``, the size of its body."""
        for value in values:
            self.visit(VISITS + weight)
            yield value

    def _called(self, owner: Any, name: str, *args: Any, **options: Any) -> Any:
        if isinstance(owner, Undefined):
            self.refuse(owner)
        if not any(isinstance(owner, kind) and name in names for kind, names in _METHODS.items()):
            raise InputError(f"template calls {name} of a {type(owner).__name__}, which is not available")
        prepare = self.comparable
        if isinstance(owner, str):
            owner = self._pieces(owner) if name.startswith("split") else self.written(owner)
            prepare = self._few if name.endswith("strip") else prepare
        elif name == "count":
            self.comparable(owner)
        return self._metered(getattr(owner, name), prepare, prepare)(*args, **options)

    def _range(self, _value: None, *bounds: int) -> range:
        values = range(*bounds)
        if len(values) > _MAX_RANGE:
            raise InputError(f"template loops over more than {_MAX_RANGE:,} numbers")
        return values

    def _key(self, value: Any) -> Any:
        if isinstance(value, (list, tuple, dict)):
            raise InputError(f"template uses a {type(value).__name__} as a key", hint="use a text or a number")
        return self.comparable(value)

    def _searched(self, value: Any) -> Any:
        if isinstance(value, (dict, Undefined)):
            return value
        if isinstance(value, (str, list, tuple, range)):
            return self.comparable(value)
        return self.comparable(list(self.drawn(value)))

    def _replaced(self, text: Any, old: str, new: str, count: int = -1) -> str:
        text = self.written(text)
        found = text.count(old)
        self.text(len(text) + (found if count < 0 else min(found, count)) * len(new))
        return str(text.replace(old, new, count))

    def _rounded(self, value: Any, precision: int = 0, method: str = "common") -> Any:
        if abs(self._number(precision)) > _MAX_PRECISION:
            raise InputError(f"template rounds to more than {_MAX_PRECISION} digits")
        return FILTERS["round"](self._number(value), precision, method)

    def _summed(self, values: Iterable[Any], attribute: str | int | None = None, start: float = 0) -> Any:
        if attribute is not None:
            values = map(make_attrgetter(self._environment, attribute), values)
        return sum((self._number(value) for value in self.drawn(values)), self._number(start))

    def _json(self, value: Any) -> str:
        # As Jinja2 writes it, but for its indent of any width.
        return str(htmlsafe_json_dumps(self.printable(value), sort_keys=True))


def _bits(number: float) -> int:
    return number.bit_length() if isinstance(number, int) else 1
