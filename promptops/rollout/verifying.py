"""Every decision about a prompt, judged again: its signature, its place, its plan and, to the byte, its verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from promptops.errors import PromptopsError, RefusedError
from promptops.release import authority
from promptops.rollout import deriving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promptops.release.live import Decision
    from promptops.repo.git import Git


class Judged(NamedTuple):
    """One decision and what is wrong with it; nothing where it holds.

    Attributes:
        derived: whether it states a verdict, which was derived again.
    """

    decision: Decision
    problem: PromptopsError | None
    derived: bool


def judge(git: Git, rules: authority.Rules, newest_first: list[Decision]) -> Iterator[Judged]:
    """Yield every decision of a chain, oldest first, with what is wrong with it.

    Nothing but the repository is needed: plan and evidence are beside each decision.

    Args:
        git: the repository.
        rules: what decides which decisions count.
        newest_first: the whole chain, from `live.chain`.
    """
    before: Decision | None = None
    left: set[str] = set()
    for decision in reversed(newest_first):
        derived = decision.rollout is not None and decision.rollout.verdict is not None
        yield Judged(
            decision, _problem(git, rules, decision, before, left, old=decision is not newest_first[0]), derived
        )
        if decision.left:
            left.add(decision.left)
        before = decision


def _problem(
    git: Git, rules: authority.Rules, decision: Decision, before: Decision | None, left: set[str], *, old: bool
) -> PromptopsError | None:
    try:
        if decision.rollout is None:
            authority.check_counting(decision, rules if old else rules._replace(past=list))
        else:
            authority.check_step(git, decision, before, rules, old=old)
            if before is not None and decision.rollout.verdict is not None:
                deriving.check(git, decision, before)
        again = left & set(authority.served_tags(decision))
        if again:
            return RefusedError(f"it serves {min(again)} again after a rollback from it")
    except PromptopsError as error:
        return error
    return None
