"""Events as lines of files that any number of processes, threads and forks fill at once; standard library only.

An event is one ``write(2)`` to a file opened with O_APPEND, so that on a local file system lines never mix, and a
killed process loses at most the line that it was writing. A writer cannot know whether somebody else tore the line
before its own, neither beforehand nor in time; so every line brings its own line break in front as well as behind. What
was torn then ends there, and readers of JSON Lines pass over the empty lines between.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import threading
import time
from typing import Any, Protocol

FOLDER_VARIABLE = "PROMPTOPS_EVENTS"
DEFAULT_FOLDER = "promptops-events"
# A file of this size is read in a second or two.
MAX_FILE_BYTES = 256 << 20
MAX_EVENT_BYTES = 1 << 20
_DAY_MS = 86_400_000
_LOOK_MS = 1000
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class Sink(Protocol):
    """Where events go. It must be safe to call from any thread, must not block for long, and must not raise."""

    def write(self, event: dict[str, Any]) -> None:
        """Take one event; see ``promptops schema event``."""


class FileSink:
    """Appends events to ``events-<UTC day>-<number>.jsonl`` in a folder.

    A new day, and a file of more than ``max_bytes``, start the next file; no file is renamed or deleted. What cannot be
    written is counted, and said once through the logger ``promptops``.

    Args:
        folder: created when the first event comes.
        max_bytes: size from which a file gets no more events (a few may still come from other processes).

    Attributes:
        lost: events that could not be written.
    """

    def __init__(self, folder: str, *, max_bytes: int = MAX_FILE_BYTES) -> None:
        self.folder = os.path.abspath(folder)
        self.lost = 0
        self._max_bytes = max_bytes
        # Number of the day, until when the file need not be looked at, and its descriptor: swapped as one.
        self._open: tuple[int, int, int] | None = None
        self._path = ""
        self._lock = threading.Lock()
        _SINKS.append(self)

    def write(self, event: dict[str, Any]) -> None:
        """Append one event."""
        data = b"\n" + _encode(event).encode("utf-8", "replace") + b"\n"
        try:
            # The rest of a short write is not sent after it: others may have written in between.
            whole = len(data) <= MAX_EVENT_BYTES and os.write(self._descriptor(event["ts"]), data) == len(data)
        except OSError as error:
            self.failed(error)
        else:
            if not whole:
                self.failed(OSError(f"there was no room for an event of {len(data):,} bytes"))

    def _descriptor(self, now: int) -> int:
        found = self._open
        if found is not None and found[0] == now // _DAY_MS and now < found[1]:
            return found[2]
        with self._lock:
            found = self._open
            if found is None or found[0] != now // _DAY_MS or not self._in_use(found[2]):
                descriptor = self._next(now)
                # Another thread may be about to write to the old one; a number that stays its own does no harm then.
                if found is not None:
                    os.dup2(descriptor, found[2], inheritable=False)
                    os.close(descriptor)
                    descriptor = found[2]
                found = (0, 0, descriptor)
            self._open = (now // _DAY_MS, now + _LOOK_MS, found[2])
            return found[2]

    def _in_use(self, descriptor: int) -> bool:
        """Return whether the open file is still the one that others see, and small enough."""
        status = os.fstat(descriptor)
        with contextlib.suppress(FileNotFoundError):
            seen = os.stat(self._path)
            return (seen.st_ino, seen.st_dev) == (status.st_ino, status.st_dev) and status.st_size < self._max_bytes
        return False

    def _next(self, now: int) -> int:
        """Open the first file of the day that has room. All processes come to the same one."""
        os.makedirs(self.folder, mode=0o750, exist_ok=True)
        day = time.strftime("%Y%m%d", time.gmtime(now // 1000))
        number = 0
        while True:
            path = os.path.join(self.folder, f"events-{day}-{number:04d}.jsonl")
            descriptor = os.open(path, _FLAGS, 0o640)
            if os.fstat(descriptor).st_size < self._max_bytes:
                self._path = path
                return descriptor
            os.close(descriptor)
            number += 1

    def failed(self, error: OSError) -> None:
        """Count an event that was lost, and say so if it is the first."""
        with self._lock:
            self.lost += 1
            first = self.lost == 1
        if first:
            import logging

            logging.getLogger("promptops").warning(
                "events cannot be written to %s (%s); they are counted as lost, and this is said once",
                self.folder,
                error.strerror or error,
            )

    def forget_lock(self) -> None:
        """Start with a free lock: in a child whose parent's other threads, which held it, do not exist."""
        self._lock = threading.Lock()


_SINKS: list[FileSink] = []


def _after_fork() -> None:
    for sink in _SINKS:
        sink.forget_lock()


os.register_at_fork(after_in_child=_after_fork)


def event_id(now: int) -> str:
    """Return a UUID of version 7 (RFC 9562) for an event at ``now`` milliseconds."""
    number = int.from_bytes(os.urandom(10), "big")
    # 48 bits of time, the version, 12 random bits, the variant, 62 random bits.
    value = now << 80 | 7 << 76 | (number >> 62 & 0xFFF) << 64 | 2 << 62 | number & (1 << 62) - 1
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def key_of(folder: str) -> bytes:
    """Return the key in ``unit.key`` of a folder, which the first to ask makes.

    Raises:
        OSError: there is none, and none can be made.
    """
    path = os.path.join(folder, "unit.key")
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        return file.read(1024)
    os.makedirs(folder, mode=0o750, exist_ok=True)
    # It appears whole or not at all, so that nobody hashes with a part of it.
    temporary = os.path.join(folder, f".unit.key-{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as new:
            new.write(secrets.token_hex(32).encode())
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        os.unlink(temporary)
    with open(path, "rb") as file:
        return file.read(1024)
