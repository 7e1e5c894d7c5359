"""What is fixed before a canary's first call: arms, cases, guardrails, order."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from promptops.evaluation import callables, evaluators, sampling, traffic
from promptops.evaluation.evidence import Store, Subject
from promptops.evaluation.exam import TRAFFIC, Exam, check_fit
from promptops.evaluation.gate import Gate, Rules
from promptops.evaluation.means import MeansGate
from promptops.evaluation.tally import BASELINE, CANDIDATE
from promptops.inference.budget import Budget
from promptops.text import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from promptops.evaluation.callables import Code
    from promptops.evaluation.harm import Mode
    from promptops.evaluation.runner import Order
    from promptops.evaluation.suite import Suite
    from promptops.evaluation.summary_bounds import Sum
    from promptops.evaluation.tally import Judge
    from promptops.inference.reply import Reply
    from promptops.registry.configuration import Configuration
    from promptops.registry.project import Canary
    from promptops.repo.git import Git

_PLAN_VERSION = 1


@dataclass(frozen=True, slots=True)
class Past:
    """What is left of an earlier run, to be compared with now in place of a baseline that is asked.

    Attributes:
        replies: by the question's key.
        means: count and sum of scores by guardrail, where no replies are left.
        most: draws after which more would not help; None to go on until the verdict is clear.
    """

    replies: Mapping[str, Reply] = field(default_factory=dict)
    means: Mapping[str, Sum] = field(default_factory=dict)
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Study:
    """Everything that is fixed before the first call.

    Attributes:
        configurations: the arms by name; no baseline for a first release.
        settings: budget and minimum.
        plan: what is recorded as ``plan.json``.
        notes: what a reader of the plan should know.
        past: an earlier run that stands in for the baseline.
    """

    configurations: dict[str, Configuration]
    settings: Canary
    store: Store
    exam: Exam
    plan: dict[str, Any]
    notes: tuple[str, ...]
    past: Past | None = None

    def gate(self) -> Judge:
        """Return an empty gate with this study's rules."""
        if self.past and not self.past.replies:
            rails = {name: rail for name, rail in self.exam.rails.items() if name not in self.exam.barred}
            return MeansGate(rails, self.past.means)
        mode: Mode = "paired" if BASELINE in self.configurations else "absolute"
        return Gate(self.exam.rails, Rules(mode, minimum=self.settings.minimum), self.exam.floors, self.exam.barred)

    def budget(self) -> Budget:
        """Return the whole budget."""
        return budget_of(self.settings)

    def order(self) -> Order:
        """Return the order of the draws, from its start."""
        if self.past and self.past.replies:
            pools = {pool: set(ids) for pool, ids in self.exam.pools().items()}
            asked = [draw for key in self.past.replies if (draw := sampling.drawn(key))]
            return sampling.Again(self.plan["seed"], [draw for draw in asked if draw[1] in pools.get(draw[0], ())])
        return sampling.Order(self.plan["seed"], self.exam.pools(), self.exam.multiplicity())


@dataclass(frozen=True, slots=True)
class Terms:
    """What a canary is held to.

    Attributes:
        candidate: what is judged.
        baseline: what it is compared with; None for a first release, which is held to absolute limits.
        previous_release: SHA-256 (hex) of the previous release's manifest, which seeds the order.
        settings: budget, minimum.
        suites: of the prompt and required ones, from a revision that the change did not choose.
        share: fraction in (0, 1] of recorded traffic to replay.
        evidence_dir: folder of all evidence; this comparison has a folder of its own in it.
        recorded: the project's ``traffic`` settings.
        trusted: names of the suites whose Python evaluators may run.
        code: reads the files of those, from the revision that the suites come from.
    """

    candidate: Configuration
    baseline: Configuration | None
    previous_release: str | None
    settings: Canary
    suites: Sequence[Suite]
    share: float
    evidence_dir: str
    recorded: Mapping[str, Any] | None = None
    trusted: Collection[str] = ()
    code: Code = callables.no_code


