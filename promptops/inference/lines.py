"""Files of JSON lines that a killed process leaves whole."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from promptops.errors import PromptopsError

if TYPE_CHECKING:
    from collections.abc import Mapping


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

    def load(self) -> list[bytes]:
        """Return the lines so far, and cut a torn end off."""
        with open(self.handle, "rb", closefd=False) as stream:
            content = stream.read()
        end = content.rfind(b"\n") + 1
        if end != len(content):
            os.ftruncate(self.handle, end)
        return whole(content)

    def append(self, value: Mapping[str, Any]) -> None:
        """Append one line.

        Raises:
            PromptopsError: it could not be written; what was written before is whole.
        """
        line = json.dumps(value, separators=(",", ":")).encode() + b"\n"
        end = os.fstat(self.handle).st_size
        try:
            written = os.write(self.handle, line)
        except OSError as error:
            raise self._unwritable(error.strerror) from error
        if written != len(line):
            os.ftruncate(self.handle, end)
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
