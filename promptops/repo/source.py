"""Where governed files are read from: the index, a commit's tree, or the work tree."""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple, Protocol

from promptops import atomic
from promptops.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from promptops.repo.git import Git

SYMLINK = "120000"
SUBMODULE = "160000"
SPECIAL = frozenset((SYMLINK, SUBMODULE))
_MAX_WORKTREE_BYTES = 64 << 20
_MAX_PATH = 4096


class Entry(NamedTuple):
    """A file in git: its mode as six octal digits and its blob id (empty in the work tree)."""

    mode: str
    oid: str


class Source(Protocol):
    """Files of one state of the repository, by path relative to its root."""

    label: str

    def entries(self, prefix: str = "") -> dict[str, Entry]:
        """Return every file whose path starts with the directory ``prefix`` (``prompts/``), in path order."""
        ...

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes, or None when there is no such file.

        Raises:
            InputError: the path is a symbolic link or a submodule, where that can be seen.
        """
        ...

    def read_many(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Return the bytes of all ``paths`` that exist, in one go."""
        ...


def _refuse_special(path: str, entry: Entry) -> None:
    if entry.mode == SYMLINK:
        raise InputError("symbolic links are not followed", hint="commit the file itself", path=path)
    if entry.mode == SUBMODULE:
        raise InputError("submodules are not read", hint="commit the files themselves", path=path)


def on_disk(root: str, path: str) -> str:
    """Return the absolute path of a file of the work tree at ``root``, which need not exist.

    Raises:
        InputError: a symbolic link leads elsewhere.
    """
    full = os.path.join(root, path)
    if os.path.realpath(full) != os.path.normpath(os.path.join(os.path.realpath(root), path)):
        _refuse_special(path, Entry(SYMLINK, ""))
    return full


