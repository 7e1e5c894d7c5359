"""Judging the judge: its agreement with people, with other judges and with itself, and what its verdicts lean on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import TYPE_CHECKING, Any, TypeAlias

from promptops.errors import PromptopsError
from promptops.evaluation.judging import asking, labels
from promptops.evaluation.judging.judge import PREFERENCES
from promptops.inference.reply import Failure
from promptops.statistics import agreement, prediction_powered
from promptops.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from promptops.evaluation.conversation import Helper
    from promptops.evaluation.judging.judge import Judge, Verdict
    from promptops.evaluation.judging.labels import Item, Labels

SEED = 20250425
_DIGITS = 4
# A model's verdicts on one thing: one, or of a pair one per order.
Said: TypeAlias = "tuple[Verdict | None, ...]"
Figure: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answers:
    """Everything that a judge said to some items.

    Attributes:
        judge: who was asked.
        items: what was judged.
        given: by repeat, by item, what each model said, in the order of the judge's models.
    """

    judge: Judge
    items: Sequence[Item]
    given: list[list[list[Said]]]

    def combined(self, place: int, repeat: int = 0) -> float | None:
        """Return the judge's score of an item; of a pair, how much the first reply is preferred."""
        said = self.given[repeat][place]
        if self.judge.pair:
            return self.judge.preferred([(each[0], each[1]) for each in said])
        return self.judge.combined([each[0] for each in said])

    def score(self, model: int, place: int, repeat: int = 0) -> float | None:
        """Return one model's score of an item."""
        said = self.given[repeat][place][model]
        if self.judge.pair:
            return self.judge.preferred([(said[0], said[1])])
        return None if said[0] is None else self.judge.score(said[0])


async def ask(
    judge: Judge, items: Sequence[Item], callers: Mapping[str, Helper], *, repeats: int, what: str = "labelled"
) -> Answers:
    """Put every item to every model of a judge.

    Args:
        judge: who is asked.
        items: what is judged.
        callers: the judge's models by name.
        repeats: how often each is asked.
        what: names the items within the journal.

    Raises:
        PromptopsError: a model gave no reply.
    """
    jobs = [_ask(judge, item, callers, f"{what} {item.id} {repeat}") for repeat in range(repeats) for item in items]
    found = await asyncio.gather(*jobs)
    size = len(items)
    return Answers(judge, items, [found[size * repeat : size * (repeat + 1)] for repeat in range(repeats)])


async def _ask(judge: Judge, item: Item, callers: Mapping[str, Helper], key: str) -> list[Said]:
    shown = item.shown
    orders = [shown, shown[::-1]] if judge.pair else [shown]
    found = await asyncio.gather(
        *(asking.verdicts(judge, f"{key} {order}", data, callers) for order, data in enumerate(orders))
    )
    said = []
    for each in found:
        if isinstance(each, Failure):
            raise PromptopsError(
                f"a judge gave no reply after {counted(each.attempts, 'attempt')}: {each.message}",
                hint="run the same command again: what was answered is kept and not paid twice",
            )
        said.append(each)
    return list(zip(*said, strict=True))


def figures(answers: Answers, *, seed: int = SEED) -> Figure:
    """Return what the answers say about the judge; see docs/judges.md for each figure.

    Args:
        answers: to items that people labelled.
        seed: of the bootstrap.
    """
    judge, items = answers.judge, answers.items
    agreed = [item.agreed(judge) for item in items]
    people = [None if label is None else _level(judge, label) for label in agreed]
    combined = [answers.combined(place) for place in range(len(items))]
    twice = list(labels.rated_twice(items))
    names = list(judge.models)
    scores = [[answers.score(model, place) for place in range(len(items))] for model in range(len(names))]
    return {
        "items": len(items),
        "contested": sum(label is None for label in agreed),
        "agreement": _agreement(judge, people, combined, seed),
        "people": _agreement(judge, [_level(judge, a) for a, _ in twice], [_level(judge, b) for _, b in twice], seed)
        if twice
        else None,
        "level": {"judge": _mean(combined), "people": _mean(people)},
        "models": {name: _of_model(answers, model, people, seed) for model, name in enumerate(names)},
        "between": [
            {
                "models": [names[a], names[b]],
                **_agreement(judge, scores[a], scores[b], seed),
                "shift": _shift(scores[a], scores[b]),
            }
            for a, b in combinations(range(len(names)), 2)
        ],
    }


def estimate(answers: Answers, unlabelled: Answers) -> Figure:
    """Return the mean score that people would give to all items, from few labels and many verdicts.

    Raises:
        PromptopsError: fewer than two items of either kind have a score.
    """
    judge = answers.judge
    pairs = [
        (_level(judge, label), score)
        for place, item in enumerate(answers.items)
        if (label := item.agreed(judge)) is not None and (score := answers.combined(place)) is not None
    ]
    others = [score for place in range(len(unlabelled.items)) if (score := unlabelled.combined(place)) is not None]
    if len(pairs) < 2 or len(others) < 2:
        raise PromptopsError("an estimate needs two labelled and two unlabelled items with a score each")
    people = [label for label, _ in pairs]
    powered = prediction_powered.mean(people, [score for _, score in pairs], others)
    return {
        "labelled": len(pairs),
        "unlabelled": len(others),
        "power": round(powered.power, _DIGITS),
        "mean": _figure(powered.value, *powered.interval),
        "labels_alone": _figure(*_flat(prediction_powered.classical(people))),
        "judge_alone": round(fmean(others), _DIGITS),
    }


