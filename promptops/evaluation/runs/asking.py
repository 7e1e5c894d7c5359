"""Asking what a run plans: all sessions on one event loop, every result on the disk as soon as it is there."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import aclosing
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.evaluation import sampling
from promptops.evaluation.arms import faults, moved, opened
from promptops.evaluation.canary import ask_pair
from promptops.evaluation.exam import Exam
from promptops.evaluation.runner import WINDOW, in_order
from promptops.evaluation.runs.store import Key, Results, Writer
from promptops.evaluation.runs.summary import Tally, failed
from promptops.evaluation.scoring import Scorer
from promptops.inference.budget import Budget
from promptops.inference.journal import Journal
from promptops.inference.reply import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from promptops.evaluation.runs.plan import Plan
    from promptops.evaluation.runs.store import Folder
    from promptops.evaluation.sampling import Draw
    from promptops.evaluation.tally import Answered
    from promptops.registry.configuration import Configuration

    Progress = Callable[["State"], None]

_PROGRESS_SECONDS = 0.5
_SCORED = 6


class State(NamedTuple):
    """How far a run is.

    Attributes:
        done: how many of the cases' turns to be asked have a result.
        total: of how many.
        failed: how many of them failed.
        requests: attempts so far, earlier runs included.
        cost: money so far, earlier runs included.
    """

    done: int
    total: int
    failed: int
    requests: int
    cost: float


class _Draws:
    """The draws of a plan as an order that `in_order` takes from."""

    def __init__(self, draws: Iterator[Draw]) -> None:
        self._draws = draws

    def take(self, count: int, live: Collection[str]) -> list[Draw]:
        """Return the next draws, none when nothing is live."""
        return list(islice(self._draws, count)) if live else []


def conduct(plan: Plan, folder: Folder, progress: Progress | None = None) -> dict[str, Any]:
    """Ask everything that has no result yet, and return the summary, which is recorded too.

    Args:
        plan: what is asked.
        folder: of the run, with its ``run.json``.
        progress: called now and then.

    Raises:
        PromptopsError: no call can succeed, a file cannot be written, or another process holds the run.
        KeyboardInterrupt: interrupted; replies and results so far are kept.
    """
    results = Results(folder.results)
    done = {key for key in results.places if not _silent(results, key)}
    with Journal(folder.journal, wanted=lambda key: _open(key, done)) as journal:
        given = plan.budget
        requests, tokens = (None if given.get(name) is None else int(given[name]) for name in ("requests", "tokens"))
        budget = Budget(given.get("usd"), requests, tokens, given.get("seconds"))
        work = _Work(plan, done, progress)
        writer = Writer(folder.results)
        try:
            handled = asyncio.run(work.run(budget, journal, writer))
        finally:
            writer.close()
    summary = sum_up(plan, folder)
    summary["calls"] = {
        "requests": budget.sent,
        "tokens": budget.spent.tokens,
        "cost": budget.spent.cost,
        "seconds": round(budget.elapsed, 3),
        **{name: dict(counts) for name, counts in handled.items()},
    }
    summary["complete"] = summary["totals"]["asked"] == work.total
    summary["exhausted"] = None if summary["complete"] else budget.exhausted
    folder.write_summary(summary)
    return summary


def sum_up(plan: Plan, folder: Folder, *, by_tag: bool = True) -> dict[str, Any]:
    """Return the summary of the results so far."""
    tally = Tally(plan.suites, by_tag=by_tag)
    for line in Results(folder.results).lines():
        tally.add(line)
    return tally.document()


def _silent(results: Results, key: Key) -> bool:
    line = results.get(key)
    return line is None or bool(line.get("failure"))


def _open(key: str, done: Collection[Key]) -> bool:
    """Say whether a recorded reply belongs to a case without a result."""
    drawn = sampling.drawn(key.partition(" ")[2])
    return drawn is None or Key(*drawn) not in done


class _Work:
    """One process's part of a run."""

    def __init__(self, plan: Plan, done: Collection[Key], progress: Progress | None) -> None:
        self._plan = plan
        self._exam = Exam(plan.suites, trusted=plan.trusted, code=plan.code, deciding=False)
        self._scorers = {suite.name: Scorer(suite, suite.name in plan.trusted, plan.code) for suite in plan.suites}
        self._left = plan.draws(done)
        self.total = sum(count["asked"] for count in plan.counts().values())
        self._done = len(done)
        self._failed = 0
        self._progress = progress
        self._shown = float("-inf")

    async def run(self, budget: Budget, journal: Journal, writer: Writer) -> dict[str, Any]:
        """Ask, score and write; return the faults by kind."""
        # The arm's name stands in every key, so that a recorded reply says what gave it.
        name = self._plan.configuration.digest
        window = max(WINDOW, self._plan.concurrency)
        async with opened(
            {name: self._plan.configuration},
            self._exam.asks,
            budget=budget,
            journal=journal,
            environ=os.environ,
            concurrency=self._plan.concurrency,
        ) as (arms, helpers):

            async def ask(draw: Draw) -> Answered:
                return await ask_pair(self._exam, draw, arms, helpers)

            def live() -> Collection[str]:
                return () if budget.exhausted else self._scorers

            self._tell(budget)
            async with aclosing(in_order(_Draws(self._left), ask, live, window=window)) as answers:
                async for draw, answered in answers:
                    line = self._line(draw, answered, self._plan.configuration)
                    if line is not None:
                        writer.add(line)
                        self._done += 1
                        self._failed += failed(line)
                    self._tell(budget)
            self._tell(budget, last=True)
            return faults([arm.client for arm in arms.values()] + [helper.client for helper in helpers.values()])

    def _tell(self, budget: Budget, *, last: bool = False) -> None:
        now = time.monotonic()
        if self._progress and (last or now - self._shown > _PROGRESS_SECONDS):
            self._shown = now
            self._progress(State(self._done, self.total, self._failed, budget.sent, budget.spent.cost))

    def _line(self, draw: Draw, answered: Answered, configuration: Configuration) -> dict[str, Any] | None:
        """Return a result; None for a case that the budget kept back."""
        case, answer = self._exam.case(draw), answered.answers[configuration.digest]
        head = {"suite": draw.suite, "case": draw.case, "replicate": draw.replicate, "tags": list(case.tags)}
        if isinstance(answer, Failure):
            if answer.kind == "budget":
                return None
            failure = {"kind": answer.kind, "message": answer.message, "attempts": answer.attempts}
            return {**head, "asked": case.asked, "failure": failure}
        scorer = self._scorers[draw.suite]
        scored = scorer.score(case, answer)
        replies = answer.replies
        return {
            **head,
            "scores": {
                name: score if score is None else round(score, _SCORED) for name, score in scored.scores.items()
            },
            "floors": dict(scored.floors),
            "unmet": scorer.unmet(case, answer) if scored.scores.get("expected", 1.0) != 1.0 else [],
            "replies": len(replies),
            "words": sum(len(reply.text.split()) for reply in replies),
            "tokens": sum(reply.prompt_tokens + reply.completion_tokens for reply in replies),
            "cost": sum(reply.cost for reply in replies),
            "seconds": round(sum(reply.latency for reply in replies), 6),
            "models": sorted({(reply.model, reply.fingerprint) for reply in replies}, key=str),
            "moved": sorted({reply.model for reply in replies if moved(configuration, reply)}),
            "views": {
                name: [{"said": turn.said, "text": turn.reply.text, **_calls(turn.reply)} for turn in session]
                for name, session in answer.views.items()
            },
        }


def _calls(reply: Any) -> dict[str, Any]:
    return {"tool_calls": reply.tool_calls} if reply.tool_calls else {}
