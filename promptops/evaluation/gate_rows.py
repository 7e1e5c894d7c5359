"""What a gate says of each guardrail, in numbers and in a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from promptops.statistics.evalues import E_VALUE_CAP, imbalance_e_value
from promptops.statistics.series import GRID
from promptops.text import counted

if TYPE_CHECKING:
    from promptops.evaluation.harm import Direction, Track

Verdict = Literal["pass", "fail", "inconclusive"]
DIGITS = 6


@dataclass(frozen=True, slots=True)
class Row:
    """What is known about one guardrail.

    Attributes:
        name: the caller's name of the guardrail.
        metric: the metric's name.
        direction: where better lies.
        margin: tolerated worsening of the mean.
        limit: worst tolerated mean; judged in absolute mode only.
        n: pairs that bear on it.
        baseline: mean of the baseline over these pairs; None without one.
        candidate: mean of the candidate; a lost reply, or one without a readable score, counts as the worst score.
        difference: candidate minus baseline; None without a baseline.
        low: lower confidence bound of the difference (absolute mode: of the candidate's mean), one-sided at alpha.
        high: upper bound likewise.
        e_value: the largest evidence so far against "harm is within the margin".
        verdict: ``pass``, ``fail`` or ``inconclusive``.
        reason: why, in a sentence.
    """

    name: str
    metric: str
    direction: Direction
    margin: float
    limit: float | None
    n: int
    baseline: float | None
    candidate: float | None
    difference: float | None
    low: float
    high: float
    e_value: float
    verdict: Verdict
    reason: str


def row(track: Track, alpha: float, verdict: Verdict, why: str) -> Row:
    """Return what is known about a guardrail.

    Args:
        track: its record.
        alpha: error probability of its bounds.
        verdict: its own.
        why: in a sentence.
    """
    low, high = track.interval(alpha)
    paired = track.mode == "paired"
    scale = GRID * track.n
    return Row(
        name=track.name,
        metric=track.metric,
        direction=track.direction,
        margin=track.margin,
        limit=track.limit,
        n=track.n,
        baseline=round(track.baseline / scale, DIGITS) if paired and scale else None,
        candidate=round(track.candidate / scale, DIGITS) if scale else None,
        difference=round((track.candidate - track.baseline) / scale, DIGITS) if paired and scale else None,
        low=round(low, DIGITS),
        high=round(high, DIGITS),
        e_value=round(min(track.harm.peak, E_VALUE_CAP), DIGITS),
        verdict=verdict,
        reason=why,
    )


def reason(track: Track, standing: Verdict) -> str:
    """Return what the pairs of a guardrail prove, in a sentence."""
    if track.mode == "paired":
        bound = f"worse than the baseline by more than {track.margin:g}"
    else:
        bound = f"{'above' if track.direction == 'lower' else 'below'} the limit {track.limit:g}"
    if standing == "inconclusive":
        proves = "proves" if track.n == 1 else "prove"
        return f"{counted(track.n, 'pair')} {proves} neither that it is {bound} nor that it is not"
    return f"proved {bound}" if standing == "fail" else f"proved not {bound}"


def lopsided(lost: int, lost_by_candidate: int, alpha: float) -> tuple[str, ...]:
    """Return a note where one arm lost more replies than chance explains.

    Args:
        lost: pairs without a reply of the baseline alone.
        lost_by_candidate: pairs without one of the candidate alone.
        alpha: error probability of the note.
    """
    if imbalance_e_value(lost, lost_by_candidate) < 1.0 / alpha:
        return ()
    more = "candidate" if lost_by_candidate > lost else "baseline"
    note = f"pairs lost for want of a reply of one arm: {lost_by_candidate} candidate, {lost} baseline;"
    return (f"{note} that the {more} loses more is no chance",)
