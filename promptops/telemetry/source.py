"""Where events are: files that DuckDB reads, or a table of the user's own engine behind a connection URL."""

from __future__ import annotations

import contextlib
import glob
import os
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from promptops.errors import PromptopsError, UsageError
from promptops.telemetry.pipeline import COLUMNS
from promptops.telemetry.queries import COLUMNS as ANSWER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import ibis.expr.types as ir

    Build = Callable[[ir.Table, Mapping[str, ir.Table]], ir.Table]

TABLE = "events"
_ANSWER = "promptops_answer_"
# What Ibis takes a query to return: asked for it, an engine would create a view, which a reading user may not; and for
# types that are right already Ibis would leave the casts out, whatever really comes.
_LOOSE = {"unit": "string", "ts": "decimal(38, 0)", "value": "decimal(38, 9)"}
_LONG_LINE, _LONGEST_LINE = 16 << 20, 64 << 20
_ANALYTICS = "pip install 'promptops-git[analytics]'"
_SCALE = "pip install 'promptops-git[scale]' 'ibis-framework[ENGINE]'"
_SQL_TYPES = {"int64": "BIGINT", "string": "VARCHAR", "float64": "DOUBLE", "boolean": "BOOLEAN"}


class Source(Protocol):
    """A table of events on some engine.

    Attributes:
        engine: its name and version.
    """

    @property
    def engine(self) -> str:
        """Name and version of the engine."""

    def rows(self, build: Build, queries: Mapping[str, str]) -> list[dict[str, Any]]:
        """Run the expression that ``build`` makes of the table of events and of the answers to ``queries``, by name.

        Raises:
            PromptopsError: the engine cannot be reached, or fails.
        """


def open_source(spec: str | Sequence[str]) -> Source:
    """Return the events at ``spec``.

    Args:
        spec: paths or patterns of JSON Lines (``.jsonl``, ``.ndjson``, ``.json``, also with ``.gz`` or ``.zst``) or
            Parquet files, or a folder of them; or one connection URL such as ``postgres://user@host/database#table``,
            of any engine that Ibis knows. The table is ``events`` unless the URL's fragment names another, which may
            name a schema too: ``#schema.table``.

    Raises:
        UsageError: nothing is there.
        PromptopsError: an extra is missing.
    """
    specs = [spec] if isinstance(spec, str) else list(spec)
    if len(specs) == 1 and "://" in specs[0]:
        return Engine(specs[0])
    return Files(specs)


