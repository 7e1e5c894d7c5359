"""What a canary has learned so far: the gate, who answered, and the worst pairs."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from promptops.evaluation.arms import moved
from promptops.evaluation.judging.watch import Watch
from promptops.evaluation.transcript import Transcript
from promptops.inference.reply import Failure

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from promptops.evaluation.exam import Exam
    from promptops.evaluation.gate import GateResult
    from promptops.evaluation.gate_rows import Verdict
    from promptops.evaluation.sampling import Draw
    from promptops.inference.reply import Reply
    from promptops.registry.configuration import Configuration

BASELINE, CANDIDATE = "baseline", "candidate"
_EXAMPLES = 5
_EXAMPLE_CHARACTERS = 4000
# So many draws without a single reply: nobody is there.
_HOPELESS = 16


class Answered(NamedTuple):
    """One draw's question and the arms' answers, by arm name; an arm that does not exist is left out."""

    question: str
    answers: Mapping[str, Transcript | Failure]


class Judge(Protocol):
    """What makes verdicts out of scores: `promptops.evaluation.gate.Gate` or one with the same questions."""

    pairs: int

    @property
    def width(self) -> int:
        """Series of numbers that a pair adds one each to."""

    def add(
        self,
        scores: Mapping[str, tuple[float | None, float | None]],
        *,
        lost: bool = False,
        floors: Mapping[str, Mapping[str, float]] | None = None,
    ) -> None:
        """Take in one answered draw, or one that only the candidate gave no reply to."""

    def add_failure(self, *, both: bool) -> None:
        """Count a draw without a reply of the baseline, or of both arms."""

    @property
    def undecided(self) -> frozenset[str]:
        """Names of guardrails that further pairs may decide."""

    @property
    def decision(self) -> Verdict:
        """The overall verdict."""

    @property
    def open(self) -> bool:
        """Whether further pairs may change the verdict."""

    def verdict(self) -> GateResult:
        """The verdict with everything that supports it."""

    def evidence(self) -> dict[str, Any]:
        """Sufficient statistics."""


@dataclass(slots=True)
class Tally:
    """Evidence in the order of the plan.

    Attributes:
        exam: what was asked.
        gate: what it proves.
        configurations: by arm name.
        models: ``(requested, reported, fingerprint)`` of all replies.
        moves: sentences about replies of another model than was asked for.
        stopped: why it ended before the verdict was clear: ``moved``, ``budget`` or ``unreachable``.
        last_failure: the latest call without a reply.
        answered: draws that got any reply.
        draws: draws taken in.
        cases: different cases among them.
        rounds: how often the most asked case was.
    """

    exam: Exam
    gate: Judge
    configurations: Mapping[str, Configuration]
    models: set[tuple[str, str, str | None]] = field(default_factory=set)
    moves: list[str] = field(default_factory=list)
    stopped: str | None = None
    last_failure: Failure | None = None
    answered: int = 0
    draws: int = 0
    cases: set[tuple[str, str]] = field(default_factory=set)
    rounds: int = 0
    _worst: dict[str, list[tuple[float, int, dict[str, str]]]] = field(default_factory=dict)
    _seen: int = 0
    _watch: Watch = field(default_factory=Watch)
    _words: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    _seen_advisory: dict[tuple[str, str], dict[str, list[float]]] = field(default_factory=dict)

    def take(self, draw: Draw, answered: Answered, *, exhausted: bool = False) -> bool:
        """Take the next draw in and say whether the canary goes on.

        Args:
            draw: what was asked.
            answered: what came back.
            exhausted: whether the budget has ended, so that a missing reply says nothing about the endpoint.
        """
        failures = {arm: item for arm, item in answered.answers.items() if isinstance(item, Failure)}
        answers = {arm: item for arm, item in answered.answers.items() if isinstance(item, Transcript)}
        if failures and (exhausted or any(failure.kind == "budget" for failure in failures.values())):
            self.stopped = "budget"
            return False
        self.draws += 1
        self.answered += bool(answers)
        self.cases.add((draw.suite, draw.case))
        self.rounds = max(self.rounds, draw.replicate + 1)
        self._identify(answers)
        if self.moves:
            self.stopped = "moved"
        elif failures:
            self.last_failure = next(iter(failures.values()))
            self._lose(draw, failures, answers)
            self.stopped = "unreachable" if self.draws >= _HOPELESS and not self.answered else None
        else:
            self._judge(draw, answered.question, answers)
        return self.stopped is None and self.gate.open

    def _identify(self, answers: Mapping[str, Transcript]) -> None:
        for arm, reply in [(arm, reply) for arm, answer in answers.items() for reply in answer.replies]:
            self.identify(arm, reply)

    def identify(self, arm: str, reply: Reply) -> None:
        """Note who answered; another model than was asked for ends the canary."""
        configuration = self.configurations[arm]
        self.models.add((configuration.model.id, reply.model, reply.fingerprint))
        if moved(configuration, reply):
            self.moves.append(
                f"model moved: the {arm} asked for {configuration.model.id} and was answered by"
                f" {reply.model or 'a model that does not say its name'}"
            )

    def _lose(self, draw: Draw, failures: Mapping[str, Failure], answers: Mapping[str, Transcript]) -> None:
        if BASELINE in failures:
            self.gate.add_failure(both=CANDIDATE in failures)
            return
        # Which guardrails it bears on does not depend on the reply.
        unread = self.exam.unread(draw)
        old = self.exam.score(draw, answers[BASELINE]).rails if BASELINE in answers else unread
        self.gate.add({name: (old[name], None) for name in unread}, lost=True)

    def _judge(self, draw: Draw, question: str, answers: Mapping[str, Transcript]) -> None:
        marks = {arm: self.exam.score(draw, answer) for arm, answer in answers.items()}
        new = marks[CANDIDATE].rails
        old = marks[BASELINE].rails if BASELINE in marks else dict.fromkeys(new)
        scores = {name: (old[name], new[name]) for name in new}
        self.gate.add(scores, floors={arm: mark.floors for arm, mark in marks.items()})
        for arm, mark in marks.items():
            for metric, score in mark.advisory.items():
                self._seen_advisory.setdefault((draw.suite, metric), {}).setdefault(arm, []).append(score)
        self._measure(new, answers)
        for metric, judge in self.exam.judges(draw.suite).items():
            for answer in answers.values() if not judge.pair else ():
                given = answer.scores.get(metric)
                if given is not None:
                    self._watch.add(draw.suite, metric, draw.case, answer, given)
        for name, pair in scores.items():
            self._remember(draw, name, pair, question, answers)

    def _measure(self, rails: Collection[str], answers: Mapping[str, Transcript]) -> None:
        """Count the words of each arm's replies for the guardrails that they bear on."""
        for arm, answer in answers.items():
            words = sum(len(reply.text.split()) for reply in answer.replies)
            for name in rails if answer.replies else ():
                counts = self._words.setdefault(name, {}).setdefault(arm, [0, 0])
                counts[0] += words
                counts[1] += len(answer.replies)

    def _remember(
        self,
        draw: Draw,
        name: str,
        scores: tuple[float | None, float | None],
        question: str,
        answers: Mapping[str, Transcript],
    ) -> None:
        rail = self.exam.rails[name]
        worst = 1.0 if rail.direction == "lower" else 0.0
        old, new = (worst if score is None else score for score in scores)
        reference = old if BASELINE in answers else 1.0 - worst
        harm = new - reference if rail.direction == "lower" else reference - new
        if harm <= 0:
            return
        example = {
            "case": f"{draw.suite}/{draw.case}",
            "metric": name,
            "input": question[:_EXAMPLE_CHARACTERS],
            **{arm: answers[arm].text[:_EXAMPLE_CHARACTERS] if arm in answers else "" for arm in (BASELINE, CANDIDATE)},
        }
        # Ties go to the earlier one, so that the choice follows from the order alone.
        self._seen += 1
        kept = self._worst.setdefault(name, [])
        heapq.heappush(kept, (harm, -self._seen, example))
        if len(kept) > _EXAMPLES:
            heapq.heappop(kept)

    def examples(self) -> list[dict[str, str]]:
        """Return the worst pairs: those of guardrails that failed first, then those that harm most."""
        failed = {row["name"] for row in self.gate.verdict().document()["rows"] if row["verdict"] == "fail"}
        ordered = [
            ((name in failed, harm, seen), example)
            for name, kept in self._worst.items()
            for harm, seen, example in kept
        ]
        ordered.sort(key=lambda item: item[0], reverse=True)
        return [example for _, example in ordered[:_EXAMPLES]]

    def rows(self) -> list[dict[str, Any]]:
        """Return a row per guardrail, with the suite that its cases are from and the mean words of a reply by arm."""
        found = []
        for row in self.gate.verdict().document()["rows"]:
            rail = self.exam.rails[row["name"]]
            words = {arm: round(total / count, 1) for arm, (total, count) in self._words.get(row["name"], {}).items()}
            found.append({"suite": rail.pool, **row, "metric": rail.label, "words": words})
        return found

    def advisory(self) -> list[dict[str, Any]]:
        """Return a row per metric that is scored and not judged: suite, metric, n and the arms' means."""
        return [
            {
                "suite": suite,
                "metric": metric,
                "n": len(by_arm.get(CANDIDATE, ())),
                **{arm: round(fmean(by_arm[arm]), 6) if arm in by_arm else None for arm in (BASELINE, CANDIDATE)},
            }
            for (suite, metric), by_arm in sorted(self._seen_advisory.items())
        ]

    def judges(self) -> list[dict[str, Any]]:
        """Return a row per judge of single answers; see `promptops.evaluation.judging.watch`."""
        return self._watch.rows(self.exam.level)

    def model_records(self) -> list[dict[str, str | None]]:
        """Return who answered: requested and reported model and fingerprint, each once."""
        ordered = sorted(self.models, key=lambda item: (item[0], item[1], item[2] or ""))
        return [{"requested": asked, "reported": told, "fingerprint": mark} for asked, told, mark in ordered]
