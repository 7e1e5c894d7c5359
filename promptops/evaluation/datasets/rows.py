"""Files as rows with their lines, read strictly: a fault names the file and the line, and no text is changed."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from promptops.errors import InputError, PromptopsError
from promptops.registry import canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The largest public set that is read here, SycophancyEval's feedback, has 23 MB.
MAX_BYTES = 64 << 20
MAX_ROWS = 200_000
_BOM = "\ufeff"


class Row(NamedTuple):
    """One record of a file.

    Attributes:
        line: 1-based line on which it starts, or its number where the format has no lines.
        value: its members or columns by name.
        number: 1-based number among the file's rows.
    """

    line: int
    value: dict[str, Any]
    number: int = 0


def refuse(path: str, line: int | None, message: str, hint: str | None = None) -> NoReturn:
    """Raise the InputError that points at a line of a data file."""
    raise InputError(message, hint=hint, path=path, line=line)


def text(data: bytes, path: str) -> str:
    """Return the file as text, without the byte order mark that some programs write.

    Raises:
        InputError: too large, or not UTF-8.
    """
    if len(data) > MAX_BYTES:
        refuse(path, None, f"the file has {len(data)} bytes, more than the limit of {MAX_BYTES}", "split it")
    try:
        return data.decode("utf-8").removeprefix(_BOM)
    except UnicodeDecodeError as error:
        refuse(path, data[: error.start].count(b"\n") + 1, "not UTF-8", "save the file as UTF-8")


def lines(data: bytes, path: str) -> list[Row]:
    """Return the lines that hold something, each as ``{"text": ...}`` without its line break.

    Raises:
        InputError: too large, or not UTF-8.
    """
    found = (
        Row(number, {"text": line.removesuffix("\r")})
        for number, line in enumerate(text(data, path).split("\n"), 1)
        if line.strip()
    )
    return list(_counted(found, path))


def jsonl(data: bytes, path: str) -> list[Row]:
    """Return the objects of a JSON Lines file; empty lines are passed over.

    Raises:
        InputError: a line is not one JSON object, or there are too many.
    """

    def objects() -> Iterator[Row]:
        for row in lines(data, path):
            try:
                value = canonical.loads(row.value["text"].encode())
            except InputError as error:
                refuse(path, row.line, error.message, "one JSON object on each line")
            yield _object(value, path, row.line)

    return list(_counted(objects(), path))


def json_list(data: bytes, path: str) -> list[Row]:
    """Return the objects of a JSON file that is one list; a row's line is its number in the list.

    Raises:
        InputError: something else than a list of objects, or too many of them.
    """
    try:
        value = canonical.loads(text(data, path).encode(), limit=MAX_BYTES)
    except InputError as error:
        refuse(path, None, error.message, error.hint or "[{...}, {...}]")
    if not isinstance(value, list):
        refuse(path, 1, "not a JSON list", "[{...}, {...}]")
    return list(_counted((_object(item, path, number) for number, item in enumerate(value, 1)), path))


def csv_rows(data: bytes, path: str) -> list[Row]:
    """Return the records of a CSV file (RFC 4180) by the names in its first line.

    Raises:
        InputError: no header, a name twice, or a record with more or fewer fields than the header.
    """
    # The limit of the module is 128 KiB a field; files are bounded as a whole here.
    before = csv.field_size_limit(MAX_BYTES)
    reader = csv.reader(io.StringIO(text(data, path), newline=""), strict=True)

    def records() -> Iterator[Row]:
        header = next(reader, None)
        if header is None:
            refuse(path, 1, "the file is empty", "the first line names the columns")
        if len(set(header)) != len(header):
            refuse(path, 1, "two columns have one name", "give each column a name of its own")
        start = reader.line_num + 1
        for record in reader:
            if record and len(record) != len(header):
                refuse(path, start, f"{len(record)} fields under {len(header)} columns", "quote fields with commas")
            if record:
                yield Row(start, dict(zip(header, record, strict=True)))
            start = reader.line_num + 1

    try:
        return list(_counted(records(), path))
    except csv.Error as error:
        refuse(path, reader.line_num, f"not CSV: {error}", "RFC 4180: quotes around fields, doubled inside them")
    finally:
        csv.field_size_limit(before)


def parquet(data: bytes, path: str) -> list[Row]:
    """Return the rows of a Parquet file; a row's line is its number.

    Raises:
        InputError: not Parquet, or too large when unpacked.
        PromptopsError: the extra is not installed.
    """
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise PromptopsError(
            "reading Parquet needs pyarrow", hint="pip install 'promptops-git[parquet]'", path=path
        ) from error
    if len(data) > MAX_BYTES:
        refuse(path, None, f"the file has {len(data)} bytes, more than the limit of {MAX_BYTES}", "split it")
    try:
        file = ParquetFile(io.BytesIO(data))
        groups = [file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)]
        # A small file can unpack to any size, and says so itself.
        if sum(group.total_byte_size for group in groups) > 4 * MAX_BYTES or file.metadata.num_rows > MAX_ROWS:
            refuse(path, None, "too large when unpacked", f"at most {MAX_ROWS} rows and {4 * MAX_BYTES} bytes")
        values = file.read().to_pylist()
    except (ArrowException, OSError) as error:
        refuse(path, None, f"not a Parquet file: {error}", "is this the file that `format` says it is?")
    return [Row(number, value, number) for number, value in enumerate(values, 1)]


def field(row: Row, path: str, *names: str) -> str:
    """Return the text at ``names``, one inside the other.

    Raises:
        InputError: it is missing or no text.
    """
    value: Any = row.value
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, str):
        refuse(path, row.line, f"no text at {'.'.join(names)}", "is this the file that `format` says it is?")
    return value


def _object(value: Any, path: str, line: int) -> Row:
    if not isinstance(value, dict):
        refuse(path, line, "not a JSON object", '{"input": "..."}')
    return Row(line, value)


def _counted(rows: Iterator[Row], path: str) -> Iterator[Row]:
    for number, row in enumerate(rows, 1):
        if number > MAX_ROWS:
            refuse(path, row.line, f"more than {MAX_ROWS} rows", "split the file")
        yield row._replace(number=number)


READERS: dict[str, Callable[[bytes, str], list[Row]]] = {"jsonl": jsonl, "csv": csv_rows, "parquet": parquet}
