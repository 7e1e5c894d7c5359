"""The hook that a server's git runs: what it is told, and the script that calls us."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING

from promptops import atomic
from promptops.errors import PromptopsError, RefusedError, UsageError
from promptops.registry.governed import POLICY
from promptops.release import receiving
from promptops.repo import refs
from promptops.repo.source import TreeSource
from promptops.trust import policy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from promptops.release.receiving import Move
    from promptops.repo.git import Git

_MARK = "# written by promptops hook install"


def moves(kind: str, arguments: Sequence[str], stdin: TextIO) -> list[Move]:
    """Return the moves of a push as git tells them to a hook.

    Args:
        kind: ``pre-receive`` or ``update``.
        arguments: REF, OLD and NEW for ``update``; none for ``pre-receive``.
        stdin: lines of ``OLD NEW REF`` for ``pre-receive``.

    Raises:
        UsageError: they are not as git gives them.
    """
    if kind == "update":
        if len(arguments) != 3:
            raise UsageError("the update hook takes REF OLD NEW")
        ref, old, new = arguments
        return [receiving.move(ref, old, new)]
    if arguments:
        raise UsageError("the pre-receive hook takes its refs from standard input")
    found = []
    for line in stdin:
        old, _, rest = line.rstrip("\n").partition(" ")
        new, _, ref = rest.partition(" ")
        found.append(receiving.move(ref, old, new))
    return found


def _check_default(git: Git) -> None:
    """Refuse a repository whose default branch has no policy while another branch has: nothing would be in force."""
    if git.object(f"HEAD:{POLICY}") is not None:
        return
    for ref, oid in refs.listing(git, "refs/heads").items():
        if git.object(f"{oid}:{POLICY}") is not None and policy.load(TreeSource(git, oid)).is_protected(ref):
            message = "the default branch has no policy, and it is the default branch's that is in force"
            raise RefusedError(message, hint=f"git symbolic-ref HEAD {ref}")


def install(git: Git, kind: str, root: str | None) -> str:
    """Write the hook of a repository, in place of an earlier one of ours, and return its path.

    Raises:
        RefusedError: somebody else's hook is there, or the default branch is not the one with the policy.
        UsageError: the root is no digest.
        PromptopsError: it cannot be written.
    """
    policy.check_root(root)
    _check_default(git)
    path = git.text("rev-parse", "--path-format=absolute", "--git-path", f"hooks/{kind}")
    call = [sys.executable, "-P", "-m", "promptops", "hook", "run", kind, *(["--root", root] if root else [])]
    command = shlex.join(call)
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            ours = _MARK in file.read()
    except FileNotFoundError:
        ours = True
    if not ours:
        raise RefusedError("another hook is there already", hint=f"let it end with: exec {command}", path=path)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        atomic.write(path, f'#!/bin/sh\n{_MARK}\nexec {command} "$@"\n'.encode(), mode=0o755)
    except OSError as error:
        raise PromptopsError(f"the hook cannot be written: {error.strerror}", path=path) from error
    return path
