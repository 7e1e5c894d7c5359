"""The canary: baseline and candidate answer the same cases through the live API until the verdict is clear.

What makes a verdict trustworthy: both arms are asked in one run, in an order that is fixed before the first reply;
pairs are judged in that order; looking after every pair costs nothing, because the gate's tests are valid at every
stopping time; and a further run of the same comparison continues its evidence, so that nobody can start again until
it passes.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from contextlib import aclosing
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from promptops.errors import PromptopsError
from promptops.evaluation import report
from promptops.evaluation.arms import RecordedArm, faults, opened
from promptops.evaluation.conversation import Conversation, together
from promptops.evaluation.exam import TRAFFIC
from promptops.evaluation.gate import MAX_JUDGED
from promptops.evaluation.harness import judging
from promptops.evaluation.judging.asking import judged
from promptops.evaluation.result import CanaryResult
from promptops.evaluation.runner import WINDOW, in_order
from promptops.evaluation.study import Study, prepare
from promptops.evaluation.tally import BASELINE, CANDIDATE, Answered, Tally
from promptops.inference.journal import Journal
from promptops.inference.reply import Failure
from promptops.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from promptops.evaluation.arms import Arm
    from promptops.evaluation.conversation import Helper
    from promptops.evaluation.exam import Exam
    from promptops.evaluation.sampling import Draw
    from promptops.evaluation.study import Terms
    from promptops.inference.budget import Budget
    from promptops.inference.client import Client
    from promptops.registry.configuration import Configuration
    from promptops.repo.git import Git

    Progress = Callable[[int, int, float, list[dict[str, Any]], int], None]

_PROGRESS_SECONDS = 0.5
_FIELDS = frozenset(field.name for field in fields(CanaryResult))
# Results of earlier versions lack the scores that nothing depends on.
_NEEDED = _FIELDS - {"advisory", "judges"}


def run(git: Git, terms: Terms, progress: Progress | None = None) -> CanaryResult:
    """Run a canary, or continue it; a verdict that was reached is returned again without a call.

    Args:
        git: the repository.
        terms: what is compared, and how.
        progress: called now and then with pairs, requests, money spent, a row per guardrail and the minimum of pairs.

    Raises:
        PromptopsError: nothing could be reached, a key is wrong, or another run holds this evidence.
        InputError: no guardrail to judge by, or malformed traffic.
        KeyboardInterrupt: interrupted; replies so far are kept.
    """
    return conduct(prepare(git, terms), terms.share, progress)


def conduct(study: Study, share: float, progress: Progress | None = None) -> CanaryResult:
    """Run a prepared canary; see `run`."""
    study.store.create()
    with Journal(study.store.journal) as journal:
        last = study.store.result() or {}
        # A result of another layout is derived again from the replies.
        if last.get("final") and last.keys() >= _NEEDED and _same_rules(last["evidence"], study.gate().evidence()):
            return _recalled(study, last, share)
        recorded = study.store.plan()
        if recorded is None:
            study.store.write_plan(study.plan)
        elif recorded != study.plan:
            raise PromptopsError("another run has just started this comparison", hint="run the same command again")
        budget = study.budget()
        tally, faults = asyncio.run(_ask_all(study, budget, journal, progress))
        if tally.draws and not tally.answered:
            raise _unreachable(tally)
        calls = _spent(budget, tally, faults, last.get("calls", {}))
        result = _result(study, tally, budget, share, calls)
        study.store.write_result(
            {**asdict(result), "final": tally.stopped is None and result.verdict != "inconclusive"}
        )
        return result


async def _ask_all(
    study: Study, budget: Budget, journal: Journal, progress: Progress | None
) -> tuple[Tally, dict[str, Counter[str]]]:
    """Return what was learned, and how often calls were sent again and failed, by kind."""
    asked, recorded = _split(study)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    clients: list[Client] = []
    try:
        async with opened(asked, study.exam.asks, budget=budget, journal=journal, environ=os.environ) as (
            live_arms,
            helpers,
        ):
            clients += [arm.client for arm in live_arms.values()] + [helper.client for helper in helpers.values()]
            # Before the first call, so that a run that is killed has been counted.
            study.store.begin(started)
            tally = await _judged(study, budget, {**recorded, **live_arms}, helpers, progress)
        return tally, faults(clients)
    finally:
        # Replies may arrive until the clients are closed. Without one, nobody has learned anything.
        if clients and not any(client.stats.replied for client in clients):
            study.store.take_back(started)


async def _judged(
    study: Study,
    budget: Budget,
    arms: Mapping[str, Arm],
    helpers: Mapping[tuple[str, str], Helper],
    progress: Progress | None,
) -> Tally:
    tally = Tally(study.exam, study.gate(), study.configurations)
    if study.exam.harnesses and not await judging.judge(study, arms, tally):
        return tally
    shown = float("-inf")

    async def ask(draw: Draw) -> Answered:
        return await ask_pair(study.exam, draw, arms, helpers)

    most = MAX_JUDGED // tally.gate.width - 2 * WINDOW

    def live() -> Collection[str]:
        if tally.draws >= most:
            return ()
        if study.past and study.past.most is not None and tally.draws >= study.past.most:
            return ()
        return study.exam.live(tally.gate.undecided)

    def known(draw: Draw) -> bool:
        return all(arm.knows(draw.key) for arm in arms.values())

    async with aclosing(in_order(study.order(), ask, live, known=known)) as answers:
        async for draw, answered in answers:
            goes_on = tally.take(draw, answered, exhausted=budget.exhausted is not None)
            now = time.monotonic()
            if progress and (now - shown > _PROGRESS_SECONDS or not goes_on):
                shown = now
                told = (tally.gate.pairs, budget.sent, budget.spent.cost, tally.rows())
                progress(*told, study.settings.minimum)
            if not goes_on:
                break
    return tally


def _split(study: Study) -> tuple[dict[str, Configuration], dict[str, RecordedArm]]:
    """Return the arms to ask, and those that only repeat what they once answered."""
    if study.past is None:
        return study.configurations, {}
    asked = {CANDIDATE: study.configurations[CANDIDATE]}
    if not study.past.replies:
        return asked, {}
    return asked, {BASELINE: RecordedArm(BASELINE, study.configurations[BASELINE], study.past.replies)}


async def ask_pair(
    exam: Exam, draw: Draw, arms: Mapping[str, Arm], helpers: Mapping[tuple[str, str], Helper]
) -> Answered:
    """Put one case to every arm at the same time, in the order that the draw says."""
    case = exam.case(draw)
    own = {name: helper for (suite, name), helper in helpers.items() if suite == draw.suite}
    names = sorted(arms, key=lambda name: (name != CANDIDATE) == draw.candidate_first)
    held = await together([Conversation(arms[name], draw, case, own).hold() for name in names])
    answers = dict(zip(names, held, strict=True))
    for name, answer in answers.items():
        rated = exam.rated(draw, arms[name].configuration.prompt.version)
        if rated and not isinstance(answer, Failure):
            answers[name] = replace(answer, scores={**answer.scores, **rated})
    judges = exam.judges(draw.suite)
    if judges:
        answers = await judged(judges, draw.key, answers, own, candidate=CANDIDATE, baseline=BASELINE)
    return Answered(case.asked, answers)


def _same_rules(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Say whether two records of evidence were judged by the same rules and guardrails."""
    keys = ("name", "metric", "direction", "margin", "limit")
    heads = [[tuple(item[key] for key in keys) for item in record["guardrails"]] for record in (one, other)]
    floors = [
        [(item["name"], item["low"], item["high"]) for item in record.get("floors", ())] for record in (one, other)
    ]
    same = one["rules"] == other["rules"] and one.get("barred") == other.get("barred")
    return bool(same and heads[0] == heads[1] and floors[0] == floors[1])


