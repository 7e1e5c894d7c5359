"""What the readers of data files hand to each other: files that were checked, and cases with where they come from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.evaluation.datasets import rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class File(NamedTuple):
    """A file whose digest was checked: its path in the repository, and its bytes."""

    path: str
    data: bytes


class Made(NamedTuple):
    """A case in the suite's format, and the line of the first file that it was made from."""

    line: int
    case: dict[str, Any]


class Placed(NamedTuple):
    """A case in the suite's format, with the path and the line that it is from."""

    path: str
    line: int
    case: dict[str, Any]


class Input(NamedTuple):
    """What a shape reads.

    Attributes:
        files: the entry's own file under ``""``, and those under ``also`` by name.
        entry: the entry of ``data``.
    """

    files: Mapping[str, File]
    entry: Mapping[str, Any]

    @property
    def path(self) -> str:
        """Path of the entry's own file."""
        return self.files[""].path

    def read(self, reader: Callable[[bytes, str], list[rows.Row]], name: str = "") -> list[rows.Row]:
        """Return the rows of the file ``name``.

        Raises:
            InputError: the entry lacks the file, or the file is malformed.
        """
        if name not in self.files:
            rows.refuse(self.path, None, f"this format needs a second file, {name}", f"also: {{{name}: {{path: ...}}}}")
        return reader(self.files[name].data, self.files[name].path)

    def beside(self, reader: Callable[[bytes, str], list[rows.Row]], name: str, count: int) -> list[rows.Row]:
        """Return the rows of the file ``name``, which go with the entry's own one by one.

        Raises:
            InputError: the entry lacks the file, it is malformed, or has another number of rows than ``count``.
        """
        found = self.read(reader, name)
        if len(found) != count:
            rows.refuse(self.files[name].path, None, f"{len(found)} rows beside {count} in {self.path}")
        return found

    def id(self, row: rows.Row) -> str:
        """Return the id of the case from ``row``: the prefix, by default the file's name, and the row's number."""
        return f"{self.entry.get('prefix') or slug(self.path)}-{row.number}"


def slug(path: str) -> str:
    """Return a file's name without suffixes as the start of an id."""
    stem = path.rsplit("/", 1)[-1].split(".", 1)[0]
    return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:40].strip("-") or "row"
