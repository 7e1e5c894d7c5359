"""The verdict on a change or a release: what it consists of, and whether enough people signed that."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from promptops.errors import InputError, RefusedError
from promptops.registry import canonical
from promptops.registry.governed import POLICY, is_governed, is_trust
from promptops.registry.registry import Registry
from promptops.repo.ancestry import empty_tree, merge_base
from promptops.repo.source import TreeSource
from promptops.trust import chain, commits, policy, store, subjects
from promptops.trust.judgement import Context, Judgement, Missing, judge
from promptops.trust.landings import Landings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from promptops.registry.configuration import Configuration
    from promptops.repo.git import Git
    from promptops.repo.tags import ReleaseTag
    from promptops.trust.envelope import Envelope
    from promptops.trust.policy import Trust
    from promptops.trust.subjects import Subject

__all__ = ["Judgement", "Missing", "judge_release", "judge_releases", "review_change"]


def review_change(
    git: Git,
    *,
    target: str,
    head: str,
    ref: str | None = None,
    envelopes: Sequence[Envelope] = (),
    at: datetime | None = None,
) -> Judgement:
    """Judge what ``head`` changes since its merge base with ``target``.

    Args:
        git: the repository.
        target: the branch that takes the change; policy, keys and revocations come from its tip.
        head: the commit that is judged.
        ref: full name of the target branch, where ``target`` does not say it (a commit id).
        envelopes: requests and approvals besides those in the tree of ``head``.
        at: when signatures must not have expired; now by default.

    Raises:
        RefusedError: the target has no valid policy.
        InputError: a changed prompt is malformed.
    """
    tip, commit = git.commit(target), git.commit(head)
    trust, notes = _deciding_policy(git, tip, commit)
    base = merge_base(git, tip, commit)
    since = base or empty_tree(git)
    paths = subjects.changes(git, since, commit)
    wanted = subjects.of_change(git, paths, since, commit, tip)
    if notes:
        wanted = [each for each in wanted if not is_trust(each.name)]
    held = _held(git)
    context = Context(
        trust=trust,
        ref=ref or target_ref(git, target, trust),
        tree=lambda: tree_digest(git, commit),
        authors=_authors(git, trust, commit, base),
        at=at or datetime.now(UTC),
        spent=lambda _: held(base),
        used_up=Landings(git, tip, commit).used_up,
    )
    found = judge(wanted, known(git, commit, envelopes), context)
    missing = [
        Missing(path, "a symbolic link or submodule cannot be approved: commit the file itself")
        for path, changed in sorted(paths.items())
        if changed.special
    ]
    if not notes and any(map(is_trust, paths)):
        missing += _policy_change(git, trust, commit)
    return found._replace(missing=[*missing, *found.missing], base=base, notes=notes)


def judge_release(
    git: Git,
    trust: Trust,
    *,
    configuration: Configuration,
    previous: ReleaseTag | None,
    commit: str,
    envelopes: Sequence[Envelope],
    at: datetime | None = None,
) -> Judgement:
    """Judge whether a prompt may be released.

    Args:
        git: the repository.
        trust: the policy that decides; its chain was verified.
        configuration: the prompt as ``commit`` has it.
        previous: the release before it, or None.
        commit: full id of the commit to release.
        envelopes: all requests and approvals that may count, such as those `known`.
        at: when signatures must not have expired; now by default.
    """
    found = judge_releases(git, trust, [(configuration, previous)], commit=commit, envelopes=envelopes, at=at)
    return found._replace(base=previous.commit if previous else None)


def judge_releases(
    git: Git,
    trust: Trust,
    prompts: Sequence[tuple[Configuration, ReleaseTag | None]],
    *,
    commit: str,
    envelopes: Sequence[Envelope],
    at: datetime | None = None,
) -> Judgement:
    """Judge the releases of several prompts, each with the release before it, in one go; see `judge_release`."""
    registry = Registry(TreeSource(git, commit))
    wanted: dict[str, Subject] = {}
    bases: dict[str, str | None] = {}
    for configuration, previous in prompts:
        for subject in subjects.of_release(git, registry, configuration, previous, commit):
            wanted.setdefault(subject.name, subject)
            bases.setdefault(subject.name, previous.commit if previous else None)
    held = _held(git)
    context = Context(
        trust=trust,
        ref="",
        tree=lambda: tree_digest(git, commit),
        authors=lambda subject: _authors(git, trust, commit, bases[subject.name])(subject),
        at=at or datetime.now(UTC),
        spent=lambda subject: held(bases[subject.name]),
        release=True,
    )
    return judge(list(wanted.values()), envelopes, context)


def _held(git: Git) -> Callable[[str | None], frozenset[str]]:
    """Return a function from a commit, or None, to the digests of the envelopes that it holds."""
    return cache(lambda commit: store.digests(git, commit) if commit else frozenset[str]())


def target_ref(git: Git, target: str, trust: Trust) -> str:
    """Return the full name of the branch that ``target`` means, on whichever side of the remote it was named."""
    name = git.try_run("rev-parse", "--symbolic-full-name", "--end-of-options", target).stdout.decode().strip()
    name = name.splitlines()[-1] if name else ""
    # The remote of a clone may be a ref by itself, such as git-svn's refs/remotes/svn.
    if name.startswith("refs/remotes/") and name.count("/") > 2:
        name = "refs/heads/" + name.split("/", 3)[3]
    if trust.is_protected(name):
        return name
    plain = [pattern for pattern in trust.policy["protected"] if "*" not in pattern]
    return str((plain or trust.policy["protected"])[0])


def tree_digest(git: Git, commit: str) -> str:
    """Return ``sha256:<hex>`` over the SHA-256 of every governed file by path."""
    source = TreeSource(git, commit)
    contents = source.read_many(path for path in source.entries() if is_governed(path))
    return canonical.sha256({path: chain.sha256(data) for path, data in contents.items()})


def _deciding_policy(git: Git, target: str, head: str) -> tuple[Trust, tuple[str, ...]]:
    source = TreeSource(git, target)
    note: tuple[str, ...] = ()
    if source.read(POLICY) is None and TreeSource(git, head).read(POLICY) is not None:
        source = TreeSource(git, head)
        note = ("the target has no policy yet: judged by the one that this change brings",)
    trust = policy.load(source)
    trust.verify_chain()
    return trust, note


def _policy_change(git: Git, trust: Trust, head: str) -> list[Missing]:
    """Say why the policy of ``head`` is no lawful successor of the target's, if it is not."""
    try:
        new = policy.load(TreeSource(git, head), revoked=trust.revoked_keys)
        new.verify_chain(trust.root)
    except (RefusedError, InputError) as error:
        return [Missing(error.path or POLICY, error.message)]
    if len(new.links) < trust.version or new.links[trust.version - 1].payload_digest != trust.digest:
        reason = f"does not continue version {trust.version} of the target's policy: rebase, then promptops policy sign"
        return [Missing(POLICY, reason)]
    return []


def known(git: Git, commit: str, more: Sequence[Envelope]) -> list[Envelope]:
    """Return every envelope that counts for a commit: in its tree, on the approvals' ref, and ``more``."""
    return list({each.digest: each for each in (*store.read(git, commit), *more)}.values())


def _authors(git: Git, trust: Trust, head: str, base: str | None) -> Callable[[Subject], set[str]]:
    revisions = [head, *([f"^{base}"] if base else [])]
    return lambda subject: commits.authors(git, trust, revisions, subject.paths)[0]