def _of_model(answers: Answers, model: int, people: Sequence[float | None], seed: int) -> Figure:
    judge, places = answers.judge, range(len(answers.items))
    scores = [answers.score(model, place) for place in places]
    said = [each for rows in answers.given for row in rows for each in row[model]]
    words = [float(item.words) for item in answers.items]
    again = [
        (answers.score(model, place), answers.score(model, place, repeat))
        for repeat in range(1, len(answers.given))
        for place in places
    ]
    found = {
        "readable": _share([each is not None for each in said]),
        "level": _mean(scores),
        "agreement": _agreement(judge, people, scores, seed),
        "self": _agreement(judge, [a for a, _ in again], [b for _, b in again], seed) if again else None,
        # A lean towards length that people do not share is the judge's own.
        "length": {"judge": _rank(scores, words, seed), "people": _rank(people, words, seed)},
    }
    return found | ({"position": _position(answers, model)} if judge.pair else {})


def _position(answers: Answers, model: int) -> Figure:
    """Return how verdicts hang on the order: the share that turned with it, and that which went to the first seen."""
    pairs = [(each[0], each[1]) for rows in answers.given for row in rows if None not in (each := row[model])]
    decided = [verdict for pair in pairs for verdict in pair if verdict != "tie"]
    return {
        "pairs": len(pairs),
        "inconsistent": _share([asking.TURNED[str(one)] != other for one, other in pairs]),
        "first": _share([verdict == "first" for verdict in decided]),
    }


def _agreement(judge: Judge, one: Sequence[float | None], other: Sequence[float | None], seed: int) -> Figure:
    """Return the coefficients of agreement of two series of scores: kappa of labels, Spearman of a scale."""
    pairs = _both(one, other)
    if judge.scale:
        return {"n": len(pairs), "spearman": _interval(agreement.spearman, pairs, seed)}
    nearest = [(_label(judge, a), _label(judge, b)) for a, b in pairs]
    found = {"n": len(pairs), "kappa": _interval(agreement.kappa, nearest, seed)}
    if judge.ordered:
        order = {label: float(place) for place, label in enumerate(sorted(judge.verdicts, key=judge.score))}
        places = [(order[a], order[b]) for a, b in nearest]
        found["weighted_kappa"] = _interval(agreement.weighted_kappa, places, seed)
    return found


def _label(judge: Judge, score: float) -> Any:
    """Return the label whose score is nearest; among equals the first.

    A median of labels may fall between two of them, and labels of equal score are one answer.
    """
    if judge.pair:
        return "tie" if score == PREFERENCES["tie"] else "first" if score > PREFERENCES["tie"] else "second"
    return min(judge.verdicts, key=lambda verdict: abs(judge.score(verdict) - score))


def _level(judge: Judge, label: str | float) -> float:
    """Return the score in [0, 1] of a person's label; medians on a scale may lie between its numbers."""
    if judge.scale:
        low, high = judge.scale
        return (float(label) - low) / (high - low)
    return judge.score(str(label))


def _interval(coefficient: Callable[[Any, Any], float | None], pairs: Sequence[tuple[Any, Any]], seed: int) -> Figure:
    def on(places: Sequence[int]) -> float | None:
        return coefficient([pairs[place][0] for place in places], [pairs[place][1] for place in places])

    return _figure(on(range(len(pairs))), *agreement.bootstrap(on, len(pairs), seed=seed))


def _rank(one: Sequence[float | None], other: Sequence[float | None], seed: int) -> Figure:
    return _interval(agreement.spearman, _both(one, other), seed)


def _both(one: Sequence[float | None], other: Sequence[float | None]) -> list[tuple[float, float]]:
    return [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]


def _shift(one: Sequence[float | None], other: Sequence[float | None]) -> float | None:
    return _mean([a - b for a, b in _both(one, other)])


def _mean(scores: Sequence[float | None]) -> float | None:
    read = [score for score in scores if score is not None]
    return round(fmean(read), _DIGITS) if read else None


def _share(flags: Sequence[bool]) -> float | None:
    return round(sum(flags) / len(flags), _DIGITS) if flags else None


def _figure(value: float | None, low: float, high: float) -> Figure:
    return {
        "value": None if value is None else round(value, _DIGITS),
        "low": round(low, _DIGITS),
        "high": round(high, _DIGITS),
    }


def _flat(found: prediction_powered.Estimate) -> tuple[float, float, float]:
    return found.value, found.interval.low, found.interval.high


def record(judge: Judge, file: Labels, answers: Answers, *, seed: int = SEED, **more: Any) -> Figure:
    """Return the calibration record: what was judged by whom, and the figures."""
    return {
        "version": 1,
        "judge": judge.identity,
        "rubric": judge.rubric,
        "verdicts": {str(verdict): judge.score(verdict) for verdict in judge.verdicts},
        "pair": judge.pair,
        "asked": {name: model.identity for name, model in judge.models.items()},
        "labels": file.digest,
        "repeats": len(answers.given),
        "seed": seed,
        **figures(answers, seed=seed),
        **more,
    }
