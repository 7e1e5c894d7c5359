"""What makes a killed release end as a whole or not at all: one at a time, and a note of refs about to be written."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from typing import TYPE_CHECKING, NamedTuple

from promptops import atomic
from promptops.errors import PromptopsError, RefusedError
from promptops.repo import refs
from promptops.repo.refs import Update

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from promptops.repo.git import Git


def folder(git: Git) -> str:
    """Return the folder for our own state, below the git directory that every worktree shares."""
    path = os.path.join(git.common_dir, "promptops")
    os.makedirs(path, mode=0o700, exist_ok=True)
    return path


@contextlib.contextmanager
def exclusive(git: Git, patience: float = 0) -> Iterator[None]:
    """Hold the repository's release lock; the system lets go of it when the process ends, however it ends.

    Args:
        git: the repository.
        patience: seconds to wait for whoever holds it.

    Raises:
        PromptopsError: another release holds it.
    """
    with open(os.path.join(folder(git), "lock"), "a+", encoding="ascii", errors="replace") as file:
        try:
            _lock(file.fileno(), time.monotonic() + patience)
        except OSError as error:
            file.seek(0)
            holder = file.read(20).strip()
            raise PromptopsError(
                f"another release is running in this repository{f' (process {holder})' if holder else ''}",
                hint="wait for it to end, then run the command again",
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _lock(descriptor: int, until: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError:
            if time.monotonic() >= until:
                raise
            time.sleep(0.05)


def publish(git: Git, updates: list[Update], remote: str | None, then: Callable[[], None] | None = None) -> None:
    """Create or move refs, on the remote first when there is one: all of them or, whatever happens, none.

    Args:
        git: the repository.
        updates: refs to move, whose objects exist.
        remote: where to push them first, or None.
        then: tells the caller. Only after it the note is gone, so that a command which was killed before it could say
            what it did finds that out when it is run again, and does not do it twice.

    Raises:
        RefusedError: a ref is not where it was seen, here or there; nothing was moved here.
        PromptopsError: the remote could not be reached, or git could not write here; `resume` finds out what was done.
    """
    path = _path(git)
    if remote:
        # Without this look, a mistyped remote would leave a note that nobody could ever settle.
        refs.remote_refs(git, remote, [update.ref for update in updates])
    _write(path, {"remote": remote, "updates": [list(update) for update in updates]})
    if remote:
        try:
            refs.push(git, remote, updates)
        except refs.RejectedError:
            os.unlink(path)
            raise
    try:
        refs.update(git, updates)
    except BaseException as error:
        # What the remote has by now, `resume` brings here.
        if remote is None or isinstance(error, RefusedError):
            os.unlink(path)
        raise
    if then:
        then()
    os.unlink(path)


def resume(git: Git, then: Callable[[list[str]], None] | None = None) -> list[str]:
    """Finish what a killed or interrupted `publish` began, and return the refs that it had promised.

    Args:
        git: the repository.
        then: as for `publish`, with those refs; it is not called where there are none.

    Raises:
        PromptopsError: the remote has to be asked and cannot be reached, or the note is damaged.
    """
    path = _path(git)
    if not os.path.exists(path):
        return []
    updates, remote = _read(path)
    wanted = {update.ref: update.new for update in updates}
    if remote is None or _arrived(git, remote, wanted, path):
        missing = [update for update in updates if refs.read(git, update.ref) != update.new]
        try:
            if missing:
                refs.update(git, missing)
        except RefusedError:
            # Somebody moved them meanwhile: what was promised is overtaken, and nothing was moved.
            wanted = {}
    else:
        wanted = {}
    if then and wanted:
        then(list(wanted))
    os.unlink(path)
    return list(wanted)


class Promised(NamedTuple):
    """What a note holds: full names of refs, and the remote that they go to first, or None."""

    refs: list[str]
    remote: str | None


def promised(git: Git) -> Promised | None:
    """Return what a killed or interrupted `publish` has promised, or None.

    Raises:
        PromptopsError: the note is damaged.
    """
    path = _path(git)
    if not os.path.exists(path):
        return None
    updates, remote = _read(path)
    return Promised([update.ref for update in updates], remote)


def _arrived(git: Git, remote: str, wanted: dict[str, str], path: str) -> bool:
    try:
        # A push is atomic, so one look tells whether all of it arrived.
        return refs.remote_refs(git, remote, list(wanted)) == wanted
    except PromptopsError as error:
        raise PromptopsError(
            f"a push to {remote} was interrupted, and {remote} cannot be asked how it ended",
            hint=f"git ls-remote {remote}; or, to take it as failed: rm '{path}'",
        ) from error


def _read(path: str) -> tuple[list[Update], str | None]:
    try:
        with open(path, encoding="utf-8") as file:
            note = json.load(file)
        return [Update(*item) for item in note["updates"]], note["remote"]
    except (ValueError, TypeError, KeyError) as error:
        raise PromptopsError(
            "the note of an interrupted release is damaged",
            hint=f"see what it left: promptops log; then rm '{path}'",
            path=path,
        ) from error


def _path(git: Git) -> str:
    return os.path.join(folder(git), "pending.json")


def _write(path: str, note: dict[str, object]) -> None:
    atomic.write(path, json.dumps(note).encode(), mode=0o600)
