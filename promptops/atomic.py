"""Files that are replaced as a whole: a reader, or a process that was killed, has the old content or the new one."""

from __future__ import annotations

import contextlib
import os


def write(path: str, data: bytes, *, mode: int = 0o600) -> None:
    """Put ``data`` in the place of a file.

    Args:
        path: the file; it need not exist, its folder must.
        data: the new content.
        mode: the new file's permissions.

    Raises:
        OSError: it cannot be written; the old content stays.
    """
    import tempfile

    handle, temporary = tempfile.mkstemp(prefix=".new-", dir=os.path.dirname(path) or ".")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