def budget_of(settings: Canary) -> Budget:
    """Return the whole budget that a project states for a run."""
    given = settings.budget
    requests, tokens = (None if given.get(name) is None else int(given[name]) for name in ("requests", "tokens"))
    return Budget(given.get("usd"), requests, tokens, given.get("seconds"))


def prepare(git: Git, terms: Terms) -> Study:
    """Fix cases, order and guardrails of a canary; nothing is sent or written.

    A comparison that was started before keeps the plan that it was started with, share and traffic included.

    Args:
        git: the repository; its root is where a relative traffic folder is found.
        terms: what is compared, and how.

    Raises:
        InputError: no guardrail to judge by, a case that does not fit, or malformed traffic.
        PromptopsError: recorded traffic is missing or does not fit.
    """
    candidate, baseline, suites, settings = terms.candidate, terms.baseline, terms.suites, terms.settings
    digests = {suite.name: evaluators.digest(suite) for suite in suites}
    base = baseline.digest if baseline else None
    store = Store(terms.evidence_dir, Subject(candidate.prompt.name, candidate.digest, base, digests))
    plan = store.plan()
    if plan is None:
        chosen = _replayed(git, candidate.prompt.name, terms.recorded or {}, terms.share, settings.minimum)
        plan = _draw_up(store.subject, terms.previous_release, terms.share, chosen)
    configurations = ({BASELINE: baseline} if baseline else {}) | {CANDIDATE: candidate}

    def exam_on(records: Sequence[traffic.Record]) -> Exam:
        return Exam(suites, records, absolute=baseline is None, trusted=terms.trusted, code=terms.code)

    records = [traffic.Record(*item) for item in plan["records"]]
    exam = exam_on(records)
    unfit = check_fit(exam, list(configurations.values()))
    if unfit:
        exam = exam_on([record for record in records if record.id not in unfit])
    return Study(configurations, settings, store, exam, plan, _notes(exam, plan, unfit, terms.share))


def _replayed(git: Git, prompt: str, recorded: Mapping[str, Any], share: float, minimum: int) -> traffic.Traffic:
    if not recorded.get("path"):
        return traffic.Traffic((), 0, None)
    folder = os.path.normpath(os.path.join(git.root, recorded["path"]))
    return traffic.choose(folder, prompt, share=share, minimum=minimum)


def _draw_up(subject: Subject, previous: str | None, share: float, chosen: traffic.Traffic) -> dict[str, Any]:
    return {
        "v": _PLAN_VERSION,
        "subject": subject.document(),
        "seed": sampling.seed(
            previous_release=previous,
            candidate=subject.candidate,
            baseline=subject.baseline,
            suites=subject.suites,
        ),
        "share": share,
        "traffic": {"digest": chosen.digest, "total": chosen.total},
        "records": [list(record) for record in chosen.records],
    }


def _notes(exam: Exam, plan: Mapping[str, Any], unfit: Mapping[str, str], share: float) -> tuple[str, ...]:
    notes = []
    if unfit:
        notes.append(
            f"left out, since they do not fit the prompt's variables: {counted(len(unfit), 'recorded request')}"
        )
    if plan["records"] and TRAFFIC not in exam.pools():
        notes.append("no guardrail applies to recorded traffic, so that only the suites' own cases are asked")
    if plan["share"] != share:
        notes.append(f"continues evidence that was started with a share of {plan['share']:.4g}, not {share:.4g}")
    if exam.harnesses:
        notes.append(f"asked by a harness, whose requests no forecast knows: {', '.join(exam.harnesses)}")
    if untrusted := sorted(exam.harnesses.keys() - exam.trusted):
        notes.append(f"a harness of the work tree is not run: give --base, or release, to judge {', '.join(untrusted)}")
    if exam.unlimited:
        notes.append(f"without a limit, and so not judged in a first release: {', '.join(exam.unlimited)}")
    return tuple(notes)
