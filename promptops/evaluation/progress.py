"""One line about how far something is."""

from __future__ import annotations

import sys
from typing import IO


class Line:
    """One line, rewritten on a terminal, and a line now and then elsewhere.

    Args:
        stream: where to write; standard error when None.
        every: units of progress between two lines where there is no terminal.
    """

    def __init__(self, stream: IO[str] | None = None, *, every: int = 50) -> None:
        self._stream = stream or sys.stderr
        self.live = self._stream.isatty()
        self._every = every
        self._next = 0
        self._shown = 0

    def show(self, text: str, done: int) -> None:
        """Write ``text``, which says that ``done`` units are done."""
        if self.live:
            self._stream.write(f"\r{text:<{self._shown}}")
            self._shown = len(text)
            self._stream.flush()
        elif done >= self._next:
            self._stream.write(text + "\n")
            self._next = done + self._every

    def close(self) -> None:
        """Leave the line."""
        if self.live and self._shown:
            self._stream.write("\n")
            self._stream.flush()
            self._shown = 0
