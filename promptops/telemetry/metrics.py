"""What a metric is: which events of a unit become its one value (or its pair of values)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from promptops.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY_MS = 86_400_000
MOST = 64
# A metric whose event is this takes exposures themselves: somebody used the prompt.
EXPOSURE = "exposure"
Aggregate = Literal[
    "mean", "sum", "count", "any", "first", "last", "ratio", "retention", "slope", "carried", "satisfied", "survival"
]
AGGREGATES: tuple[str, ...] = get_args(Aggregate)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")
_LONGEST_MS = 3660 * DAY_MS


class Metric(NamedTuple):
    """One number per unit, from the unit's events in a window that opens at its first exposure ``t0``.

    Attributes:
        name: by which plans and evidence call it.
        event: name of the outcome, or ``exposure`` for exposures themselves (activity).
        aggregate: what the events of a unit become:
            ``mean``, ``sum`` of the values; ``count`` of the events; ``any``: 1 if an event has a value other than 0
            (or none at all), else 0; ``first``, ``last`` value; ``ratio``: the sum of the values beside the number of
            sessions or turns, for the delta method; ``retention``: 1 if there is an event in
            ``[t0 + day d, t0 + (day + 1) d)``; ``slope``: least squares slope of the value over the index of the step,
            for units with three steps or more; ``carried``: last step's value minus the first's, where whoever left
            keeps the last; ``satisfied``: number of steps whose value reaches ``threshold``; ``survival``: days until
            a silence longer than the maturity.
        unit_of: the steps of ``slope``, ``carried`` and ``satisfied``, and what ``ratio`` counts below the line: each
            ``turn`` (each event), each ``session`` (its value is the mean of its values), or the ``user`` as a whole.
        window_ms: outcomes in ``[t0, t0 + window_ms)`` count.
        maturity_ms: a unit counts once the watermark reaches ``t0`` plus this, or the end of the window if that is
            later; for ``survival`` the silence after which a unit is taken to have left.
        missing: units without any such event are left out (``exclude``) or count as 0 (``zero``).
        day: which day after the first exposure ``retention`` looks at.
        covariate: outcome whose mean in the window of the same length before ``t0`` adjusts this metric (CUPED: Deng,
            Xu, Kohavi and Walker, WSDM 2013); units without one have 0.
        over: for ``ratio``, the events among which sessions or turns are counted: the ``outcome`` itself, ``exposure``,
            or the feedback ``opportunity`` of the same name.
        threshold: least mean value of a satisfied session.
        query: SQL whose rows (``unit``, ``ts``, ``value``) are the outcomes, in place of recorded ones; ``event``
            is then the metric's own name.
    """

    name: str
    event: str
    aggregate: Aggregate
    unit_of: Literal["turn", "session", "user"] = "turn"
    window_ms: int = 7 * DAY_MS
    maturity_ms: int = 7 * DAY_MS
    missing: Literal["exclude", "zero"] = "exclude"
    day: int | None = None
    covariate: str | None = None
    over: Literal["outcome", "exposure", "opportunity"] = "outcome"
    threshold: float = 0.5
    query: str | None = None

    @property
    def kind(self) -> str:
        """How its rows in evidence look: ``mean``, ``ratio`` or ``survival``."""
        return self.aggregate if self.aggregate in {"ratio", "survival"} else "mean"

    @property
    def opens_ms(self) -> int:
        """Milliseconds after the first exposure at which its window opens."""
        return (self.day or 0) * DAY_MS if self.aggregate == "retention" else 0

    @property
    def closes_ms(self) -> int:
        """Milliseconds after the first exposure at which its window closes."""
        return self.opens_ms + DAY_MS if self.aggregate == "retention" else self.window_ms

    @property
    def matures_ms(self) -> int:
        """Milliseconds after the first exposure at which a unit counts; never before its window closes."""
        return max(self.maturity_ms, self.closes_ms)

    def document(self) -> dict[str, Any]:
        """Return it as a JSON object, as the digest of a query covers it."""
        return self._asdict()


def check(metrics: Sequence[Metric]) -> None:
    """Refuse metrics that cannot be computed.

    Raises:
        UsageError: two have one name, or one contradicts itself; the message names it.
    """
    if not 0 < len(metrics) <= MOST:
        raise UsageError(f"{len(metrics)} metrics, not 1 to {MOST}")
    if len({metric.name for metric in metrics}) != len(metrics):
        raise UsageError("two metrics have one name")
    for metric in metrics:
        fault = _fault(metric)
        if fault:
            raise UsageError(f"metric {metric.name[:100]!r}: {fault}")


def _fault(metric: Metric) -> str | None:
    names = (metric.name, metric.event, *([metric.covariate] if metric.covariate is not None else []))
    counts_only = metric.aggregate in {"count", "any", "retention", "survival"}
    faults = {
        "names hold letters, digits and . _ / - only, and at most 100 of them": not all(map(_NAME.fullmatch, names)),
        f"its aggregate is none of {', '.join(AGGREGATES)}": metric.aggregate not in AGGREGATES,
        "its window is not between 0 and ten years": not 0 < metric.window_ms <= _LONGEST_MS,
        "its maturity is not between 0 and ten years": not 0 <= metric.maturity_ms <= _LONGEST_MS,
        "a day goes with retention and nothing else": (metric.day is None) == (metric.aggregate == "retention"),
        "the day of a retention is not between 0 and 3650": metric.day is not None and not 0 <= metric.day <= 3650,
        "a query has no recorded event, session or opportunity": metric.query is not None
        and (metric.event != metric.name or metric.unit_of == "session" or metric.over != "outcome"),
        f"a {metric.aggregate} has no covariate": metric.covariate is not None and metric.kind != "mean",
        f"exposures have no value, so no {metric.aggregate}": metric.event == EXPOSURE and not counts_only,
    }
    return next((words for words, found in faults.items() if found), None)
