"""Whether events can be trusted: torn lines, drift of the format, copies, crossovers, strangers, clocks.

Files are read line by line; what has to be remembered between lines stands in a temporary SQLite file, so that memory
does not grow with the files.
"""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import stat
import tempfile
import zlib
from contextlib import closing
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from promptops.errors import PromptopsError
from promptops.registry import canonical, schemas

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# The largest event that is written, with room.
_LONGEST_LINE = 16 << 20
# Clocks of servers that keep time differ by less; it takes a reply longer than that to be judged.
SKEW_MS = 5000
AHEAD_MS = 300_000
VERSION = 1
KINDS = {
    "torn": "a line that is no JSON object, or is too long",
    "drift": "an event that does not fit the schema, or of another version",
    "duplicate": "an event whose event_id came before",
    "crossover": "a unit whose slot gave it canary and baseline within one stage",
    "orphan": "outcomes of a unit without any exposure",
    "skew": "an event from the future, or an outcome from before the use that it is of",
}


class Finding(NamedTuple):
    """Something wrong with an event.

    Attributes:
        kind: one of `KINDS`.
        path: the file.
        line: 1-based line in it.
        message: what is wrong.
    """

    kind: str
    path: str
    line: int
    message: str


class Unread(NamedTuple):
    """A file that was not checked, or only up to where it is damaged.

    Attributes:
        path: the file.
        reason: why.
    """

    path: str
    reason: str


class Report(NamedTuple):
    """What was found.

    Attributes:
        events: lines that are events of this version.
        counts: findings by kind.
        findings: the first ones of each kind, in the order of files and lines.
        unread: the files that could not be read; all others were.
    """

    events: int
    counts: dict[str, int]
    findings: tuple[Finding, ...]
    unread: tuple[Unread, ...]


def check(paths: Sequence[str], *, now: int, most: int = 20) -> Report:
    """Look for what makes events unfit for decisions.

    Args:
        paths: JSON Lines files, or such files packed by gzip.
        now: the present, milliseconds since 1970 UTC; events after it (and five minutes) are from the future.
        most: how many findings of each kind to keep; all are counted.

    Raises:
        PromptopsError: there is no room for what must be remembered.
    """
    counts = dict.fromkeys(KINDS, 0)
    kept: dict[str, list[Finding]] = {kind: [] for kind in KINDS}
    unread: list[Unread] = []
    events = 0
    with tempfile.TemporaryDirectory(prefix="promptops-") as scratch:
        try:
            with closing(sqlite3.connect(os.path.join(scratch, "events.sqlite"), isolation_level=None)) as memory:
                memory.executescript(_TABLES)
                for item in _all(memory, paths, now):
                    if item is None:
                        events += 1
                        continue
                    if isinstance(item, Unread):
                        unread.append(item)
                        continue
                    counts[item.kind] += 1
                    if len(kept[item.kind]) < most:
                        kept[item.kind].append(item)
        except sqlite3.Error as error:
            raise PromptopsError(f"events cannot be compared: {error}", hint="is TMPDIR full?") from error
    return Report(events, counts, tuple(finding for kind in KINDS for finding in kept[kind]), tuple(unread))


_TABLES = """
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE; PRAGMA cache_size = -65536;
CREATE TABLE seen (id TEXT PRIMARY KEY, digest BLOB, file INTEGER, line INTEGER) WITHOUT ROWID;
CREATE TABLE shown (scope TEXT, unit TEXT, rollout TEXT, stage INTEGER, arm TEXT, file INTEGER, line INTEGER,
  PRIMARY KEY (scope, unit, rollout, stage, arm)) WITHOUT ROWID;
CREATE TABLE units (scope TEXT, unit TEXT, PRIMARY KEY (scope, unit)) WITHOUT ROWID;
CREATE TABLE strangers (scope TEXT, unit TEXT, file INTEGER, line INTEGER, n INTEGER,
  PRIMARY KEY (scope, unit)) WITHOUT ROWID;
CREATE TABLE used (scope TEXT, response TEXT, ts INTEGER, PRIMARY KEY (scope, response)) WITHOUT ROWID;
CREATE TABLE judged (scope TEXT, response TEXT, ts INTEGER, file INTEGER, line INTEGER);
"""


def _all(memory: sqlite3.Connection, paths: Sequence[str], now: int) -> Iterator[Finding | Unread | None]:
    """Yield findings, None for every event that is one, and the files that could not be read."""
    memory.execute("BEGIN")
    for number in range(len(paths)):
        try:
            yield from _within(memory, paths, number, now)
        except PromptopsError as error:
            yield Unread(paths[number], error.message)
    yield from _across(memory, paths)
    memory.execute("COMMIT")


def _within(memory: sqlite3.Connection, paths: Sequence[str], number: int, now: int) -> Iterator[Finding | None]:
    path = paths[number]
    for line, data in _lines(path):
        if len(data) > _LONGEST_LINE:
            yield Finding("torn", path, line, f"longer than {_LONGEST_LINE:,} bytes: {data[:60]!r}")
            continue
        event = _event(data)
        if event is None:
            yield Finding("torn", path, line, f"no JSON object: {data[:60]!r}")
            continue
        fault = _drift(event)
        if fault is not None:
            yield Finding("drift", path, line, fault)
            continue
        yield None
        yield from _one(memory, event, paths, number, line)
        if event["ts"] > now + AHEAD_MS:
            yield Finding("skew", path, line, f"{_seconds(event['ts'] - now)} after now")


