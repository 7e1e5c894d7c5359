"""Does a released configuration still behave as it did when it was released?

Nothing in git changes when a provider moves a model behind its name; only asking again shows it. The released
configuration answers now what its canary asked then. Where the canary's replies are at hand, the same questions are
compared pair by pair; where only the release's own sufficient statistics are, means are compared, which takes far more
replies to prove the same.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from promptops.errors import PromptopsError
from promptops.evaluation import evaluators, evidence, sampling
from promptops.evaluation.arms import RecordedArm, RecordedHelper, questions
from promptops.evaluation.canary import conduct
from promptops.evaluation.conversation import Conversation
from promptops.evaluation.evidence import Store, Subject
from promptops.evaluation.exam import Exam
from promptops.evaluation.study import Past, Study
from promptops.evaluation.summary_bounds import Sum
from promptops.evaluation.tally import BASELINE, CANDIDATE
from promptops.evaluation.traffic import Record
from promptops.evaluation.transcript import Transcript
from promptops.registry import canonical
from promptops.registry.project import Canary
from promptops.statistics.series import GRID, decode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from promptops.evaluation.callables import Code
    from promptops.evaluation.canary import Progress
    from promptops.evaluation.result import CanaryResult
    from promptops.evaluation.suite import Suite
    from promptops.inference.reply import Reply
    from promptops.registry.configuration import Configuration

REPLIES, MEANS = "replies", "means"
# Unpaired means gain little beyond a few times what they are compared with.
_MOST = 4


@dataclass(frozen=True, slots=True)
class Released:
    """A release and what judged it.

    Attributes:
        configuration: what was released.
        suites: as the release's commit has them.
        digests: digest by name of the suites that the canary used; None where no canary is recorded.
        baseline: digest of what the canary compared it with.
        statistics: the gate's evidence in the release, or None.
    """

    configuration: Configuration
    suites: Sequence[Suite]
    digests: Mapping[str, str] | None
    baseline: str | None
    statistics: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Drift:
    """What was found.

    Attributes:
        used: `REPLIES` when the canary's own replies were compared with, `MEANS` when only its statistics were.
        result: baseline is the release then, candidate the release now.
        left_out: suites of a harness, which are not asked again.
    """

    used: str
    result: CanaryResult
    left_out: tuple[str, ...] = ()


def run(
    released: Released, *, settings: Canary, evidence_dir: str, code: Code, progress: Progress | None = None
) -> Drift:
    """Ask a released configuration again and compare.

    Args:
        released: the release.
        settings: budget.
        evidence_dir: where canaries keep their evidence; drift runs keep theirs in ``drift`` below it.
        code: reads the files that Python evaluators name.
        progress: as for a canary.

    Raises:
        PromptopsError: there is nothing to compare with, or nothing could be reached.
    """
    study = _with_replies(released, settings, evidence_dir, code) or _with_means(released, settings, evidence_dir, code)
    used = REPLIES if study.past and study.past.replies else MEANS
    left_out = tuple(suite.name for suite in released.suites if suite.harness)
    return Drift(used, conduct(study, 1.0, progress), left_out)


def _with_replies(released: Released, settings: Canary, evidence_dir: str, code: Code) -> Study | None:
    """Return the study against kept replies, or None when there are none of this release."""
    configuration = released.configuration
    current = {suite.name: evaluators.digest(suite) for suite in released.suites}
    best: tuple[int, str, Mapping[str, Any]] | None = None
    for result in evidence.find(evidence_dir, prompt=configuration.prompt.name, candidate=configuration.digest):
        mine = released.digests is None or result["baseline"] == released.baseline
        kept = questions(CANDIDATE, configuration, evidence.replies(result["path"])) if mine else {}
        if kept and result["suites"] == current and (best is None or len(kept) > best[0]):
            best = (len(kept), result["path"], kept)
    if best is None:
        return None
    plan = evidence.plan(best[1])
    records = [Record(*item) for item in plan.get("records", ())]
    exam = Exam(_asked(released), records, trusted=current, code=code)
    draws = asyncio.run(_whole(exam, configuration, best[2], evidence.replies(best[1])))
    if not draws:
        return None
    past = Past({key: reply for key, reply in best[2].items() if sampling.drawn(key) in draws})
    settings = Canary(minimum=min(settings.minimum, len(draws)), budget=settings.budget)
    return _study(released, settings, evidence_dir, exam, past=past, before=plan)


async def _whole(
    exam: Exam, configuration: Configuration, kept: Mapping[str, Reply], replies: Mapping[str, Reply]
) -> set[tuple[str, str, int]]:
    """Return the draws that were answered to their end: a canary that stops leaves sessions half asked.

    Args:
        exam: the cases.
        configuration: what answered.
        kept: its replies by the question's key.
        replies: all kept replies by their full key, those of simulated users included.
    """
    pools = {pool: set(ids) for pool, ids in exam.pools().items()}
    arm = RecordedArm(CANDIDATE, configuration, kept)
    found = set()
    for place in {place for key in kept if (place := sampling.drawn(key))}:
        if place[1] not in pools.get(place[0], ()):
            continue
        draw = sampling.Draw(*place, candidate_first=True)
        helpers = {name: RecordedHelper(name, replies) for suite, name in exam.asks if suite == draw.suite}
        if isinstance(await Conversation(arm, draw, exam.case(draw), helpers).hold(), Transcript):
            found.add(place)
    return found


def _with_means(released: Released, settings: Canary, evidence_dir: str, code: Code) -> Study:
    current = {suite.name: evaluators.digest(suite) for suite in released.suites}
    prompt = released.configuration.prompt
    if released.statistics is None or released.digests is None:
        raise PromptopsError(
            f"{prompt.name} {prompt.version} was released without a canary, and no replies of it are kept here",
            hint="give the folder of its evidence with --evidence DIR",
        )
    if dict(released.digests) != current:
        raise PromptopsError(
            "the suites in the release's commit are not those that judged it",
            hint=f"look at the release: promptops verify {prompt.name}@{prompt.version} -v",
        )
    exam = Exam(_asked(released), trusted=current, code=code)
    means = _means(released.statistics)
    past = Past(means=means, most=_MOST * max((known.n for known in means.values()), default=0))
    return _study(released, settings, evidence_dir, exam, past=past, before={})


def _asked(released: Released) -> list[Suite]:
    """Return the suites that ask questions of their own: what a harness asked then is not known now.

    Raises:
        PromptopsError: there is none.
    """
    found = [suite for suite in released.suites if suite.harness is None]
    if released.suites and not found:
        raise PromptopsError(
            f"every suite of {released.configuration.prompt.name} is asked by a harness, which drift leaves out",
            hint="name a suite with cases in the prompt's `evals:`",
        )
    return found


def _means(statistics: Mapping[str, Any]) -> dict[str, Sum]:
    """Return count and sum of the released configuration's scores by guardrail."""
    found = {}
    for item in statistics["guardrails"]:
        n = sum(harm is not None for harm in decode(item["harms"], statistics["pairs"]))
        found[item["name"]] = Sum(n, item["candidate"] / GRID)
    return found


def _study(
    released: Released,
    settings: Canary,
    evidence_dir: str,
    exam: Exam,
    *,
    past: Past,
    before: Mapping[str, Any],
) -> Study:
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    configuration = released.configuration
    digests = {suite.name: evaluators.digest(suite) for suite in released.suites}
    subject = Subject(configuration.prompt.name, configuration.digest, configuration.digest, digests)
    plan = {
        "subject": subject.document(),
        # Nobody gains by an order here; the time makes each run's its own.
        "seed": canonical.sha256({"type": "promptops/drift/1", "time": now}).removeprefix("sha256:"),
        "share": 1.0,
        "traffic": before.get("traffic", {"digest": None, "total": 0}),
        "records": before.get("records", []),
    }
    store = Store(os.path.join(evidence_dir, "drift", now.replace(":", "")), subject)
    arms = {BASELINE: configuration, CANDIDATE: configuration}
    return Study(arms, settings, store, exam, plan, (), past)