def replace(root: str, path: str, content: bytes) -> None:
    """Write a file of the work tree at ``root`` as a whole, folders included; see `promptops.atomic.write`.

    Raises:
        InputError: a symbolic link leads elsewhere.
        OSError: it cannot be written; what was there is untouched.
    """
    full = on_disk(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    atomic.write(full, content, folder=atomic.staging(root))


def _may_be_link(data: bytes) -> bool:
    """Return whether a blob could be a link's target, so that its mode is worth a process of its own."""
    return len(data) <= _MAX_PATH and b"\n" not in data


class _GitSource(ABC):
    """Files that git lists. Single reads do not list them, so that a hook's cost does not grow with the repository."""

    label: str

    def __init__(self, git: Git) -> None:
        self.git = git
        self._entries: dict[str, Entry] | None = None

    @abstractmethod
    def _list(self, path: str | None = None) -> dict[str, Entry]:
        """Return the entry of one file, or those of all."""

    @abstractmethod
    def _spec(self, path: str) -> str:
        """Return what git calls a file's content."""

    def _all(self) -> dict[str, Entry]:
        if self._entries is None:
            self._entries = self._list()
        return self._entries

    def entries(self, prefix: str = "") -> dict[str, Entry]:
        """See `Source.entries`."""
        return {path: entry for path, entry in self._all().items() if path.startswith(prefix)}

    def read(self, path: str) -> bytes | None:
        """See `Source.read`."""
        if self._entries is not None:
            entry = self._entries.get(path)
            if entry is None:
                return None
            _refuse_special(path, entry)
        found = self.git.object(self._spec(path))
        if found is None or found.kind != "blob":
            return None
        if self._entries is None and _may_be_link(found.data):
            for entry in self._list(path).values():
                _refuse_special(path, entry)
        return found.data

    def read_many(self, paths: Iterable[str]) -> dict[str, bytes]:
        """See `Source.read_many`."""
        wanted = {path: entry for path in paths if (entry := self._all().get(path))}
        blobs = self.git.objects(sorted({entry.oid for entry in wanted.values() if entry.mode not in SPECIAL}))
        return {path: blobs[entry.oid] for path, entry in wanted.items() if entry.oid in blobs}


class TreeSource(_GitSource):
    """The tree of one commit.

    Args:
        git: the repository.
        revision: anything that names a commit.
        commit: its id where that is known already, which saves a process.
    """

    def __init__(self, git: Git, revision: str, *, commit: str | None = None) -> None:
        super().__init__(git)
        self.commit = commit or git.commit(revision)
        # Nobody reads forty digits.
        self.label = f"commit {revision[:12]}" if revision == self.commit else revision

    def _list(self, path: str | None = None) -> dict[str, Entry]:
        which = ["-r", self.commit] if path is None else [self.commit, "--", path]
        listing = self.git.run("ls-tree", "-z", "--full-tree", *which)
        return {name: Entry(fields[0], fields[2]) for name, fields in _lines(listing)}

    def _spec(self, path: str) -> str:
        return f"{self.commit}:{path}"


class IndexSource(_GitSource):
    """What the next commit would hold; honours ``GIT_INDEX_FILE``, as ``git commit -a`` sets it."""

    label = "index"

    def _list(self, path: str | None = None) -> dict[str, Entry]:
        # ":/" lists from the root whatever the current directory is.
        which = ":/" if path is None else f":(top,literal){path}"
        listing = self.git.run("ls-files", "-s", "-z", "--full-name", "--", which)
        return {name: Entry(fields[0], fields[1]) for name, fields in _lines(listing)}

    def _spec(self, path: str) -> str:
        return f":{path}"


def _lines(listing: bytes) -> Iterator[tuple[str, list[str]]]:
    """Yield path and fields of each line of ``ls-tree`` or ``ls-files``."""
    for line in listing.split(b"\0")[:-1]:
        head, _, path = line.partition(b"\t")
        yield os.fsdecode(path), head.decode().split(" ")


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a named pipe, too, at once rather than when somebody writes into it."""
    return os.open(path, flags | os.O_NONBLOCK)


class WorktreeSource:
    """Files on disk, tracked or not; for authors' commands, never for a verdict.

    Args:
        root: absolute path of the work tree.
    """

    label = "work tree"

    def __init__(self, root: str) -> None:
        self.root = root

    def entries(self, prefix: str = "") -> dict[str, Entry]:
        """See `Source.entries`; object ids are empty."""
        found: dict[str, Entry] = {}
        for directory, folders, files in os.walk(os.path.join(self.root, prefix)):
            folders[:] = sorted(name for name in folders if name != ".git")
            for name in files:
                full = os.path.join(directory, name)
                mode = SYMLINK if os.path.islink(full) else "100644"
                found[os.path.relpath(full, self.root)] = Entry(mode, "")
        return dict(sorted(found.items()))

    def read(self, path: str) -> bytes | None:
        """See `Source.read`."""
        try:
            with open(on_disk(self.root, path), "rb", opener=_without_waiting) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise InputError("is no regular file", hint="put a file in its place", path=path)
                # One byte more than any reader accepts, so that what is cut off here is refused there.
                return file.read(_MAX_WORKTREE_BYTES + 1)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", path=path) from error

    def read_many(self, paths: Iterable[str]) -> dict[str, bytes]:
        """See `Source.read_many`."""
        return {path: data for path in paths if (data := self.read(path)) is not None}


class Overlay:
    """A work tree with some files replaced in memory.

    Args:
        under: the work tree.
        files: content by path; what is not in the work tree is not among `entries`.
    """

    def __init__(self, under: WorktreeSource, files: Mapping[str, bytes]) -> None:
        self.label = under.label
        self._under = under
        self._files = files

    def entries(self, prefix: str = "") -> dict[str, Entry]:
        """See `Source.entries`."""
        return self._under.entries(prefix)

    def read(self, path: str) -> bytes | None:
        """See `Source.read`."""
        return self._files.get(path) or self._under.read(path)

    def read_many(self, paths: Iterable[str]) -> dict[str, bytes]:
        """See `Source.read_many`."""
        return {path: data for path in paths if (data := self.read(path)) is not None}