class Files:
    """JSON Lines or Parquet files, read by DuckDB in this process.

    DuckDB runs SQL that Ibis makes of the expression; of Ibis only its compiler is needed, neither pandas nor pyarrow.
    Memory is bounded: what does not fit is kept in a temporary folder.
    """

    def __init__(self, specs: Sequence[str], *, memory_limit: str | None = None) -> None:
        self.paths = files(specs)
        self._memory_limit = memory_limit
        kinds = {_kind(path) for path in self.paths}
        if len(kinds) > 1:
            raise UsageError("JSON Lines and Parquet files together", hint="give files of one kind")
        self._kind = kinds.pop()

    @property
    def engine(self) -> str:
        """Name and version of the engine."""
        return f"duckdb {_duckdb().__version__}"

    def rows(self, build: Build, queries: Mapping[str, str]) -> list[dict[str, Any]]:
        """See `Source.rows`."""
        import tempfile

        duckdb = _duckdb()
        sql = _sql(build, queries)
        with tempfile.TemporaryDirectory(prefix="promptops-") as scratch:
            try:
                with duckdb.connect(config=self._config(scratch)) as connection:
                    self._define(connection)
                    self._answer(connection, queries)
                    answer = connection.execute(sql)
                    names = [column[0] for column in answer.description]
                    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
            except duckdb.Error as error:
                # Its messages quote the query, which is ours, and files, which are named by the user.
                first = str(error).partition("\n")[0]
                raise PromptopsError(
                    f"DuckDB could not read the events: {first}",
                    path=self._at_fault(first),
                    hint="promptops telemetry check finds the line" if "maximum_object_size" in first else None,
                ) from error

    def _at_fault(self, message: str) -> str | None:
        named = [path for path in self.paths if path in message]
        if named or len(self.paths) > 1:
            return max(named, key=len, default=None)
        return self.paths[0]

    def _answer(self, connection: Any, queries: Mapping[str, str]) -> None:
        if not queries:
            return
        # A plan's SQL sees the events and nothing else of this machine.
        if self._kind == "parquet":
            connection.execute(f"SET allowed_paths = [{', '.join(map(_quoted, self.paths))}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        for place, text in enumerate(queries.values()):
            select = text.strip().rstrip(";")
            view = f"SELECT {_typed()} FROM (\n{select}\n)"  # noqa: S608  a reviewed SELECT, in a closed engine
            connection.execute(f"CREATE TEMP VIEW {_ANSWER}{place} AS {view}")

    def _config(self, scratch: str) -> dict[str, Any]:
        config: dict[str, Any] = {
            "temp_directory": scratch,
            "preserve_insertion_order": False,
            # Nothing is to be fetched on behalf of a path.
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        return {**config, "memory_limit": self._memory_limit} if self._memory_limit else config

    def _define(self, connection: Any) -> None:
        try:
            connection.execute(self._definition())
        except _duckdb().InvalidInputException as error:
            if "maximum_object_size" not in str(error):
                raise
            # One line that nobody needs must not stop all others. Buffers for it are large, and each thread has some.
            connection.execute("SET threads = 1")
            connection.execute(self._definition(_LONGEST_LINE))

    def _definition(self, longest: int = _LONG_LINE) -> str:
        files = "[" + ", ".join(map(_quoted, self.paths)) + "]"
        if self._kind == "parquet":
            # Ibis takes these to be all columns there are, and writes a star for them.
            names = ", ".join(COLUMNS)
            read = f"read_parquet({files}, union_by_name = true)"
            return f"CREATE TEMP VIEW {TABLE} AS SELECT {names} FROM {read}"  # noqa: S608  all of it is quoted or ours
        columns = ", ".join(f"{_quoted(name)}: {_quoted(_SQL_TYPES[kind])}" for name, kind in COLUMNS.items())
        # JSON costs more to read than all the rest, so it is read once; a line that is none becomes a row of nulls.
        return (
            f"CREATE TEMP TABLE {TABLE} AS FROM read_json({files}, format = 'newline_delimited',"
            f" columns = {{{columns}}}, ignore_errors = true, maximum_object_size = {longest})"
        )


class Engine:
    """A table of the user's engine, reached through Ibis."""

    def __init__(self, url: str) -> None:
        self._url, _, table = url.partition("#")
        self._table = table or TABLE
        self._given: Any = None
        self._version = ""

    @classmethod
    def of(cls, backend: Any, table: str = TABLE) -> Self:
        """Return the table of a connection that the caller made with Ibis, such as one to a Spark session."""
        engine = cls(f"{backend.name}://#{table}")
        engine._given = backend
        return engine

    @property
    def engine(self) -> str:
        """Name and version of the engine."""
        if not self._version:
            with self._connected():
                pass
        return self._version

    def rows(self, build: Build, queries: Mapping[str, str]) -> list[dict[str, Any]]:
        """See `Source.rows`."""
        with self._connected() as backend:
            schema, _, name = self._table.rpartition(".")
            table = backend.table(name, database=schema or None)
            answers = {each: backend.sql(text.strip().rstrip(";"), schema=_LOOSE) for each, text in queries.items()}
            answer: list[dict[str, Any]] = backend.to_pyarrow(build(table, answers)).to_pylist()
            return answer

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Any]:
        try:
            import ibis

            backend = self._given or ibis.connect(self._url)
            try:
                self._version = f"{backend.name} {str(backend.version).partition(' ')[0]}"
                yield backend
            finally:
                if backend is not self._given:
                    backend.disconnect()
        except Exception as error:  # noqa: BLE001  every driver has its own errors
            self._fail(error)

    def _fail(self, error: Exception) -> NoReturn:
        name = urlsplit(self._url).scheme
        if isinstance(error, PromptopsError):
            raise error
        if isinstance(error, ImportError):
            raise PromptopsError(f"reading from {name} needs {error.name}", hint=_SCALE) from None
        first = str(error).strip().partition("\n")[0][:300] or type(error).__name__
        for secret in _secrets(self._url):
            first = first.replace(secret, "***")
        # Without the cause: its own message and arguments may hold the URL.
        raise PromptopsError(f"{name} could not read the events: {first}", hint="is the URL right?") from None


def _secrets(url: str) -> list[str]:
    """Return what of a URL is nobody's business: its password, and all that its query sets; longest first."""
    parts = urlsplit(url)
    found = {url, parts.query, *(value for _, value in parse_qsl(parts.query))}
    if parts.password:
        found |= {parts.password, unquote(parts.password)}
    return sorted(filter(None, found), key=len, reverse=True)


def _sql(build: Build, queries: Mapping[str, str]) -> str:
    try:
        import ibis
    except ImportError as error:
        raise PromptopsError(f"telemetry needs {error.name}", hint=_ANALYTICS) from error
    answers = {name: ibis.table(ANSWER, name=f"{_ANSWER}{place}") for place, name in enumerate(queries)}
    return str(ibis.to_sql(build(ibis.table(COLUMNS, name=TABLE), answers), dialect="duckdb"))


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError as error:
        raise PromptopsError("telemetry needs duckdb", hint=_ANALYTICS) from error
    return duckdb


def files(specs: Sequence[str]) -> list[str]:
    """Return the files of events that paths, patterns and folders name; of a folder or a pattern only regular files.

    Raises:
        UsageError: one of them names nothing, or something that is no regular file.
    """
    found: list[str] = []
    for spec in specs:
        if os.path.isdir(spec):
            names = [os.path.join(spec, name) for name in sorted(os.listdir(spec)) if _kind(name, strict=False)]
        elif os.path.exists(spec) and not os.path.isfile(spec):
            raise UsageError("not a regular file", path=spec)
        else:
            names = [spec] if os.path.exists(spec) else sorted(glob.glob(spec, recursive=True))
        # Whoever opens a pipe waits for its writer.
        names = [name for name in names if os.path.isfile(name)]
        if not names:
            raise UsageError(f"there are no events at {spec}", hint="applications write to PROMPTOPS_EVENTS")
        found += names
    return list(dict.fromkeys(found))


def _kind(path: str, *, strict: bool = True) -> str:
    if path.endswith((".parquet", ".pq")):
        return "parquet"
    if path.removesuffix(".gz").removesuffix(".zst").endswith((".jsonl", ".ndjson", ".json")):
        return "json"
    if strict:
        raise UsageError("neither .jsonl nor .parquet", path=path)
    return ""


def _typed() -> str:
    return ", ".join(f"CAST({name} AS {_SQL_TYPES[kind]}) AS {name}" for name, kind in ANSWER.items())


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
