"""Where histories part, and the state before every history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.repo.git import GitError

if TYPE_CHECKING:
    from promptops.repo.git import Git


def merge_base(git: Git, target: str, head: str) -> str | None:
    """Return the newest common ancestor, or None for unrelated histories.

    Raises:
        GitError: the clone is too shallow to know.
    """
    done = git.try_run("merge-base", target, head)
    if done.returncode == 0:
        return done.stdout.decode().split()[0]
    if git.shallow:
        raise GitError("this shallow clone does not reach the merge base", hint="git fetch --unshallow --tags")
    return None


def empty_tree(git: Git) -> str:
    """Return the id of the tree without files, which git knows in every repository."""
    return git.run("hash-object", "-t", "tree", "--stdin", stdin=b"").decode().strip()
