"""What is judged: the index against HEAD, one tree against another, or everything."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from promptops.checks.cache import EVERYTHING
from promptops.checks.preloaded import Preloaded
from promptops.errors import PromptopsError
from promptops.registry.governed import POLICY, is_governed
from promptops.registry.registry import Registry
from promptops.repo.ancestry import empty_tree, merge_base
from promptops.repo.git import ZERO, GitError
from promptops.repo.source import Entry, IndexSource, TreeSource, WorktreeSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from promptops.repo.git import Git
    from promptops.repo.source import Source

_RAW = ("--raw", "-z", "--no-renames", "--no-abbrev", "--ignore-submodules=none", "--no-relative")
_ABSENT = "000000"


class Scope(NamedTuple):
    """A state of the repository and what changed in it.

    Attributes:
        label: what is judged, in words.
        source: the judged state.
        settings: the state whose settings and accepted old findings count.
        trusted: the state whose policy is in force, or None.
        changed: governed paths with their entry now, None where the file is gone.
        bases: makers of the states that an unreleased prompt is compared with, in order.
        whole: whether everything is judged, changed or not.
        grep: what `git grep` searches to search the judged state.
        target: the branch that takes the change, where it is known.
        head: id of the judged commit, None for the index.
    """

    label: str
    git: Git
    source: Source
    settings: Source
    trusted: Source | None
    changed: dict[str, Entry | None]
    bases: tuple[Callable[[], Registry | None], ...]
    whole: bool
    grep: tuple[str, ...] = ("--cached",)
    target: str | None = None
    head: str | None = None


def staged(git: Git) -> tuple[Scope, bool]:
    """Return the index against HEAD, and whether anything at all, governed or not, is staged."""
    done = git.try_run("diff-index", "--cached", *_RAW, "HEAD")
    source = IndexSource(git)
    if done.returncode:
        if git.try_run("rev-parse", "--verify", "--quiet", "HEAD").returncode == 0 or not git.common_dir:
            raise GitError(
                f"git diff-index failed: {done.stderr.decode('utf-8', 'replace').strip()}",
                hint="git fsck says which object is missing or damaged",
            )
        everything = source.entries()
        first: dict[str, Entry | None] = {path: entry for path, entry in everything.items() if is_governed(path)}
        return Scope("first commit", git, source, source, None, first, (), whole=False), bool(everything)
    changes = _changes(done.stdout)
    head = TreeSource(git, "HEAD", commit="HEAD")
    bases = (partial(Registry, head), partial(fork_point, git))
    governed = {path: entry for path, entry in changes.items() if is_governed(path)}
    return Scope("staged changes", git, source, source, head, governed, bases, whole=False), bool(changes)


def work_tree(git: Git) -> Scope:
    """Return what the tracked files of the work tree change since it left its protected branch."""
    base = fork_point(git)
    start = base.source.commit if base and isinstance(base.source, TreeSource) else _head(git)
    changes = _changes(git.run("diff-index", *_RAW, start))
    governed = {path: entry for path, entry in changes.items() if is_governed(path)}
    source = WorktreeSource(git.root)
    return Scope("the work tree", git, source, source, None, governed, (), whole=False, grep=())


def _head(git: Git) -> str:
    born = git.try_run("rev-parse", "--verify", "--quiet", "HEAD").returncode == 0
    return "HEAD" if born else empty_tree(git)


def everything(git: Git, listing: bytes) -> Scope:
    """Return the whole index, as `promptops.checks.cache.listing` lists it.

    Raises:
        PromptopsError: it holds unmerged paths.
    """
    entries = {}
    for line in listing.split(b"\0")[:-1]:
        head, _, path = line.partition(b"\t")
        mode, oid, stage = head.decode().split(" ")
        if stage != "0":
            raise _unmerged(os.fsdecode(path))
        entries[os.fsdecode(path)] = Entry(mode, oid)
    # The file of accepted findings may lie where nothing is governed.
    return _whole(EVERYTHING, git, Preloaded(git, "index", entries), None)._replace(settings=IndexSource(git))


def tree(git: Git, revision: str) -> Scope:
    """Return everything in the tree of one commit."""
    listed = TreeSource(git, revision)
    return _whole(f"everything in {revision}", git, Preloaded(git, revision, listed.entries()), listed.commit)


def _whole(label: str, git: Git, source: Preloaded, head: str | None) -> Scope:
    governed: dict[str, Entry | None] = {path: entry for path, entry in source.entries().items() if is_governed(path)}
    return Scope(label, git, source, source, None, governed, (), whole=True, head=head)


def change(git: Git, target: str, head: str) -> Scope:
    """Return what ``head`` changes since its merge base with ``target``; settings and policy come from ``target``.

    Raises:
        GitError: a revision does not exist, or the clone is too shallow to know the merge base.
    """
    tip, commit = TreeSource(git, target), git.commit(head)
    base = merge_base(git, tip.commit, commit)
    if base is None:
        raise GitError(f"{target} and {head} have no common history", hint="rebase the branch onto its target")
    scope = between(git, base, commit, label=f"{head} since {target}")
    return scope._replace(settings=tip, trusted=tip, target=target)


def between(git: Git, base: str, head: str, *, label: str) -> Scope:
    """Return the difference of two commits' trees, judged in the second."""
    listing = git.run("diff-tree", "-r", *_RAW, base, head)
    changed = {path: entry for path, entry in _changes(listing).items() if is_governed(path)}
    before = TreeSource(git, base, commit=base)
    return Scope(
        label,
        git,
        source=TreeSource(git, head, commit=head),
        settings=before,
        trusted=before,
        changed=changed,
        bases=(partial(Registry, before),),
        whole=False,
        grep=(head,),
        head=head,
    )


