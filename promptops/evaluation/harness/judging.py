"""From suites of a harness to pairs for the gate.

Each harness runs once for every arm, the arms at the same time. Their samples pair by id, and the pairs go to the gate
in an order that the seed fixed before anything was asked. A finished run is kept with the evidence, so that a canary
that continues judges the same scores; one that was cut short starts again and pays no reply twice.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops import atomic
from promptops.errors import PromptopsError, RefusedError
from promptops.evaluation import sampling
from promptops.evaluation.gate import MAX_JUDGED
from promptops.evaluation.harness import files, run
from promptops.evaluation.runner import WINDOW
from promptops.evaluation.tally import CANDIDATE, Answered
from promptops.evaluation.transcript import Transcript
from promptops.inference.reply import Failure, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from promptops.evaluation.arms import Arm
    from promptops.evaluation.exam import Exam
    from promptops.evaluation.harness.scores import Scores
    from promptops.evaluation.harness.spec import Spec
    from promptops.evaluation.sampling import Draw
    from promptops.evaluation.study import Study
    from promptops.evaluation.tally import Tally


class Held(NamedTuple):
    """What a harness found out about one arm.

    Attributes:
        scores: by sample and metric.
        models: distinct model ids and fingerprints that answered.
    """

    scores: Scores
    models: list[tuple[str, str | None]]


async def judge(study: Study, arms: Mapping[str, Arm], tally: Tally) -> bool:
    """Run what is left to run, take all pairs in, and say whether the canary goes on.

    Raises:
        PromptopsError: a harness did not come to its end, or scored nothing that a guardrail is on.
        RefusedError: a suite is from an untrusted revision, or a file is not the reviewed one.
    """
    held: dict[str, dict[str, Held]] = {}
    _admit(study.exam)
    for suite, spec in study.exam.harnesses.items():
        try:
            held[suite] = await _arms(study, arms, suite, spec)
        except run.BudgetError:
            tally.stopped = "budget"
            return False
        for arm, found in held[suite].items():
            for model, fingerprint in found.models:
                tally.identify(arm, Reply("", "", model, fingerprint))
        study.exam.enrol(suite, _bearing(study, suite, held[suite]))
    if tally.moves:
        tally.stopped = "moved"
        return False
    most = MAX_JUDGED // tally.gate.width - 2 * WINDOW
    return all(tally.take(draw, answered) for draw, answered in islice(_pairs(study, held), most))


def _admit(exam: Exam) -> None:
    """Raise before the first of them has cost anything."""
    for suite in exam.harnesses.keys() - exam.trusted:
        raise RefusedError(
            f"the suite {suite} has a harness, which is not allowed here",
            hint="harnesses are for suites of a trusted revision: promptops canary PROMPT --base REV, or release",
        )
    for spec in exam.harnesses.values():
        for path, sha256 in spec.files.items():
            files.pinned(exam.code, path, sha256)


async def _arms(study: Study, arms: Mapping[str, Arm], suite: str, spec: Spec) -> dict[str, Held]:
    tasks = [asyncio.ensure_future(_arm(study, arm, suite, spec)) for arm in arms.values()]
    try:
        return dict(zip(arms, await asyncio.gather(*tasks), strict=True))
    finally:
        # One that failed leaves nothing for the other to be compared with.
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _arm(study: Study, arm: Arm, suite: str, spec: Spec) -> Held:
    if spec.recorded:
        return Held(run.recorded(spec, arm.configuration, study.exam.code), [])
    digest = hashlib.sha256(suite.encode()).hexdigest()[:16]
    path = os.path.join(study.store.path, f"harness-{digest}-{arm.name}.json")
    if (kept := _kept(path)) is not None:
        return kept
    models: dict[tuple[str, str | None], None] = {}

    async def ask(key: str, request: dict[str, Any]) -> Reply | Failure:
        reply = await arm.answer(key, request)
        if isinstance(reply, Reply):
            models[reply.model, reply.fingerprint] = None
        return reply

    scores = await run.run(spec, arm.configuration, ask, study.exam.code, f"{suite}/{arm.name}")
    held = Held(scores, list(models))
    atomic.write(path, json.dumps(held._asdict()).encode(), mode=0o600)
    return held


def _kept(path: str) -> Held | None:
    try:
        with open(path, "rb") as file:
            value = json.loads(file.read())
        return Held(value["scores"], [(model, fingerprint) for model, fingerprint in value["models"]])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise PromptopsError(
            "the kept scores are damaged", path=path, hint="remove the file to run it again"
        ) from error


def _bearing(study: Study, suite: str, held: Mapping[str, Held]) -> dict[str, frozenset[str]]:
    """Return the metrics that each sample of any arm has a score of.

    Raises:
        PromptopsError: a guardrail is on a metric that no sample has.
    """
    found: dict[str, frozenset[str]] = {}
    for each in held.values():
        for sample, scores in each.scores.items():
            found[sample] = found.get(sample, frozenset()) | scores.keys()
    known = frozenset().union(*found.values())
    for rail in study.exam.rails.values():
        if rail.pool == suite and rail.metric not in known:
            raise PromptopsError(
                f"the harness of {suite} scored no {rail.metric}, which a guardrail is on",
                hint=f"it scored: {', '.join(sorted(known))}",
            )
    return found


def _pairs(study: Study, held: Mapping[str, Mapping[str, Held]]) -> Iterator[tuple[Draw, Answered]]:
    """Yield each sample once, in the order of the seed."""
    pools = {suite: sorted(study.exam.cases[suite]) for suite in held}
    order = sampling.Order(study.plan["seed"], pools)
    for draw in order.take(sum(len(ids) for ids in pools.values()), pools):
        answers = {arm: _answer(draw, each) for arm, each in held[draw.suite].items()}
        yield draw, Answered(draw.case, dict(sorted(answers.items(), key=lambda item: item[0] != CANDIDATE)))


def _answer(draw: Draw, held: Held) -> Transcript | Failure:
    scores = held.scores.get(draw.case)
    if scores is None:
        return Failure(draw.key, "malformed", f"the harness has no score of the sample {draw.case}", 0)
    return Transcript({}, scores)
