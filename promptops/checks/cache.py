"""Remembering that a whole state passed, so that it is not judged again.

A remembered state can only save work: what is remembered is that nothing at all was found, under a key of everything
that could change the answer.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from promptops import __version__, atomic
from promptops.registry import data
from promptops.repo import tags
from promptops.trust import signers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from promptops.repo.git import Git

EVERYTHING = "everything"
_KEPT = 50


def listing(git: Git) -> bytes:
    """Return mode, blob id, stage and path of every file in the index that may be governed, NUL-terminated."""
    folders = (f":(top){name}" for name in ("prompts", "models", "evals", "rollouts", ".promptops", "promptops.yaml"))
    return git.run("ls-files", "-s", "-z", "--full-name", "--", *folders)


def key(git: Git, listed: bytes, *, today: str, wanted: Iterable[str]) -> str:
    """Return the key of a whole state: its `listing`, tags, schemas, tool version, rules, date and own revocations."""
    made = hashlib.sha256(f"promptops {__version__}\0{today}\0{' '.join(sorted(wanted))}\0".encode())
    folder = data.path("schemas")
    for name in sorted(os.listdir(folder)):
        made.update(data.read("schemas", name))
    made.update(git.run("for-each-ref", "--format=%(objectname) %(refname)", tags.PREFIX) + b"\0")
    made.update(listed)
    made.update(b"\0" + signers.own_revocations())
    return made.hexdigest()


def recall(git: Git, wanted: str) -> tuple[int, int] | None:
    """Return how many files and prompts a state holds that passed; None when it is not known to have."""
    return _known(_path(git)).get(wanted)


def remember(git: Git, found_clean: str, files: int, prompts: int) -> None:
    """Remember that a state passed; where that cannot be written, it is judged again next time."""
    path = _path(git)
    known = _known(path)
    known.pop(found_clean, None)
    kept = [*known.items(), (found_clean, (files, prompts))][-_KEPT:]
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        lines = "".join(f"{each} {counts[0]} {counts[1]}\n" for each, counts in kept)
        atomic.write(path, lines.encode("ascii"), durable=False)
    except OSError:
        return


def _path(git: Git) -> str:
    return os.path.join(git.common_dir, "promptops", "passed")


def _known(path: str) -> dict[str, tuple[int, int]]:
    try:
        with open(path, encoding="ascii") as file:
            lines = [line.split(" ") for line in file.read(_KEPT * 100).splitlines()]
        return {each: (int(files), int(prompts)) for each, files, prompts in lines}
    except (OSError, ValueError):
        # A damaged memory knows nothing. (Text that is not ASCII is a ValueError too.)
        return {}
