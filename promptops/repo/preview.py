"""A repository as a push would leave it: objects of another one, quarantined ones included, under chosen refs."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from typing import TYPE_CHECKING, Self

from promptops.errors import PromptopsError
from promptops.repo import refs
from promptops.repo.git import Git

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

# git quotes a path with a colon in it, as its list of alternates may hold.
_PATH = re.compile(r'"(?:[^"\\]|\\.)*"|[^:]+')


class Preview:
    """A scratch repository that borrows every object and owns its refs; a context manager.

    A hook sees the pushed objects but not the refs that they are for, and what judges a release reads refs. Nothing of
    the original's configuration, hooks or caller's environment reaches what is opened here.

    Args:
        git: the repository that takes the push, in the environment that git gave the hook.

    Attributes:
        refs: object id by full ref name, as they are before the push.
    """

    def __init__(self, git: Git) -> None:
        self.refs = refs.listing(git)
        self._head = git.try_run("symbolic-ref", "--quiet", "HEAD").stdout.decode("utf-8", "surrogateescape").strip()
        self._format = git.text("rev-parse", "--show-object-format")
        self._objects = _object_folders(git)
        self._shallow = git.text("rev-parse", "--path-format=absolute", "--git-path", "shallow")
        self._directory = ""
        self._opened: list[Git] = []

    def __enter__(self) -> Self:
        try:
            self._directory = tempfile.mkdtemp(prefix="promptops-preview-")
            bare = Git(self._directory, strict=True, inherit=False)
            bare.run("init", "--quiet", "--bare", "--template=", f"--object-format={self._format}")
            os.makedirs(os.path.join(self._directory, "objects/info"), exist_ok=True)
            self._write("objects/info/alternates", "".join(f"{folder}\n" for folder in self._objects))
            if os.path.exists(self._shallow):
                shutil.copy(self._shallow, os.path.join(self._directory, "shallow"))
        except OSError as error:
            shutil.rmtree(self._directory, ignore_errors=True)
            message = f"cannot lay a scratch repository out: {error.strerror or error}"
            raise PromptopsError(message, hint="make room for temporary files, or set TMPDIR") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for git in self._opened:
            git.close()
        with contextlib.suppress(OSError):
            shutil.rmtree(self._directory)

    def with_refs(self, chosen: Mapping[str, str]) -> Git:
        """Return the repository with these refs (object id by full name); what was returned before is closed."""
        for git in self._opened:
            git.close()
        lines = "".join(f"{oid} {ref}\n" for ref, oid in sorted(chosen.items()))
        self._write("packed-refs", lines)
        if self._head:
            self._write("HEAD", f"ref: {self._head}\n")
        self._opened = [Git(self._directory, strict=True, inherit=False)]
        return self._opened[0]

    def _write(self, name: str, text: str) -> None:
        with open(os.path.join(self._directory, name), "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)


def _object_folders(git: Git) -> list[str]:
    """Return where git finds objects, the quarantine first, as its list of alternates spells them."""
    own = git.text("rev-parse", "--path-format=absolute", "--git-path", "objects")
    return [own, *_PATH.findall(os.environ.get("GIT_ALTERNATE_OBJECT_DIRECTORIES", ""))]
