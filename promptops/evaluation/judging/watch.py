"""What a canary shows of its judges: level, lean towards length, agreement with themselves.

Calibration measures the same on labelled replies. Here they are those of the day, without labels, so that nothing is
decided by it: it says whether the judge still looks like the one that was calibrated.
"""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.statistics.agreement import spearman

if TYPE_CHECKING:
    from collections.abc import Callable

    from promptops.evaluation.transcript import Transcript

_DIGITS = 6


class _Verdict(NamedTuple):
    """A score in [0, 1], and the case, length and digest of what it is of."""

    score: float
    case: str
    words: int
    text: int


class Watch:
    """Collects the scores of judges, each of one arm's answers to a case."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], list[_Verdict]] = defaultdict(list)

    def add(self, suite: str, metric: str, case: str, answer: Transcript, score: float) -> None:
        """Take in what the judge ``metric`` of a suite gave an arm's answers to a case."""
        words = sum(len(reply.text.split()) for reply in answer.replies)
        # Equal within this process, which is all that is asked.
        self._seen[suite, metric].append(_Verdict(score, case, words, hash(answer.text)))

    def rows(self, calibrated: Callable[[str, str], float | None]) -> list[dict[str, Any]]:
        """Return a row per judge.

        A row holds ``suite``, ``metric``, ``n``, the mean score as ``level``, the same in calibration as ``calibrated``
        (None where that is not known), Spearman's rank correlation of score with words as ``length`` (None where one of
        them is constant), and how many of the ``repeated`` answers, those that were judged before word for word, got
        the score of the first time (``same``).

        Args:
            calibrated: returns a judge's level in calibration by suite and metric.
        """
        return [self._row(suite, metric, calibrated(suite, metric)) for suite, metric in sorted(self._seen)]

    def _row(self, suite: str, metric: str, before: float | None) -> dict[str, Any]:
        seen = self._seen[suite, metric]
        first: dict[tuple[str, int], float] = {}
        again = [each.score == first.setdefault((each.case, each.text), each.score) for each in seen]
        length = spearman([each.score for each in seen], [each.words for each in seen])
        return {
            "suite": suite,
            "metric": metric,
            "n": len(seen),
            "level": round(fmean(each.score for each in seen), _DIGITS),
            "calibrated": before,
            "length": None if length is None else round(length, _DIGITS),
            "repeated": len(seen) - len(first),
            "same": sum(again) - len(first),
        }
