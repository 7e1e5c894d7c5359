"""Tables and records of one's own: a column or member is a place in a case."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from promptops.evaluation.datasets import rows
from promptops.evaluation.datasets.made import Input, Made

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLACE = re.compile(r"(?:id|input|tags|weight|(?:expect|expected|variables)\.[A-Za-z_]\w*|turns\.[1-9]\d?)", re.ASCII)
_PLACES = "id, input, tags, weight, expect.TYPE, expected.NAME, variables.NAME, turns.1, turns.2, ..."
_FLAGS = {"true": True, "false": False}


def cases(given: Input) -> Iterator[Made]:
    """Yield a case for each row of a JSON Lines, CSV or Parquet file.

    Without ``columns`` an object of JSON Lines is a case as it stands, and the columns of a table are named after their
    place in a case: ``input``, ``expect.contains``, ``expected.answer``, ``variables.topic``, ``turns.1``. With
    ``columns``, a mapping from place to column, the file's own names stay; columns that it does not name are left out.

    Raises:
        InputError: the file is malformed, a column is missing, or its name is no place in a case.
    """
    kind = given.entry["format"]
    columns = given.entry.get("columns")
    for row in given.read(rows.READERS[kind]):
        if kind == "jsonl" and columns is None:
            yield Made(row.line, {"id": given.id(row)} | row.value)
        else:
            places = {place: place for place in row.value} if columns is None else columns
            yield Made(row.line, {"id": given.id(row)} | _case(row, places, given.path))


def _case(row: rows.Row, places: dict[str, str], path: str) -> dict[str, Any]:
    case: dict[str, Any] = {}
    for place, column in places.items():
        if not _PLACE.fullmatch(place):
            rows.refuse(path, row.line, f"{place} is no place in a case", f"one of {_PLACES}; or map it by `columns`")
        if column not in row.value:
            rows.refuse(path, row.line, f"there is no column {column}", f"there are: {', '.join(row.value)}")
        value = row.value[column]
        if value is None or value == "":
            continue
        head, _, rest = place.partition(".")
        if head == "turns":
            case.setdefault("turns", {})[int(rest)] = value
        elif rest:
            case.setdefault(head, {})[rest] = _FLAGS.get(value, value) if head == "expect" and _text(value) else value
        else:
            case[head] = _cell(head, value, path, row.line)
    if "turns" in case:
        case["turns"] = [case["turns"][number] for number in sorted(case["turns"])]
    return case


def _cell(head: str, value: Any, path: str, line: int) -> Any:
    if head == "tags" and _text(value):
        return [tag.strip() for tag in value.split(";")]
    if head == "weight" and _text(value):
        try:
            return int(value)
        except ValueError:
            rows.refuse(path, line, f"weight {value!r} is no whole number", "write 1, 2, 3, ...")
    return str(value) if head == "id" else value


def _text(value: Any) -> bool:
    return isinstance(value, str)
