"""Writing a file as a whole: whoever looks, and whatever happens, sees the old content or the new one and no half."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# What a killed process may leave; `promptops doctor --repair` knows it by this name.
_PREFIX = ".promptops-new-"
_NAME = re.compile(re.escape(_PREFIX) + r"[0-9a-f]{16}")
# File systems that have no hard links say one of these.
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})


def is_leftover(name: str) -> bool:
    """Return whether a file's name is that of a temporary file of this module."""
    return _NAME.fullmatch(name) is not None


def staging(root: str) -> str | None:
    """Return where temporary files of the work tree at ``root`` go: below its git directory, out of the way.

    None where the git directory is elsewhere, as in a linked work tree; a temporary file then stands beside its target.

    Raises:
        OSError: it cannot be created.
    """
    folder = os.path.join(root, ".git", "promptops")
    if not os.path.isdir(os.path.dirname(folder)):
        return None
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return folder


def write(
    path: str, content: bytes, *, mode: int | None = None, durable: bool = True, folder: str | None = None
) -> None:
    """Write a file, in place of the one that is there if there is one. Its folder must exist.

    Args:
        path: the file; not a symbolic link, which would be replaced.
        content: all of it.
        mode: its permissions; None for those of the file that is there, or else what the umask gives.
        durable: wait until it is on the disk; without that a crash of the whole machine may leave an empty file.
        folder: where its temporary file goes, on the same file system; None for beside it.

    Raises:
        OSError: it cannot be written; what was there is untouched.
    """
    if mode is None:
        with contextlib.suppress(FileNotFoundError):
            mode = stat.S_IMODE(os.stat(path).st_mode)
    _place(path, content, os.replace, mode=mode, durable=durable, folder=folder)


def create(path: str, content: bytes, *, folder: str | None = None) -> None:
    """Write a file that must not exist yet; see `write`.

    Raises:
        FileExistsError: something is there, which is untouched.
        OSError: it cannot be written.
    """
    _place(path, content, _link, mode=None, durable=True, folder=folder)


def _place(
    path: str,
    content: bytes,
    move: Callable[[str, str], None],
    *,
    mode: int | None,
    durable: bool,
    folder: str | None,
) -> None:
    beside = os.path.dirname(os.path.abspath(path))
    for place in dict.fromkeys((folder or beside, beside)):
        temporary = os.path.join(place, _PREFIX + os.urandom(8).hex())
        try:
            _fill(temporary, content, mode, durable=durable)
            move(temporary, path)
            break
        except BaseException as error:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            if place == beside or not isinstance(error, OSError) or error.errno != errno.EXDEV:
                raise
    if durable:
        _sync(beside)


def _fill(temporary: str, content: bytes, mode: int | None, *, durable: bool) -> None:
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode)
    with open(handle, "wb") as file:
        file.write(content)
        file.flush()
        if mode is not None:
            os.fchmod(handle, mode)
        if durable:
            os.fsync(handle)


def _link(temporary: str, path: str) -> None:
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path) from error
        os.rename(temporary, path)
    else:
        os.unlink(temporary)


def _sync(folder: str) -> None:
    """Put a renamed name on the disk; file systems that cannot say so of a folder need not."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)
