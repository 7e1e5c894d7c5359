"""A copy of the last good content, for the next start of the application."""

from __future__ import annotations

import contextlib
import os


def read(path: str) -> bytes:
    """Return the bytes of the copy.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        return file.read()


def write(path: str, data: bytes) -> None:
    """Replace the copy as a whole. It is not waited for: a copy that a crash of the machine cut off is not taken.

    Raises:
        OSError: it cannot be written; the one before is untouched.
    """
    temporary = f"{path}.{os.getpid()}-{os.urandom(8).hex()}"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        with open(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
