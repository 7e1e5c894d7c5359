"""From a case and all that an arm answered to it, to the scores of a suite."""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum
from typing import TYPE_CHECKING, NamedTuple

from promptops.evaluation import callables, evaluators, feedback
from promptops.evaluation.floors import Floor
from promptops.evaluation.judging import judge
from promptops.evaluation.judging.judge import CONSISTENT
from promptops.evaluation.measures.fit import misfit
from promptops.evaluation.measures.registry import MEASURES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from promptops.evaluation.callables import Code
    from promptops.evaluation.case import Case
    from promptops.evaluation.evaluators import Definition
    from promptops.evaluation.suite import Suite
    from promptops.evaluation.transcript import Transcript
    from promptops.inference.reply import Reply

# Their scores come with the transcript.
_ELSEWHERE = frozenset({judge.KIND, feedback.KIND})


class Scored(NamedTuple):
    """What the answers to one case say.

    Attributes:
        scores: by metric, in [0, 1]; None where there is nothing to read.
        floors: the case's part of each validity floor by ``metric/floor``.
    """

    scores: Mapping[str, float | None]
    floors: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Scorer:
    """Scores what a suite's cases are answered with.

    Attributes:
        suite: where the cases are from.
        allow_python: whether it comes from a trusted revision, so that its Python code may run.
        code: reads that revision's files.
    """

    suite: Suite
    allow_python: bool = False
    code: Code = callables.no_code

    def score(self, case: Case, transcript: Transcript, only: Collection[str] | None = None) -> Scored:
        """Return every metric: the suite's evaluators by name, and ``expected`` when the case has one.

        A measure that the case does not fit has no score there.

        ``expected`` is the least score among the case's expectations over the last replies of all views.

        Args:
            case: what was asked.
            transcript: what one arm answered.
            only: the evaluators that are wanted; all of them when None.

        Raises:
            RefusedError: the suite names Python code that may not run, or the code is not the pinned one.
            InputError: Python code fails or returns no score.
        """
        scores: dict[str, float | None] = {}
        floors: dict[str, float] = dict(transcript.floors)
        for name, definition in self.suite.evaluators.items():
            if only is not None and name not in only:
                continue
            if name in transcript.scores:
                scores[name] = transcript.scores[name]
            elif definition.type in _ELSEWHERE:
                # Nobody was asked or answered, as about silence, or about one arm where pairs are judged.
                scores[name] = None
            elif misfit(*definition, case):
                continue
            elif definition.type in MEASURES:
                reading = MEASURES[definition.type].read(definition.arguments, case, transcript)
                scores[name] = reading.score
                floors |= {f"{name}/{floor}": mark for floor, mark in reading.floors.items()}
            else:
                found = self._each(definition, case, transcript)
                scores[name] = None if found is None else fsum(found) / len(found)
        if case.expect:
            held = [self._each(definition, case, transcript) for definition in case.expect]
            read = [min(each) for each in held if each is not None]
            scores["expected"] = min(read) if len(read) == len(held) else None
        return Scored(scores, floors)

    def unmet(self, case: Case, transcript: Transcript) -> list[str]:
        """Return which of the case's own expectations do not hold, in words."""
        found = []
        for definition in case.expect:
            marks = self._each(definition, case, transcript)
            told = ", ".join(f"{name} {value!r}" for name, value in definition.arguments.items())
            if marks is None:
                return ["the reply is silent"]
            if min(marks) < 1.0:
                found.append(f"{definition.type}: {told}" if told else definition.type)
        return found

    def _each(self, definition: Definition, case: Case, transcript: Transcript) -> list[float] | None:
        """Return an evaluator's score of each reply that it looks at.

        Silence is no good behaviour: among replies without text and tool calls there is no readable score.
        """
        replies = looked_at(transcript, str(definition.arguments.get("turn", "last")))
        if not replies or any(not reply.text.strip() and not reply.tool_calls for reply in replies):
            return None
        run = evaluators.run
        return [run(definition, case, reply, allow_python=self.allow_python, code=self.code) for reply in replies]


def looked_at(transcript: Transcript, turn: str) -> list[Reply]:
    """Return the ``first`` or ``last`` reply of every view, or all of them (``mean``)."""
    if turn == "mean":
        return list(transcript.replies)
    place = 0 if turn == "first" else -1
    return [session[place].reply for session in transcript.views.values() if session]


def floors(suite: Suite) -> dict[str, Floor]:
    """Return the validity floors of a suite's metrics by ``metric/floor``."""
    found: dict[str, Floor] = {}
    for name, definition in suite.evaluators.items():
        if definition.type in MEASURES:
            stated = MEASURES[definition.type].floors(definition.arguments)
            found |= {f"{name}/{floor}": bounds for floor, bounds in stated.items()}
        elif definition.type == judge.KIND and definition.arguments.get("pair"):
            found[f"{name}/{CONSISTENT}"] = Floor(low=0.5)
    return found
