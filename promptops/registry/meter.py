"""What one rendering may spend, and the one walk through values that everything which reads them whole goes through.

The template language can build a value of a few cells that is exponentially large when it is written or compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from promptops.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sized

# Characters of one text.
MAX_TEXT = 4 << 20
# Rounds of loops, included files, kilobytes of text and 64 values looked at are a step each, together.
MAX_STEPS = 100_000
VISITS = 64
# About the largest number that a float holds.
MAX_BITS = 1024
# Longer integers can be made to collide in a hash table.
COMPARABLE_BITS = 64
_MAX_DEPTH = 100


class Meter:
    """What one rendering has left to spend."""

    def __init__(self) -> None:
        self._left = MAX_STEPS * VISITS

    def visit(self, values: int = 1) -> None:
        """Account for a look at some values; raises InputError when there is nothing left."""
        self._left -= values
        if self._left < 0:
            raise InputError(f"template takes more than {MAX_STEPS:,} steps", hint="loop over less, or include less")

    def spend(self, steps: int = 1) -> None:
        """Account for some steps."""
        self.visit(steps * VISITS)

    def text(self, length: int) -> None:
        """Account for a text of ``length`` characters before it is made."""
        if length > MAX_TEXT:
            raise InputError(f"template makes a text of more than {MAX_TEXT:,} characters", hint="write less text")
        self.visit(1 + length // 16)

    def drawn(self, values: Iterable[Any]) -> Iterator[Any]:
        """Yield ``values`` and account for each."""
        for value in values:
            self.visit()
            yield value

    def printable(self, value: Any) -> Any:
        """Return ``value`` if its text is bounded and the same in every process.

        Raises:
            InputError: it is too large, or holds anything but texts, numbers, lists and objects.
        """
        self._walk(value, MAX_BITS, (str,))
        return value

    def comparable(self, value: Any) -> Any:
        """Return ``value`` if it can be compared and hashed within bounds.

        Raises:
            InputError: as for `printable`, or an integer of more than 64 bits.
        """
        self._walk(value, COMPARABLE_BITS, (str, range))
        return value

    def refuse(self, value: Any) -> None:
        """Raise InputError for a value that is no data, such as a function."""
        hint = "end the expression with |list or |join(', '); call a method, as in name.items()"
        raise InputError(f"template uses a {type(value).__name__} as if it were data", hint=hint)

    def _walk(self, value: Any, bits: int, leaves: tuple[type[Sized], ...]) -> None:
        size = 0
        open_values = [iter((value,))]
        while open_values:
            for item in open_values[-1]:
                length = self._length(item, bits, leaves)
                size += length
                self.visit(1 + length // 16)
                if size > MAX_TEXT:
                    raise InputError(f"template writes or compares more than {MAX_TEXT:,} characters at once")
                if isinstance(item, (list, tuple, dict)):
                    open_values.append(_contents(item))
                    break
            else:
                open_values.pop()
            if len(open_values) > _MAX_DEPTH:
                raise InputError(f"template nests lists or objects more than {_MAX_DEPTH} deep")

    def _length(self, item: Any, bits: int, leaves: tuple[type[Sized], ...]) -> int:
        """Return about how many characters ``item`` is written with, without what is in it."""
        if isinstance(item, leaves):
            return 2 + len(item)
        if isinstance(item, int):
            if item.bit_length() > bits:
                raise InputError(f"template uses an integer of more than {bits:,} bits")
            return 2 + item.bit_length() // 3
        if item is not None and not isinstance(item, (float, list, tuple, dict)):
            self.refuse(item)
        return 4


def _contents(value: list[Any] | tuple[Any, ...] | dict[Any, Any]) -> Iterator[Any]:
    if isinstance(value, dict):
        for key in value:
            yield key
            yield value[key]
    else:
        yield from value
