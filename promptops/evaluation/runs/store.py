"""What a run of suites keeps on disk: a folder of its own below the git directory.

``run.json`` (what is asked: digests of configuration and suites, model, settings), ``replies.jsonl`` (every paid
reply, under its cache key), ``replies.spent.jsonl`` (every attempt and what it used), ``results.jsonl`` (one line per
case and replicate, with scores and words) and ``summary.json``. Replies may quote personal data: folders are readable
by their owner only.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops import atomic
from promptops.errors import PromptopsError, UsageError
from promptops.inference.lines import LineFile
from promptops.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from promptops.repo.git import Git

VERSION = 1
_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9]{6}")
_MOVE = "move the run's folder away to start again"


class Key(NamedTuple):
    """Names a line of results.

    Attributes:
        suite: name of the suite.
        case: id of the case.
        replicate: 0 for the first time that it was asked.
    """

    suite: str
    case: str
    replicate: int


def default_root(git: Git) -> str:
    """Return the folder of all runs, below the git directory that every worktree shares."""
    return os.path.join(git.common_dir, "promptops", "runs")


class Folder:
    """The folder of one run.

    Args:
        root: folder of all runs.
        name: the run's id.
    """

    def __init__(self, root: str, name: str) -> None:
        self.root = root
        self.name = name
        self.path = os.path.join(root, name)

    @property
    def journal(self) -> str:
        """Path of the paid replies."""
        return os.path.join(self.path, "replies.jsonl")

    @property
    def results(self) -> str:
        """Path of the results."""
        return os.path.join(self.path, "results.jsonl")

    def settings(self) -> dict[str, Any]:
        """Return what ``run.json`` holds.

        Raises:
            PromptopsError: it cannot be read, or a later version wrote it.
        """
        found = _read(os.path.join(self.path, "run.json"))
        if found is None:
            raise PromptopsError("the run has no run.json", path=self.path, hint=_MOVE)
        if found.get("v") != VERSION:
            raise PromptopsError("another version of promptops wrote this run", path=self.path, hint=_MOVE)
        return found

    def summary(self) -> dict[str, Any] | None:
        """Return the last summary; None for a run that has not come to an end."""
        return _read(os.path.join(self.path, "summary.json"))

    def write_settings(self, value: Mapping[str, Any]) -> None:
        """Create the folder with its ``run.json``.

        Raises:
            PromptopsError: it cannot be created.
        """
        try:
            os.makedirs(self.path, mode=0o700)
        except OSError as error:
            hint = "make the git directory writable to you"
            raise PromptopsError(f"cannot create the run: {error.strerror}", path=self.path, hint=hint) from error
        _write(os.path.join(self.path, "run.json"), value)

    def write_summary(self, value: Mapping[str, Any]) -> None:
        """Record a summary in place of the last one."""
        _write(os.path.join(self.path, "summary.json"), value)


class Results:
    """The results of a run, read line by line; of several lines on one case and replicate the last one counts.

    Memory grows by a key and a number per line, not by what the lines hold.

    Args:
        path: of ``results.jsonl``; it need not exist.

    Raises:
        PromptopsError: it cannot be read, or holds something else.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.places: dict[Key, int] = {}
        place = 0
        for number, line in enumerate(self._raw(), 1):
            if not line.endswith(b"\n"):
                # Still being written, or torn.
                break
            self.places[_key(self._parsed(line, number))] = place
            place += len(line)

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield the results in their order."""
        last = set(self.places.values())
        place = 0
        for number, line in enumerate(self._raw(), 1):
            if place in last:
                yield self._parsed(line, number)
            place += len(line)

    def get(self, key: Key) -> dict[str, Any] | None:
        """Return one result."""
        place = self.places.get(key)
        if place is None:
            return None
        with open(self._path, "rb") as file:
            file.seek(place)
            return self._parsed(file.readline(), None)

    def _raw(self) -> Iterator[bytes]:
        try:
            with open(self._path, "rb") as file:
                yield from file
        except FileNotFoundError:
            return
        except OSError as error:
            raise PromptopsError(f"cannot read the results: {error.strerror}", path=self._path) from error

    def _parsed(self, line: bytes, number: int | None) -> dict[str, Any]:
        try:
            value = json.loads(line)
            _key(value)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise PromptopsError("this line is no result", path=self._path, line=number, hint=_MOVE) from error
        return dict(value)


def _key(line: Mapping[str, Any]) -> Key:
    key = Key(line["suite"], line["case"], line["replicate"])
    if [type(part) for part in key] != [str, str, int]:
        raise TypeError("a key of other types")
    return key


class Writer:
    """Appends results; a killed process leaves whole lines.

    Args:
        path: of ``results.jsonl``.

    Raises:
        PromptopsError: it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self._file = LineFile(path)
        self._file.load()

    def add(self, line: Mapping[str, Any]) -> None:
        """Append one line.

        Raises:
            PromptopsError: it could not be written.
        """
        self._file.append(line)

    def close(self) -> None:
        """Flush to the disk."""
        self._file.close()


def new(root: str) -> Folder:
    """Return a folder that does not exist yet; its name sorts by time."""
    return Folder(root, datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f"))


def every(root: str) -> list[Folder]:
    """Return all runs, oldest first."""
    names: list[str] = []
    with contextlib.suppress(FileNotFoundError):
        names = sorted(name for name in os.listdir(root) if _ID.fullmatch(name))
    found = [Folder(root, name) for name in names]
    # A run that was killed before its first file was written is none.
    return [folder for folder in found if os.path.exists(os.path.join(folder.path, "run.json"))]


def find(root: str, name: str) -> Folder:
    """Return the run whose id is or ends in ``name``, or the newest for ``last``.

    Raises:
        UsageError: there is none, or several.
    """
    runs = every(root)
    found = runs[-1:] if name == "last" else [folder for folder in runs if name and folder.name.endswith(name)]
    if len(found) == 1:
        return found[0]
    what = f"{len(found)} runs end in" if found else "there is no run"
    raise UsageError(f"{what} {printable(name)}", hint="see: promptops eval list")


def _read(path: str) -> dict[str, Any] | None:
    try:
        with open(path, "rb") as file:
            value = json.loads(file.read())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise PromptopsError(f"a file of the run cannot be read: {error}", path=path, hint=_MOVE) from error
    if not isinstance(value, dict):
        raise PromptopsError("a file of the run is no JSON object", path=path, hint=_MOVE)
    return value


def _write(path: str, value: Mapping[str, Any]) -> None:
    atomic.write(path, (json.dumps(value, ensure_ascii=True, indent=1) + "\n").encode("ascii"), mode=0o600)
