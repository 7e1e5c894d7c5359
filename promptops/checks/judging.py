"""Choosing what to judge, judging it, and applying the project's settings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from promptops.checks import cache, scope, settings
from promptops.checks.reporters import Report
from promptops.checks.request import ALL, REVIEWED, STAGED, Request, recalled, select
from promptops.checks.run import run
from promptops.errors import InputError, RefusedError

if TYPE_CHECKING:
    from promptops.checks.run import Outcome
    from promptops.checks.scope import Scope
    from promptops.repo.git import Git


def judge(git: Git, request: Request, wanted: frozenset[str], today: str) -> Report:
    """Judge what ``request`` asks for and report it under the project's settings.

    Raises:
        UsageError: accepted findings have no file.
        PromptopsError: the repository does not hold what is needed to judge.
    """
    chosen = choose(git, request)
    if chosen is None:
        return Report("a branch that needs no review", [], 0, 0, 0)
    key = ""
    if chosen.label == cache.EVERYTHING:
        key = cache.key(git, cache.listing(git), today=today, wanted=wanted)
        known = recalled(git, request, key)
        if known:
            return known
    outcome = run(chosen, today=today, wanted=wanted)
    if not outcome.prompts and request.base is None and request.mode != REVIEWED:
        # A bare repository has no index: refuse to call that clean.
        _ = git.root
    if key and not outcome.findings:
        cache.remember(git, key, outcome.files, outcome.prompts)
    if request.write_baseline:
        path = settings.write(outcome.findings, settings.read(chosen.settings), git.root)
        return Report(f"{chosen.label}, accepted in {path}", [], outcome.files, outcome.prompts, len(outcome.findings))
    return _reported(chosen, outcome)


def judge_scope(chosen: Scope, today: str) -> Report:
    """Apply every rule to a scope and report it under the settings that count there.

    Args:
        chosen: what to judge.
        today: ISO date for retirement dates.
    """
    return _reported(chosen, run(chosen, today=today, wanted=select(())))


def _reported(chosen: Scope, outcome: Outcome) -> Report:
    project = settings.read(chosen.settings)
    applied = settings.apply(outcome.findings, project, chosen.settings)
    return Report(chosen.label, applied.findings, outcome.files, outcome.prompts, applied.accepted)


def choose(git: Git, request: Request) -> Scope | None:
    """Return the scope of a request, or None for a push that needs no review."""
    if request.mode == REVIEWED:
        return _reviewed(git)
    if request.base is not None:
        return scope.change(git, request.base, request.head)
    if request.mode == ALL:
        return scope.everything(git, cache.listing(git))
    pushed = os.environ.get("PRE_COMMIT_TO_REF") or (
        os.environ.get("PRE_COMMIT_LOCAL_BRANCH") if os.environ.get("PRE_COMMIT_REMOTE_NAME") else None
    )
    if pushed and request.mode != STAGED:
        return scope.pushed(git, os.environ.get("PRE_COMMIT_FROM_REF"), pushed)
    found, anything = scope.staged(git)
    return found if anything or request.mode == STAGED else scope.everything(git, cache.listing(git))


def _reviewed(git: Git) -> Scope | None:
    """Return the pushed change when its remote branch is protected by the policy that is in force there."""
    branch, new = os.environ.get("PRE_COMMIT_REMOTE_BRANCH"), os.environ.get("PRE_COMMIT_TO_REF")
    old = os.environ.get("PRE_COMMIT_FROM_REF")
    # Where there is no repository, nothing is clean.
    _ = git.common_dir
    if not branch or not new or not old or scope.is_deletion(old):
        # Nothing is there yet that could say who must review.
        return None
    from promptops.repo.source import TreeSource
    from promptops.trust import policy

    remote = f"refs/remotes/{os.environ.get('PRE_COMMIT_REMOTE_NAME', 'origin')}/{branch.removeprefix('refs/heads/')}"
    target = remote if git.try_run("rev-parse", "--verify", "--quiet", remote).returncode == 0 else old
    try:
        protected = policy.load(TreeSource(git, target)).is_protected(branch)
    except (InputError, RefusedError):
        # A broken policy protects nothing and is PO402's finding; this hook must not lock its repair out.
        return None
    return scope.change(git, target, new) if protected else None
