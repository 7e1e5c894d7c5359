"""Moving refs: several at once or none, and only from where they were seen; pushing objects by id."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

from promptops.errors import PromptopsError, RefusedError
from promptops.repo.git import GitError

if TYPE_CHECKING:
    from promptops.repo.git import Git

# A hook may print any number of lines.
_MOST_WORDS = 20
# What git says of a ref that somebody else moved, made or deleted; anything else means that it could not write.
_MOVED = re.compile(r"but expected|reference already exists|exists; cannot create|unable to resolve reference '[^']*'$")


class RejectedError(RefusedError):
    """The remote said no; nothing was moved there."""


class Update(NamedTuple):
    """One ref to move: its full name, the new object id, and the old one (None: the ref must not exist)."""

    ref: str
    new: str
    old: str | None = None


def read(git: Git, ref: str) -> str | None:
    """Return the object id that a full ref name points to, or None when there is no such ref."""
    done = git.try_run("rev-parse", "--verify", "--quiet", "--end-of-options", ref)
    return done.stdout.decode().strip() or None


def listing(git: Git, *patterns: str) -> dict[str, str]:
    """Return object id by full ref name for every ref under one of ``patterns``, in one process."""
    lines = git.text("for-each-ref", "--format=%(objectname) %(refname)", *patterns).splitlines()
    return {ref: oid for oid, _, ref in (line.partition(" ") for line in lines)}


def update(git: Git, updates: list[Update]) -> None:
    """Move all refs in one transaction.

    Raises:
        RefusedError: one of them is no longer where it was seen; nothing was moved.
        GitError: git could not write; nothing was moved, or the message says what was.
    """
    zero = "0" * len(updates[0].new)
    lines = [f"update {ref}\0{new}\0{old or zero}\0" for ref, new, old in updates]
    # Without the final commit, as after a kill, git drops the transaction.
    script = "start\0" + "".join(lines) + "prepare\0commit\0"
    done = git.try_run("update-ref", "-z", "--create-reflog", "--stdin", stdin=script.encode())
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        cause = (said.splitlines() or ["git update-ref failed"])[-1 if "File exists" not in said else 0]
        cause = cause.removeprefix("fatal: ").removeprefix("prepare: ").removeprefix("commit: ")
        if not _MOVED.search(cause):
            left = _take_back(git, updates)
            what = f"of the refs only {', '.join(left)} moved" if left else "no ref was moved"
            raise GitError(f"{what}: {cause}", hint=_repair(cause))
        raise RefusedError(f"no ref was moved: {cause}", hint="look at what changed, then run the command again")


def _take_back(git: Git, updates: list[Update]) -> list[str]:
    """Move back what moved: on a full disk git ends between two refs that it had prepared. Return what stays moved."""
    moved = [each for each in updates if read(git, each.ref) == each.new]
    lines = [f"update {ref}\0{old}\0{new}\0" if old else f"delete {ref}\0{new}\0" for ref, new, old in moved]
    if moved and git.try_run("update-ref", "-z", "--stdin", stdin="".join(lines).encode()).returncode:
        return [each.ref for each in moved if read(git, each.ref) == each.new]
    return []


def _repair(cause: str) -> str:
    lock = re.search(r"'([^']+\.lock)'", cause)
    if lock:
        return f"wait for the git that runs; where none does, it was killed: rm {shlex.quote(lock[1])}"
    broken = re.search(r"cannot lock ref '([^']+)'.*reference broken", cause)
    if broken:
        return f'its file holds no object id: rm "$(git rev-parse --git-path {broken[1]})"; then fetch the ref again'
    return "mend that (space, permissions, git fsck), then run the command again"


def push(git: Git, remote: str, updates: list[Update]) -> None:
    """Move refs on a remote by object id, all or none, and only from where they were seen.

    Raises:
        RejectedError: the remote rejected one of them; none was moved there.
        GitError: the remote could not be reached.
    """
    leases = [f"--force-with-lease={item.ref}:{item.old or ''}" for item in updates]
    moves = [f"{item.new}:{item.ref}" for item in updates]
    done = git.try_run("push", "--atomic", "--porcelain", "--no-follow-tags", *leases, "--", remote, *moves)
    if not done.returncode:
        return
    rejected = [line for line in done.stdout.decode("utf-8", "replace").splitlines() if line.startswith("!")]
    said = done.stderr.decode("utf-8", "replace").strip()
    fatal = [line for line in said.splitlines() if line.startswith(("fatal:", "error:", "ssh:"))]
    if rejected:
        reason = next((line for line in rejected if "atomic" not in line), rejected[0]).split("\t")[-1]
        hint = f"git fetch --tags {remote}; then run the command again"
        ahead = [item.ref for item in updates if item.ref.startswith("refs/promptops/")]
        if ahead:
            # Fetching it forced gives the local decision up, which never counted there.
            hint = f"take over what {remote} has: git fetch {remote} '+{ahead[0]}:{ahead[0]}'; then decide again"
        if "hook declined" in reason:
            hint = f"do what {remote} says, then run the command again"
        raise RejectedError(f"{remote} rejected the push: {reason}{_words(said)}", hint=hint)
    cause = (fatal or said.splitlines() or ["git push failed"])[0]
    raise GitError(f"cannot push to {remote}: {cause}", hint=f"git ls-remote {remote}")


def _words(said: str) -> str:
    """Return what the remote itself said, as its hooks do, without what git says around it."""
    lines = [line.removeprefix("remote:").strip() for line in said.splitlines() if line.startswith("remote:")]
    told = [line for line in lines if line and not line.startswith("error: hook declined")]
    return "".join(f"\n{line}" for line in told[:_MOST_WORDS])


def remote_refs(git: Git, remote: str, names: list[str]) -> dict[str, str]:
    """Return object id by ref name for those of ``names`` that exist on a remote.

    Raises:
        PromptopsError: the remote could not be reached.
    """
    done = git.try_run("ls-remote", "--refs", "--", remote, *names)
    if done.returncode:
        raise PromptopsError(f"cannot read the refs of {remote}", hint=f"git ls-remote {remote}")
    lines = done.stdout.decode("utf-8", "surrogateescape").splitlines()
    found = {ref: oid for oid, _, ref in (line.partition("\t") for line in lines)}
    # ls-remote matches the tail of names.
    return {ref: found[ref] for ref in names if ref in found}
