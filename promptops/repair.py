"""What a run that was killed left behind: found, explained and, when asked for, mended.

Every command works with these leftovers around, except with a lock of git's; so mending removes only what is ours by
its name and its age, and of git's files only locks that certainly nobody holds.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import time
from typing import TYPE_CHECKING

from promptops import atomic
from promptops.errors import PromptopsError
from promptops.evaluation import evidence
from promptops.inference import journal as replies
from promptops.probe import Probe
from promptops.release import journal
from promptops.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promptops.repo.git import Git

MEND = "promptops doctor --repair"
# Younger files may belong to a process that runs.
_LOCK_SECONDS = 60
_SCRATCH_SECONDS = 24 * 3600
# For ssh-keygen, and a repository as a push would leave it.
_SCRATCH = re.compile(r"promptops-(?:[0-9a-f]{32}|preview-[a-z0-9_]{8})")
_LOCKS = ("HEAD.lock", "index.lock", "packed-refs.lock", "config.lock", "shallow.lock")
_SHOWN = 3


def examine(git: Git, *, mend: bool) -> list[Probe]:
    """Return what runs that were cut short left in this clone and in the folder for temporary files.

    Args:
        git: the repository.
        mend: finish or remove what can be.
    """
    found = [
        *_promise(git, mend=mend),
        *_locks(git, mend=mend),
        *_journals(git, mend=mend),
        *_temporary(git, mend=mend),
        *_unnamed(git),
    ]
    return found or [Probe("leftovers", "ok", "no run that was cut short left anything")]


def _promise(git: Git, *, mend: bool) -> list[Probe]:
    """Look at the note of refs that a release or decision was about to write."""
    name = "promise"
    try:
        promised = journal.promised(git)
        if promised is None:
            return []
        where = f" on {promised.remote} and" if promised.remote else ""
        what = f"a run was cut short, or is at it, while it wrote{where} here: {_some(promised.refs)}"
        if not mend:
            return [Probe(name, "warn", what, f"{MEND}; the next release, promote, rollback or withdraw does it too")]
        with journal.exclusive(git):
            finished = journal.resume(git)
    except PromptopsError as error:
        return [Probe(name, "broken", error.message, error.hint or "see above")]
    ended = "they are here now" if finished else "nothing of it had counted, and the note of it is gone"
    return [Probe(name, "mended", f"{what}; {ended}")]


def _locks(git: Git, *, mend: bool) -> Iterator[Probe]:
    """Look for lock files of git, which every later git waits for in vain where the one that made them was killed."""
    for path in _lock_files(git.common_dir):
        age = _age(path)
        if age is None:
            continue
        place = os.path.relpath(path, git.common_dir)
        what = f"{place} has been there for {age / 60:.0f} minutes"
        by_hand = f"where no git runs: rm {shlex.quote(path)}"
        if age < _LOCK_SECONDS:
            yield Probe("lock", "warn", f"{place}: a git may be at work", f"wait for it to end; {by_hand}")
        elif (running := _running(git)) is None:
            yield Probe("lock", "broken", f"{what}, and this system does not tell whether a git holds it", by_hand)
        elif running:
            yield Probe("lock", "warn", f"{what}; a git runs here: process {_some(running)}", "wait for it to end")
        elif not mend:
            yield Probe("lock", "broken", f"{what}, and no git runs here: it was killed", f"{MEND}; or {by_hand}")
        else:
            yield _removed("lock", path, f"{what} and no git runs here: removed")


def _lock_files(folder: str) -> Iterator[str]:
    for place in (folder, *_subfolders(os.path.join(folder, "worktrees"))):
        yield from (path for name in _LOCKS if os.path.isfile(path := os.path.join(place, name)))
    for place, _, names in os.walk(os.path.join(folder, "refs")):
        yield from (os.path.join(place, name) for name in sorted(names) if name.endswith(".lock"))


def _running(git: Git) -> list[str] | None:
    """Return ids of processes that may be a git at work here; None where the system does not tell."""
    try:
        processes = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return None
    inside = [os.path.realpath(folder) + os.sep for folder in (git.root, git.common_dir)]
    found = []
    for number in processes:
        try:
            with open(f"/proc/{number}/comm", encoding="utf-8", errors="replace") as file:
                if not file.read().startswith("git"):
                    continue
            place = os.readlink(f"/proc/{number}/cwd") + os.sep
            with open(f"/proc/{number}/cmdline", "rb") as file:
                said = os.fsdecode(file.read())
            with open(f"/proc/{number}/environ", "rb") as file:
                said += os.fsdecode(file.read())
        except (FileNotFoundError, ProcessLookupError):
            # It has ended, or is about to.
            continue
        except OSError:
            # Somebody else's git: it could be at work anywhere.
            found.append(number)
            continue
        if place.startswith(tuple(inside)) or any(folder.rstrip(os.sep) in said for folder in inside):
            found.append(number)
    return found


def _journals(git: Git, *, mend: bool) -> Iterator[Probe]:
    """Look for journals of paid replies, and ledgers of what was spent, that break off or hold something else."""
    for folder in filter(os.path.isdir, _subfolders(evidence.default_root(git))):
        path = os.path.join(folder, evidence.JOURNAL)
        what = ""
        try:
            ends = [f"{each} ends in {counted(size, 'byte')}" for each, size in replies.torn(path).items()]
            if not ends:
                continue
            what = f"{' and '.join(ends)} of a line that was not written to its end"
            if mend:
                # Opening them cuts that off, unless a run holds them.
                replies.Journal(path).close()
        except PromptopsError as error:
            place = what or f"{error.path}{f', line {error.line}' if error.line else ''}"
            yield Probe("journal", "broken", f"{place}: {error.message}", error.hint or "see above")
        else:
            if mend:
                yield Probe("journal", "mended", f"{what}: cut off; every whole line is kept")
            else:
                yield Probe("journal", "warn", what, f"{MEND}; the next canary of it does so too")


def _temporary(git: Git, *, mend: bool) -> Iterator[Probe]:
    """Look for files and folders that would have been renamed or removed a moment later."""
    files = [path for path in _unfinished(git) if (_age(path) or 0) >= _LOCK_SECONDS]
    if files:
        yield _swept(files, "files", f"unfinished files of ours: {_some(files)}", mend=mend)
    scratch = list(_scratch())
    if scratch:
        yield _swept(scratch, "scratch", f"folders for temporary files, older than a day: {_some(scratch)}", mend=mend)


def _unfinished(git: Git) -> Iterator[str]:
    for place, _, names in os.walk(os.path.join(git.common_dir, "promptops")):
        yield from (os.path.join(place, name) for name in names if atomic.is_leftover(name))
    listing = git.run("-C", git.root, "ls-files", "--others", "--exclude-standard", "-z")
    for path in map(os.fsdecode, listing.split(b"\0")[:-1]):
        if atomic.is_leftover(os.path.basename(path)):
            yield os.path.join(git.root, path)


def _scratch() -> Iterator[str]:
    with os.scandir(os.environ.get("TMPDIR") or "/tmp") as entries:  # noqa: S108  where they were made
        for entry in entries:
            if _SCRATCH.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                status = entry.stat(follow_symlinks=False)
                if status.st_uid == os.getuid() and time.time() - status.st_mtime > _SCRATCH_SECONDS:
                    yield entry.path


def _swept(paths: list[str], name: str, what: str, *, mend: bool) -> Probe:
    if not mend:
        return Probe(name, "warn", what, MEND)
    for path in paths:
        done = _removed(name, path, "")
        if done.state != "mended":
            return done
    return Probe(name, "mended", f"{what}: removed")


def _unnamed(git: Git) -> list[Probe]:
    """Say which signed tags a run made that no ref names; they harm nobody."""
    if git.try_run("config", "--get-regexp", r"^remote\..*\.promisor$").stdout:
        # In a partial clone the walk would fetch what is not here.
        return []
    walk = git.try_run("fsck", "--dangling", "--connectivity-only", "--no-progress").stdout.decode("utf-8", "replace")
    oids = re.findall(r"^dangling tag ([0-9a-f]+)$", walk, re.MULTILINE)
    names = [re.search(rb"^tag (prompt/.*)$", data, re.MULTILINE) for data in git.objects(oids).values()]
    ours = sorted({match[1].decode("utf-8", "replace") for match in names if match})
    if not ours:
        return []
    detail = f"signed, but no ref names them, so that they release nothing: {_some(ours)}; git gc removes them"
    return [Probe("unnamed tags", "ok", detail)]


def _removed(name: str, path: str, done: str) -> Probe:
    try:
        if stat.S_ISDIR(os.lstat(path).st_mode):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        return Probe(name, "broken", f"{path} cannot be removed: {error.strerror}", f"rm -r {shlex.quote(path)}")
    return Probe(name, "mended", done)


def _age(path: str) -> float | None:
    """Return the seconds since a file was written (0 where the clock was turned back), None where there is none."""
    try:
        return max(0.0, time.time() - os.lstat(path).st_mtime)
    except FileNotFoundError:
        return None


def _subfolders(folder: str) -> list[str]:
    try:
        return sorted(os.path.join(folder, name) for name in os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
