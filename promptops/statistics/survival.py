"""Time until something happens, such as the last session, when many are still waiting: survival of censored users.

Tables hold one row for each distinct time, ascending. All functions take counts, not users.
"""

from __future__ import annotations

from itertools import pairwise
from math import erfc, exp, isfinite, log, sqrt
from typing import TYPE_CHECKING, NamedTuple

from promptops.statistics.betting import plain_sum
from promptops.statistics.evalues import E_VALUE_CAP

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Row(NamedTuple):
    """Users at risk just before a time, and events at it, in each arm."""

    time: float
    canary_risk: int
    canary_events: int
    baseline_risk: int
    baseline_events: int


class Step(NamedTuple):
    """A survival curve from ``time`` on until the next step."""

    time: float
    survival: float
    error: float


class LogRank(NamedTuple):
    """Events of the canary beyond what the null expects, their variance, chi-square (one degree) and p-value."""

    excess: float
    variance: float
    chi_square: float
    p_value: float


def table(canary: Iterable[tuple[float, bool]], baseline: Iterable[tuple[float, bool]]) -> list[Row]:
    """Return one row for each time at which an event happened.

    Args:
        canary: of each user the time from first exposure to the event, or to the watermark; and whether the event was
            seen. Who leaves the study at a time was still at risk at it. Times are finite and not negative.
        baseline: likewise.

    Raises:
        ValueError: for an arm without users, or an impossible time.
    """
    arms = [list(canary), list(baseline)]
    if not all(arms):
        raise ValueError("an arm has no users")
    if not all(isfinite(time) and time >= 0 for arm in arms for time, _ in arm):
        raise ValueError("times are finite numbers of 0 or more")
    rows = []
    for time in sorted({time for arm in arms for time, happened in arm if happened}):
        counts = []
        for arm in arms:
            counts += [sum(at >= time for at, _ in arm), sum(at == time and bool(happened) for at, happened in arm)]
        rows.append(Row(time, *counts))
    return rows


def kaplan_meier(rows: Iterable[tuple[float, int, int]]) -> list[Step]:
    """Return the survival curve of one arm.

    Source: Kaplan & Meier, "Nonparametric estimation from incomplete observations", JASA 53(282), 1958; the error is
    Greenwood's. Censoring is independent of the event.

    Args:
        rows: time, users at risk and events, times ascending.

    Raises:
        ValueError: for no rows or impossible ones.
    """
    survival, greenwood, steps = 1.0, 0.0, []
    for time, risk, events in _ascending(list(rows)):
        if not risk:
            # Nobody is left to look at: the curve ends here.
            break
        survival *= (risk - events) / risk
        greenwood += events / (risk * (risk - events)) if events < risk else 0.0
        steps.append(Step(time, survival, survival * sqrt(greenwood)))
    return steps


def restricted_mean(rows: Sequence[tuple[float, int, int]], until: float) -> tuple[float, float]:
    """Return the mean time survived within [0, until] (RMST) and its standard error.

    Source: Royston & Parmar, "Restricted mean survival time", BMC Medical Research Methodology 13:152, 2013. The area
    under the curve; the variance sums ``(area right of a time)^2 d / (n (n - d))`` over its times.

    Args:
        rows: as in `kaplan_meier`; observation must reach ``until`` (as a last row without events, for instance).
        until: positive and finite, in the unit of the times.

    Raises:
        ValueError: as `kaplan_meier`, for such an ``until``, or when nobody was observed that long.
    """
    if not (isfinite(until) and until > 0):
        raise ValueError(f"the mean is restricted to a positive finite time, not {until}")
    steps = kaplan_meier(rows)
    if steps[-1].time < until and steps[-1].survival > 0:
        raise ValueError(f"nobody is known to have been observed until {until:g}")
    kept = [step for step in steps if step.time < until]
    times = [0.0, *(step.time for step in kept), until]
    heights = [1.0, *(step.survival for step in kept)]
    areas = [height * (end - start) for height, start, end in zip(heights, times[:-1], times[1:], strict=True)]
    variance = 0.0
    for i, (_, risk, events) in enumerate(rows[: len(kept)]):
        if events < risk:
            variance += plain_sum(areas[i + 1 :]) ** 2 * events / (risk * (risk - events))
    return plain_sum(areas), sqrt(variance)