def _lines(path: str) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not empty, with their numbers; of one that is too long, only the start."""
    if not path.removesuffix(".gz").endswith((".jsonl", ".ndjson", ".json")):
        raise PromptopsError("neither JSON Lines nor such a file packed by gzip", path=path)
    try:
        with open(path, "rb", opener=_regular) as plain, _unpacked(path, plain) as file:
            number = 0
            while data := file.readline(_LONGEST_LINE + 1):
                number += 1
                rest = data
                while len(rest) > _LONGEST_LINE and not rest.endswith(b"\n"):
                    rest = file.readline(_LONGEST_LINE + 1)
                if data.strip():
                    yield number, data
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise PromptopsError(f"cannot be read: {reason}", path=path) from error


def _regular(path: str, flags: int) -> int:
    # Whoever opens a pipe would wait for its writer.
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise PromptopsError("not a regular file", path=path)
    return descriptor


def _unpacked(path: str, plain: BinaryIO) -> BinaryIO | gzip.GzipFile:
    return gzip.GzipFile(fileobj=plain) if path.endswith(".gz") else plain


def _event(data: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _drift(event: dict[str, Any]) -> str | None:
    """Return how an event departs from the schema, or None."""
    if event.get("v") != VERSION:
        return f"version {event.get('v')!r:.20}, not {VERSION}"
    kind = event.get("type")
    defined = schemas.schema("event")["$defs"]
    if not isinstance(kind, str) or kind not in defined:
        return f"type {kind!r:.40}, not {', '.join(defined)}"
    try:
        json.dumps(event, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "a lone surrogate, which is no text"
    except RecursionError:
        return "nested too deeply"
    return None if _validator(kind).is_valid(event) else schemas.misfit(defined[kind], event) or "does not fit"


@cache
def _validator(kind: str) -> Any:
    return schemas.compiled(canonical.dumps(schemas.schema("event")["$defs"][kind]))


def _one(
    memory: sqlite3.Connection, event: dict[str, Any], paths: Sequence[str], number: int, line: int
) -> Iterator[Finding]:
    """Remember an event, and yield what one look at those before it says."""
    digest = blake2b(json.dumps(event, sort_keys=True).encode(), digest_size=8).digest()
    new = memory.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?)", (event["event_id"], digest, number, line))
    if not new.rowcount:
        first = memory.execute("SELECT digest, file, line FROM seen WHERE id = ?", (event["event_id"],)).fetchone()
        what = "copy of" if first[0] == digest else "other content under the event_id of"
        yield Finding("duplicate", paths[number], line, f"{what} {paths[first[1]]}:{first[2]}")
        return
    scope, unit, response = f"{event['env']}\0{event['prompt']}", event["unit"], event["response_id"]
    if event["type"] == "exposure":
        if unit is not None:
            memory.execute("INSERT OR IGNORE INTO units VALUES (?, ?)", (scope, unit))
            if event["rollout"] and event["reason"] == "SPLIT" and event["arm"] != "stable" and not event["shadow"]:
                place = (scope, unit, event["rollout"], event["stage"] or 0, event["arm"], number, line)
                memory.execute("INSERT OR IGNORE INTO shown VALUES (?, ?, ?, ?, ?, ?, ?)", place)
        if response is not None:
            memory.execute("INSERT OR IGNORE INTO used VALUES (?, ?, ?)", (scope, response, event["ts"]))
    elif event["type"] == "outcome":
        if unit is not None:
            memory.execute(
                "INSERT INTO strangers VALUES (?, ?, ?, ?, 1) ON CONFLICT DO UPDATE SET n = n + 1",
                (scope, unit, number, line),
            )
        if response is not None:
            memory.execute("INSERT INTO judged VALUES (?, ?, ?, ?, ?)", (scope, response, event["ts"], number, line))


def _across(memory: sqlite3.Connection, paths: Sequence[str]) -> Iterator[Finding]:
    """Yield what only all events together say."""
    crossed = memory.execute(
        "SELECT b.file, b.line, a.file, a.line FROM shown a JOIN shown b USING (scope, unit, rollout, stage)"
        " WHERE a.arm <> b.arm AND (a.file, a.line) < (b.file, b.line) ORDER BY b.file, b.line"
    )
    for file, line, first, before in crossed:
        yield Finding("crossover", paths[file], line, f"the unit saw the other arm at {paths[first]}:{before}")
    alone = memory.execute(
        "SELECT file, line, n FROM strangers s WHERE NOT EXISTS"
        " (SELECT 1 FROM units u WHERE u.scope = s.scope AND u.unit = s.unit) ORDER BY file, line"
    )
    for file, line, n in alone:
        yield Finding("orphan", paths[file], line, f"the unit has {n} outcomes and no exposure" if n > 1 else
                      "the unit has no exposure")  # fmt: skip
    early = memory.execute(
        "SELECT j.file, j.line, u.ts - j.ts FROM judged j JOIN used u USING (scope, response)"
        " WHERE j.ts < u.ts - ? ORDER BY j.file, j.line",
        (SKEW_MS,),
    )
    for file, line, gap in early:
        yield Finding("skew", paths[file], line, f"{_seconds(gap)} before the use of its response")


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:,.1f} s"
