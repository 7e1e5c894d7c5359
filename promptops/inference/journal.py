"""Paid replies on disk, so that a run that was cut short does not pay twice."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Self

from promptops.errors import PromptopsError
from promptops.inference.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_FIELDS = tuple(field.name for field in fields(Reply))


def read(path: str | os.PathLike[str]) -> dict[str, Reply]:
    """Return a journal's replies by key, oldest first, none where there is no file; another run may be adding to them.

    Raises:
        PromptopsError: it cannot be read, or it holds something else.
    """
    path = os.fspath(path)
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise PromptopsError(
            f"cannot read the journal: {error.strerror}", path=path, hint="make it readable to you"
        ) from error
    return _parse(content, path)


def torn(path: str | os.PathLike[str]) -> int:
    """Return how many bytes of a reply that was not written to its end a journal ends in; 0 where there is no file."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError:
        return 0
    return len(content) - content.rfind(b"\n") - 1


def _parse(content: bytes, path: str) -> dict[str, Reply]:
    """Return the replies in the whole lines; a last line without its end is torn or still being written."""
    replies: dict[str, Reply] = {}
    for number, line in enumerate(content.split(b"\n")[:-1], 1):
        try:
            reply = _reply(line)
        except (ValueError, TypeError, RecursionError) as error:
            raise _foreign(path, number) from error
        replies[reply.key] = reply
    return replies


def _reply(line: bytes) -> Reply:
    """Return the reply on a line; raise ValueError, TypeError or RecursionError where there is none."""
    reply = Reply(**json.loads(line, object_pairs_hook=_once))
    fingerprint = "" if reply.fingerprint is None else reply.fingerprint
    texts = (reply.key, reply.text, reply.model, reply.finish_reason, fingerprint)
    counts = (reply.prompt_tokens, reply.completion_tokens, reply.attempts)
    good = all(isinstance(text, str) for text in texts) and all(type(count) is int and count >= 0 for count in counts)
    for number in (reply.latency, reply.cost):
        # False for NaN and infinity too.
        good = good and type(number) in {int, float} and 0 <= number < 1e300
    calls: object = reply.tool_calls
    if not good or not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
        raise TypeError("a member of another type than a reply's")
    return reply


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _foreign(path: str, number: int) -> PromptopsError:
    return PromptopsError(
        "this line of the journal is no reply",
        path=path,
        line=number,
        hint="move the file away to start again; its whole lines stay readable as JSON",
    )


class Journal:
    """Append-only JSON lines of replies, one object a line, by the call's key.

    A line is one write, so that a killed process leaves whole lines and at most one torn end, which is cut off
    when the journal is opened again. One process at a time holds it.

    Args:
        path: file to open or create (mode 600: replies may quote personal data). Its folder must exist.

    Raises:
        PromptopsError: another process holds it, it cannot be opened, or it holds something else.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise PromptopsError(
                f"cannot open the journal: {error.strerror}", path=self.path, hint="choose a folder that you may write"
            ) from error
        try:
            self._lock()
            self._replies = self._load()
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def get(self, key: str) -> Reply | None:
        """Return the reply under ``key``."""
        return self._replies.get(key)

    def replies(self) -> Iterator[Reply]:
        """Yield every reply, oldest first."""
        yield from self._replies.values()

    def add(self, reply: Reply) -> None:
        """Append a reply; a later one under the same key replaces an earlier one.

        Raises:
            PromptopsError: it could not be written; what was written before is whole.
        """
        line = json.dumps({name: getattr(reply, name) for name in _FIELDS}, separators=(",", ":")).encode() + b"\n"
        end = os.fstat(self._file).st_size
        try:
            written = os.write(self._file, line)
        except OSError as error:
            raise self._unwritable(error.strerror) from error
        if written != len(line):
            os.ftruncate(self._file, end)
            raise self._unwritable("no space left on device")
        self._replies[reply.key] = reply

    def close(self) -> None:
        """Flush to the disk and let other processes in."""
        if self._file >= 0:
            os.fsync(self._file)
            os.close(self._file)
            self._file = -1

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PromptopsError(
                "another run is writing this journal", path=self.path, hint="wait until it ends, or stop it"
            ) from error

    def _load(self) -> dict[str, Reply]:
        with open(self._file, "rb", closefd=False) as stream:
            content = stream.read()
        whole = content.rfind(b"\n") + 1
        if whole != len(content):
            os.ftruncate(self._file, whole)
        return _parse(content, self.path)

    def _unwritable(self, why: str | None) -> PromptopsError:
        return PromptopsError(
            f"cannot write the journal: {why}",
            path=self.path,
            hint="make room and run the same command again: the replies before this one are kept",
        )