def log_rank(rows: Iterable[Row]) -> LogRank:
    """Return the log-rank test of "both arms have the same hazard at all times", for one look.

    Source: Mantel, "Evaluation of survival data and two new rank order statistics arising in its consideration",
    Cancer Chemotherapy Reports 50(3), 1966. Weak against hazards that cross.

    Raises:
        ValueError: for impossible rows, or when the events say nothing (none, or nobody to compare with).
    """
    excess, variance = 0.0, 0.0
    for _, risk, events, other_risk, other_events in _checked(rows):
        n, d = risk + other_risk, events + other_events
        if n:
            excess += events - d * risk / n
        if n > 1:
            variance += d * (risk / n) * (other_risk / n) * (n - d) / (n - 1)
    if variance <= 0:
        raise ValueError("no event happened while users of both arms were at risk")
    square = excess * excess / variance
    return LogRank(excess, variance, square, erfc(sqrt(square / 2)))


def e_value(rows: Iterable[Row], *, hazard_ratio: float) -> float:
    """Return the e-value of the safe log-rank test against "the canary's hazard is that of the baseline".

    Source: ter Schure, Perez-Ortiz, Ly & Grunwald, "The safe logrank test: error control under optional stopping,
    continuation and prior misspecification" (arXiv 2011.06931): Cox's partial likelihood at the fixed alternative over
    that at the null. An event of a time is the canary's with the odds ``ratio * risk : other_risk``; tied events are
    taken one after the other, which is exact for times that come one by one and approximate for ties. An e-process in
    the events' order, valid at every stopping time; at most `E_VALUE_CAP`.

    Args:
        rows: as from `table`; no events give 1.
        hazard_ratio: of the canary over the baseline under the alternative, above 0 and not 1; above 1 looks for harm
            and then also holds against smaller hazards of the canary.

    Raises:
        ValueError: for impossible rows or such a ratio.
    """
    if not (isfinite(hazard_ratio) and hazard_ratio > 0 and hazard_ratio != 1):
        raise ValueError(f"a hazard ratio is a positive finite number other than 1, not {hazard_ratio}")
    wealth = 0.0
    for _, risk, events, other_risk, other_events in _checked(rows):
        # Half of the ties of the one arm still stand beside the other's, on average: the order is not known.
        for i in range(events):
            left, beside = risk - i, other_risk - other_events * i / events
            wealth += log(hazard_ratio * (left + beside) / (hazard_ratio * left + beside))
        for i in range(other_events):
            at_risk, others = risk - events * i / other_events, other_risk - i
            wealth += log((at_risk + others) / (hazard_ratio * at_risk + others))
    return exp(min(wealth, log(E_VALUE_CAP)))


def _ascending(rows: list[tuple[float, int, int]]) -> list[tuple[float, int, int]]:
    if not rows:
        raise ValueError("a survival table has no rows")
    times = [row[0] for row in rows]
    if not all(isfinite(time) and time >= 0 for time in times) or any(late <= early for early, late in pairwise(times)):
        raise ValueError("times of a survival table are finite, not negative, and ascend")
    for _, risk, events in rows:
        if any(isinstance(count, bool) or not isinstance(count, int) for count in (risk, events)):
            raise ValueError(f"users and events are whole numbers, not {risk!r} and {events!r}")
        if not 0 <= events <= risk:
            raise ValueError(f"events are between none and all of those at risk, not {events} of {risk}")
    return rows


def _checked(rows: Iterable[Row]) -> list[Row]:
    found = list(rows)
    if found:
        _ascending([(row.time, row.canary_risk, row.canary_events) for row in found])
        _ascending([(row.time, row.baseline_risk, row.baseline_events) for row in found])
    return found
