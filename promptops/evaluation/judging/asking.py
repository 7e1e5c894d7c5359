"""Asking a judge about what the arms answered; each verdict is paid once and kept with the replies."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.evaluation.judging import prompt
from promptops.evaluation.judging.judge import CONSISTENT
from promptops.inference.reply import Failure, Reply

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from promptops.evaluation.conversation import Helper
    from promptops.evaluation.judging.judge import Judge, Verdict
    from promptops.evaluation.transcript import Transcript

_UNSUPPORTED = "response_format"
# What a verdict is when the order turns.
TURNED = {"first": "second", "second": "first", "tie": "tie"}


class Preference(NamedTuple):
    """What a judge says to two replies.

    Attributes:
        score: how much the candidate's is preferred, in [0, 1]; None where too little could be read.
        orders: of each model, its verdict with the candidate's reply first, and with it second.
    """

    score: float | None
    orders: tuple[tuple[Verdict | None, Verdict | None], ...]

    @property
    def consistent(self) -> float | None:
        """Share of models whose verdict stayed when the order turned; None where none could be read in both."""
        read = [(one, other) for one, other in self.orders if one is not None and other is not None]
        return sum(TURNED[str(one)] == other for one, other in read) / len(read) if read else None


async def verdicts(
    judge: Judge, key: str, data: Sequence[Any], callers: Mapping[str, Helper]
) -> list[Verdict | None] | Failure:
    """Return every model's verdict on one thing to judge, in the order of the judge's models.

    Args:
        judge: who is asked.
        key: names what is judged, within the evidence.
        data: as `prompt.messages` takes it.
        callers: the judge's models by name.

    Returns:
        The verdicts, None where one cannot be read; the first failure where a model gave no reply.
    """
    messages = prompt.messages(judge, data)
    wanted = {"response_format": prompt.response_format(judge)}
    replies = await asyncio.gather(
        *(
            callers[name].answer(
                f"judge {judge.identity} {key}", messages, {} if _UNSUPPORTED in model.unsupported else wanted
            )
            for name, model in judge.models.items()
        )
    )
    found: list[Verdict | None] = []
    for reply in replies:
        if isinstance(reply, Failure):
            return reply
        found.append(prompt.verdict(judge, reply.text))
    return found


async def score(judge: Judge, key: str, data: Any, callers: Mapping[str, Helper]) -> float | Failure | None:
    """Return a judge's score in [0, 1] of one arm's answers; None for silence, or where too little could be read."""
    if data is None:
        return None
    found = await verdicts(judge, f"{key} 0", [data], callers)
    return found if isinstance(found, Failure) else judge.combined(found)


async def preference(
    judge: Judge, key: str, candidate: Any, baseline: Any, callers: Mapping[str, Helper]
) -> Preference | Failure:
    """Return how much a judge prefers the candidate's answers, asked in both orders."""
    one, other = await asyncio.gather(
        verdicts(judge, f"{key} 0", [candidate, baseline], callers),
        verdicts(judge, f"{key} 1", [baseline, candidate], callers),
    )
    if isinstance(one, Failure):
        return one
    if isinstance(other, Failure):
        return other
    orders = tuple(zip(one, other, strict=True))
    return Preference(judge.preferred(orders), orders)


def shown(transcript: Transcript) -> Any:
    """Return an arm's answers as a judge is shown them: one session, or several by name; None where one is silence."""
    if any(not reply.text.strip() and not reply.tool_calls for reply in transcript.replies):
        return None
    sessions = {
        name: prompt.session((exchange.said, _text(exchange.reply)) for exchange in held)
        for name, held in transcript.views.items()
    }
    return sessions[""] if sessions.keys() == {""} else sessions


def _text(reply: Reply) -> str:
    return "\n".join([reply.text, *map(str, reply.tool_calls)]).strip()


async def judged(
    judges: Mapping[str, Judge],
    key: str,
    answers: Mapping[str, Transcript | Failure],
    callers: Mapping[str, Helper],
    *,
    candidate: str,
    baseline: str,
) -> dict[str, Transcript | Failure]:
    """Return the arms' answers with the scores of a suite's judges among their scores.

    An arm whose answers no verdict was had on counts as one that gave none. A judge of pairs gives the candidate its
    preference and the baseline the rest; a failure of its is the candidate's.

    Args:
        judges: of the suite, by metric.
        key: of the draw.
        answers: by arm; one that failed is not judged.
        callers: the judges' models by name.
        candidate: name of the arm that is released.
        baseline: name of the arm that it is compared with.
    """
    held = {arm: answer for arm, answer in answers.items() if not isinstance(answer, Failure)}
    shows = {arm: shown(answer) for arm, answer in held.items()}
    pair = {candidate, baseline} <= held.keys()

    async def ask(metric: str, arm: str) -> tuple[str, str, float | Preference | Failure | None]:
        judge = judges[metric]
        if not judge.pair:
            return arm, metric, await score(judge, f"{key} {arm}", shows[arm], callers)
        if None in shows.values():
            return arm, metric, None
        return arm, metric, await preference(judge, f"{key} pair", shows[candidate], shows[baseline], callers)

    wanted = [
        (metric, arm)
        for metric, judge in judges.items()
        for arm in held
        if not judge.pair or (pair and arm == candidate)
    ]
    found = dict(answers)
    for arm, metric, given in await asyncio.gather(*(ask(*each) for each in wanted)):
        if isinstance(given, Preference):
            rest = None if given.score is None else 1.0 - given.score
            marks = {} if given.consistent is None else {f"{metric}/{CONSISTENT}": given.consistent}
            found[candidate] = _scored(found[candidate], metric, given.score, marks)
            found[baseline] = _scored(found[baseline], metric, rest, marks)
        else:
            found[arm] = _scored(found[arm], metric, given, {})
    return found


def _scored(
    answer: Transcript | Failure, metric: str, given: float | Failure | None, marks: Mapping[str, float]
) -> Transcript | Failure:
    """Return the answers with one more score and what goes with it, or the failure to get it in place of them."""
    if isinstance(answer, Failure):
        return answer
    if isinstance(given, Failure):
        return given
    return replace(answer, scores={**answer.scores, metric: given}, floors={**answer.floors, **marks})
