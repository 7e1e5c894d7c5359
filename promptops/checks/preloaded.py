"""A state of the repository whose prompts and models are read in one go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.registry.prompt import MODELS, PROMPTS
from promptops.repo.source import SPECIAL, Entry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from promptops.repo.git import Git


class Preloaded:
    """Files by their listed blob ids; see `promptops.repo.source.Source`.

    Prompts and models come with the first read, in one process. Others, such as the data of evaluation suites, may be
    large and are read one by one.
    """

    def __init__(self, git: Git, label: str, entries: dict[str, Entry]) -> None:
        self.label = label
        self.git = git
        self._entries = entries
        self._blobs: dict[str, bytes] | None = None

    def entries(self, prefix: str = "") -> dict[str, Entry]:
        """See `Source.entries`."""
        if not prefix:
            return self._entries
        return {path: entry for path, entry in self._entries.items() if path.startswith(prefix)}

    def load(self) -> None:
        """Read every prompt and model now."""
        if self._blobs is None:
            wanted = {entry.oid for path, entry in self._entries.items() if _is_loaded(path, entry)}
            self._blobs = self.git.objects(sorted(wanted))

    def read(self, path: str) -> bytes | None:
        """See `Source.read`; links and submodules, which PO102 reports, count as absent."""
        entry = self._entries.get(path)
        if entry is None or entry.mode in SPECIAL:
            return None
        if not _is_loaded(path, entry):
            found = self.git.object(entry.oid)
            return found.data if found else None
        self.load()
        return (self._blobs or {})[entry.oid]

    def read_many(self, paths: Iterable[str]) -> dict[str, bytes]:
        """See `Source.read_many`."""
        return {path: data for path in paths if (data := self.read(path)) is not None}

    def reopen(self, git: Git) -> Preloaded:
        """Return the same files read through another process's repository handle."""
        again = Preloaded(git, self.label, self._entries)
        again._blobs = self._blobs
        return again


def _is_loaded(path: str, entry: Entry) -> bool:
    return path.startswith((PROMPTS, MODELS)) and entry.mode not in SPECIAL