def _recalled(study: Study, last: Mapping[str, Any], share: float) -> CanaryResult:
    kept = {key: last[key] for key in _FIELDS if key in last}
    kept |= {"attempts": study.store.attempts(), "share": min(share, study.plan["share"])}
    kept["version"] = study.configurations[CANDIDATE].prompt.version
    return CanaryResult(**kept)


def _unreachable(tally: Tally) -> PromptopsError:
    failure = tally.last_failure
    what = f": {failure.message} ({counted(failure.attempts, 'attempt')} each)" if failure else ""
    return PromptopsError(
        f"none of {counted(tally.draws, 'case')} got a reply{what}",
        hint="check the endpoint with: promptops try PROMPT; nothing was concluded",
    )


def _spent(
    budget: Budget, tally: Tally, handled: Mapping[str, Counter[str]], before: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what the evidence cost over all runs, attempts that brought no reply included.

    Args:
        budget: starts from what earlier runs used.
        tally: what was learned.
        handled: this run's faults.
        before: ``calls`` of the last result; a run that was killed left none.
    """
    excess = {name: value for name, value in zip(("tokens", "usd"), budget.excess, strict=True) if value}
    return {
        "requests": budget.sent,
        "tokens": budget.spent.tokens,
        "cost": budget.spent.cost,
        "seconds": round(budget.elapsed, 3),
        "cases": len(tally.cases),
        "rounds": tally.rounds,
        **{name: dict(counts + Counter(before.get(name, {}))) for name, counts in handled.items()},
        **({"excess": excess} if excess else {}),
    }


def _result(study: Study, tally: Tally, budget: Budget, share: float, calls: dict[str, Any]) -> CanaryResult:
    judged = tally.gate.verdict()
    verdict: str = "fail" if tally.moves else judged.verdict
    reasons = [*dict.fromkeys(tally.moves), *judged.reasons] if verdict == judged.verdict else tally.moves[:1]
    if verdict == "inconclusive":
        if tally.stopped == "budget":
            reasons.append(
                f"the budget of {budget.exhausted} is used up; raise canary.budget and run again to continue"
            )
        if tally.last_failure:
            failure = tally.last_failure
            reasons.append(f"the last call without a reply: {failure.kind}: {failure.message}")
    if verdict != "pass" and calls.get("excess"):
        beyond = report.excess(calls)
        reasons.append(f"the budget is exceeded by {beyond}: the endpoint bills more than max_completion_tokens allows")
    candidate = study.configurations[CANDIDATE]
    baseline = study.configurations.get(BASELINE)
    return CanaryResult(
        prompt=candidate.prompt.name,
        version=candidate.prompt.version,
        candidate=candidate.digest,
        baseline=baseline.digest if baseline else None,
        verdict=verdict,
        share=min(share, study.plan["share"]),
        # A run that ends before its first reply is taken back, but what it says of itself is one attempt.
        attempts=max(1, study.store.attempts()),
        guardrails=tally.rows(),
        evidence=tally.gate.evidence(),
        suites=dict(study.store.subject.suites),
        traffic=study.plan["traffic"]["digest"] if TRAFFIC in study.exam.pools() else None,
        models=tally.model_records(),
        calls=calls,
        reasons=reasons,
        examples=tally.examples(),
        advisory=tally.advisory(),
        judges=tally.judges(),
    )
