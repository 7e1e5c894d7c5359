"""Files of JSON lines that a killed process leaves whole."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from promptops.errors import PromptopsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BLOCK = 1 << 16
_ENCODED = json.JSONEncoder(separators=(",", ":")).encode


def whole(content: bytes) -> list[bytes]:
    """Return the whole lines; a last line without its end is torn or still being written."""
    return content.split(b"\n")[:-1]


class LineFile:
    """An append-only file, one JSON object a line.

    A line is one write, so that a killed process leaves whole lines and at most one torn end, which `load` cuts off.

    Args:
        path: file to open or create (mode 600). Its folder must exist.

    Raises:
        PromptopsError: it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self.handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise PromptopsError(
                f"cannot open the journal: {error.strerror}", path=path, hint="choose a folder that you may write"
            ) from error

    def load(self) -> Iterator[bytes]:
        """Cut a torn end off, and return the lines so far, one after the other."""
        size = os.fstat(self.handle).st_size
        end = self._last_end(size)
        if end != size:
            os.ftruncate(self.handle, end)
        return self._lines()

    def _lines(self) -> Iterator[bytes]:
        os.lseek(self.handle, 0, os.SEEK_SET)
        with open(self.handle, "rb", closefd=False) as stream:
            for line in stream:
                yield line.removesuffix(b"\n")

    def _last_end(self, size: int) -> int:
        """Return where the last whole line ends."""
        while size:
            start = max(0, size - _BLOCK)
            found = os.pread(self.handle, size - start, start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            size = start
        return 0

    def append(self, value: Mapping[str, Any]) -> None:
        """Append one line.

        Raises:
            PromptopsError: it could not be written; what was written before is whole.
        """
        line = f"{_ENCODED(value)}\n".encode()
        try:
            written = os.write(self.handle, line)
        except OSError as error:
            raise self._unwritable(error.strerror) from error
        if written != len(line):
            os.ftruncate(self.handle, os.fstat(self.handle).st_size - written)
            raise self._unwritable("no space left on device")

    def close(self) -> None:
        """Flush to the disk."""
        if self.handle >= 0:
            os.fsync(self.handle)
            os.close(self.handle)
            self.handle = -1

    def _unwritable(self, why: str | None) -> PromptopsError:
        return PromptopsError(
            f"cannot write the journal: {why}",
            path=self.path,
            hint="make room and run the same command again: the replies before this one are kept",
        )
