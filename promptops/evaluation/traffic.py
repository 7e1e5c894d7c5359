"""Recorded traffic: what real users sent, as JSON lines in a folder outside the repository."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import InputError, PromptopsError
from promptops.registry import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator

_SLOTS = 2**32
_SUFFIX = ".jsonl"
_MAX_LINE = 4 << 20


class Record(NamedTuple):
    """One recorded request.

    Attributes:
        id: name of the case, unique for its prompt.
        variables: JSON values by variable name, redacted when they were recorded.
    """

    id: str
    variables: dict[str, Any]


class Traffic(NamedTuple):
    """The part of recorded traffic that a canary replays.

    Attributes:
        records: the chosen requests, smallest slot first.
        total: how many requests of this prompt are recorded.
        digest: ``sha256:<hex>`` over all requests of this prompt in order of file name and line; None without any.
    """

    records: tuple[Record, ...]
    total: int
    digest: str | None


def slot(case: str) -> int:
    """Return the place of a case in [0, 2^32): the first four bytes of SHA-256, the same in every release."""
    return int.from_bytes(hashlib.sha256(b"traffic\0" + case.encode("utf-8", "surrogatepass")).digest()[:4], "big")


def choose(folder: str, prompt: str, *, share: float, minimum: int) -> Traffic:
    """Return the recorded requests of ``prompt`` whose slot lies below ``share``, at least ``minimum`` of them.

    Where the share holds fewer, the next smallest slots fill up. Which requests are chosen depends on their ids only,
    so that releases of one prompt are compared on the same requests.

    Args:
        folder: absolute path; every ``*.jsonl`` below it is read.
        prompt: name of the prompt.
        share: fraction in (0, 1].
        minimum: least number of requests.

    Raises:
        InputError: a malformed line, with file and line, or an id that two different requests carry.
        PromptopsError: the folder does not exist.
    """
    chosen: dict[str, tuple[int, Record]] = {}
    spare: dict[str, tuple[int, Record]] = {}
    digest, total = hashlib.sha256(), 0
    for path, line, record, text in _records(folder, prompt):
        total += 1
        digest.update(text + b"\n")
        place = slot(record.id)
        known = chosen.get(record.id) or spare.get(record.id)
        if known is not None and known[1] != record:
            raise InputError(f"id {record.id!r} names two different requests", path=path, line=line)
        (chosen if place < share * _SLOTS else spare)[record.id] = (place, record)
        if len(spare) > 2 * minimum + 1000:
            spare = dict(sorted(spare.items(), key=_place)[:minimum])
    missing = max(minimum - len(chosen), 0)
    picked = sorted(chosen.items(), key=_place) + sorted(spare.items(), key=_place)[:missing]
    records = tuple(record for _, (_, record) in picked)
    return Traffic(records, total, f"sha256:{digest.hexdigest()}" if total else None)


def _place(item: tuple[str, tuple[int, Record]]) -> tuple[int, str]:
    return item[1][0], item[0]


def _records(folder: str, prompt: str) -> Iterator[tuple[str, int, Record, bytes]]:
    if not os.path.isdir(folder):
        raise PromptopsError(
            f"the folder of recorded traffic does not exist: {folder}",
            hint="create it (empty: there is no traffic yet), or mend traffic.path in promptops.yaml",
        )
    for directory, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            if name.endswith(_SUFFIX):
                yield from _lines(os.path.join(directory, name), prompt)


def _lines(path: str, prompt: str) -> Iterator[tuple[str, int, Record, bytes]]:
    """Yield path, line, request and its canonical text."""
    # A named pipe would be waited for.
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise InputError("recorded traffic is no regular file", hint="move it away", path=path)
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    record = _parse(line, prompt)
                    text = canonical.dumps(record)
                except InputError as error:
                    raise InputError(error.message, hint=error.hint, path=path, line=number) from error
                if record is not None:
                    yield path, number, record, text


def _parse(line: bytes, prompt: str) -> Record | None:
    """Return the record on a line, or None when it is another prompt's."""
    value = canonical.loads(line, limit=_MAX_LINE)
    members = value if isinstance(value, dict) else {}
    usable = {key: isinstance(members.get(key), str) and members[key] != "" for key in ("id", "prompt")}
    usable["variables"] = isinstance(members.get("variables"), dict)
    for key, good in usable.items():
        if not good:
            raise InputError(
                f"a recorded request needs {key!r}",
                hint='one JSON object a line: {"id": "...", "prompt": "support/reply", "variables": {...}}',
            )
    return Record(value["id"], value["variables"]) if value["prompt"] == prompt else None
