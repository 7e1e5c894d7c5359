"""From what the command line and a hook's environment say to a report."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from promptops.checks import cache, rules
from promptops.checks.reporters import Report
from promptops.errors import UsageError

if TYPE_CHECKING:
    from promptops.repo.git import Git

STAGED, ALL, REVIEWED = "staged", "all", "reviewed"


class Request(NamedTuple):
    """What to judge and how.

    Attributes:
        mode: one of this module's constants, or empty to choose by what there is.
        base: the target of a change, which excludes a mode.
        head: what is judged with ``base``.
        rules: prefixes of rule ids; empty for all.
        today: ISO date for retirement dates.
        write_baseline: accept what is found instead of reporting it.
    """

    mode: str = ""
    base: str | None = None
    head: str = "HEAD"
    rules: tuple[str, ...] = ()
    today: str = ""
    write_baseline: bool = False


def carry_out(git: Git, request: Request) -> Report:
    """Judge what ``request`` asks for.

    Raises:
        UsageError: a rule does not exist, or accepted findings have no file.
        PromptopsError: the repository does not hold what is needed to judge.
    """
    wanted = select(request.rules)
    if request.mode == REVIEWED:
        wanted &= frozenset(("PO401", "PO402"))
    # UTC, so that a build gives the same answer everywhere.
    today = request.today or time.strftime("%Y-%m-%d", time.gmtime())
    if request.mode == ALL:
        known = recalled(git, request, cache.key(git, cache.listing(git), today=today, wanted=wanted))
        if known:
            return known
    # What reads files and judges them takes longer to import than it takes to remember.
    from promptops.checks import judging

    return judging.judge(git, request, wanted, today)


def recalled(git: Git, request: Request, key: str) -> Report | None:
    """Return the report on a whole state that is known to be clean, or None."""
    counts = None if request.write_baseline else cache.recall(git, key)
    return None if counts is None else Report(cache.EVERYTHING, [], *counts, 0)


def select(prefixes: tuple[str, ...]) -> frozenset[str]:
    """Return the rules whose id starts with one of ``prefixes``; all of them for none.

    Raises:
        UsageError: a prefix fits no rule.
    """
    for prefix in prefixes:
        if not any(rule.startswith(prefix) for rule in rules.ALL):
            raise UsageError(f"no rule is named {prefix}", hint="promptops explain  lists the rules")
    return frozenset(rule for rule in rules.ALL if not prefixes or rule.startswith(prefixes))