def pushed(git: Git, old: str | None, new: str) -> Scope:
    """Return what a push changes.

    Args:
        git: the repository.
        old: what the remote has, or None, zeros or an unknown id where that is nothing.
        new: what it is to have: a commit, or a tag of one.
    """
    commit = git.commit(new)
    known = old and old.strip("0") and git.try_run("cat-file", "-e", f"{old}^{{commit}}").returncode == 0
    if not old or not known:
        return tree(git, commit)
    return between(git, git.commit(old), commit, label="pushed changes")


def is_deletion(revision: str) -> bool:
    """Return whether a pushed id stands for the deletion of a ref."""
    return set(revision) == set(ZERO)


def _changes(raw: bytes) -> dict[str, Entry | None]:
    fields = raw.split(b"\0")
    changes: dict[str, Entry | None] = {}
    for head, name in zip(fields[0::2], fields[1::2], strict=False):
        _, mode, _, oid, status = head.decode().split(" ")
        path = os.fsdecode(name)
        if status == "U":
            raise _unmerged(path)
        changes[path] = None if mode == _ABSENT else Entry(mode, oid)
    return changes


def _unmerged(path: str) -> PromptopsError:
    return PromptopsError(
        "the file has an unresolved merge conflict", hint="resolve it, git add it, and check again", path=path
    )


def fork_point(git: Git) -> Registry | None:
    """Return the state in which work began that is not on a protected branch yet, or None."""
    for branch in _protected(git):
        for ref in (f"refs/remotes/origin/{branch}", f"refs/heads/{branch}"):
            done = git.try_run("merge-base", "HEAD", ref)
            if done.returncode == 0:
                commit = done.stdout.decode().split()[0]
                return Registry(TreeSource(git, commit, commit=commit))
    return None


def _protected(git: Git) -> list[str]:
    from promptops.errors import InputError
    from promptops.registry import yaml

    found = git.object(f"HEAD:{POLICY}")
    try:
        policy = yaml.load(found.data, POLICY).value if found else {}
    except InputError:
        policy = {}
    refs = policy.get("protected") if isinstance(policy, dict) else None
    if not isinstance(refs, list):
        return ["main", "master"]
    return [ref.removeprefix("refs/heads/") for ref in refs if isinstance(ref, str) and "*" not in ref]
