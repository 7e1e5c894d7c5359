"""Paid replies on disk, so that a run that was cut short does not pay twice."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Self

from promptops.errors import PromptopsError
from promptops.inference import ledger
from promptops.inference.ledger import Ledger, Spent
from promptops.inference.lines import LineFile, whole
from promptops.inference.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

_FIELDS = tuple(field.name for field in fields(Reply))


def read(path: str | os.PathLike[str]) -> dict[str, Reply]:
    """Return a journal's replies by key, oldest first, none where there is no file; another run may be adding to them.

    Raises:
        PromptopsError: it cannot be read, or it holds something else.
    """
    path = os.fspath(path)
    return _parse(whole(_content(path)), path)


def torn(path: str | os.PathLike[str]) -> dict[str, int]:
    """Return in how many bytes of a line that was not written to its end a journal and its ledger end, by their paths.

    Raises:
        PromptopsError: one of them cannot be read, or a whole line of it is something else.
    """
    path = os.fspath(path)
    found = {each: _content(each) for each in (path, _ledger(path))}
    _parse(whole(found[path]), path)
    ledger.check(whole(found[_ledger(path)]), _ledger(path))
    ends = {each: len(content) - content.rfind(b"\n") - 1 for each, content in found.items()}
    return {each: size for each, size in ends.items() if size}


def _ledger(path: str) -> str:
    return f"{os.path.splitext(path)[0]}.spent.jsonl"


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise PromptopsError(
            f"cannot read the journal: {error.strerror}", path=path, hint="make it readable to you"
        ) from error


def _parse(lines: Iterable[bytes], path: str) -> dict[str, Reply]:
    return {reply.key: reply for reply in _each(lines, path)}


def _each(lines: Iterable[bytes], path: str) -> Iterator[Reply]:
    for number, line in enumerate(lines, 1):
        try:
            yield _reply(line)
        except (ValueError, TypeError, RecursionError) as error:
            raise _foreign(path, number) from error


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

    A killed process leaves whole lines and at most one torn end, which is cut off when the journal is opened again.
    One process at a time holds it.

    Args:
        path: file to open or create (mode 600: replies may quote personal data). Its folder must exist.
        wanted: of the recorded replies, by key, those that will be asked for again; only these are held in memory, and
            new ones go to the disk alone. None holds all.

    Attributes:
        ledger: what was spent, replies that never came included; beside the journal as ``NAME.spent.jsonl``.

    Raises:
        PromptopsError: another process holds it, it cannot be opened, or it holds something else.
    """

    def __init__(self, path: str | os.PathLike[str], *, wanted: Callable[[str], bool] | None = None) -> None:
        self.path = os.fspath(path)
        self._wanted = wanted
        self._file = LineFile(self.path)
        try:
            self._lock()
            self._replies: dict[str, Reply] = {}
            self.ledger = Ledger(_ledger(self.path), self._loaded())
        except BaseException:
            self._file.close()
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
        self._file.append({name: getattr(reply, name) for name in _FIELDS})
        if self._wanted is None:
            self._replies[reply.key] = reply

    def close(self) -> None:
        """Flush to the disk and let other processes in."""
        self.ledger.close()
        self._file.close()

    def _loaded(self) -> Spent:
        """Read the replies, and return what they cost: all that is known of a journal without a ledger."""
        attempts, tokens, cost = 0, 0, 0.0
        for reply in _each(self._file.load(), self.path):
            attempts += reply.attempts
            tokens += reply.prompt_tokens + reply.completion_tokens
            cost += reply.cost
            if self._wanted is None or self._wanted(reply.key):
                self._replies[reply.key] = reply
        return Spent(attempts, tokens, cost)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PromptopsError(
                "another run is writing this journal", path=self.path, hint="wait until it ends, or stop it"
            ) from error
