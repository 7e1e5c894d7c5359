"""One expression for all metrics of a rollout: events in, sums per metric, closed day, stage and arm out.

The same expression runs on every engine, so it keeps to what all of them compute alike: integers for counts and days,
float64 from before the first division, no hashing, no medians, and an order wherever order matters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.registry import canonical
from promptops.telemetry.metrics import DAY_MS, EXPOSURE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis.expr.types as ir

    from promptops.telemetry.metrics import Metric

# Raised whenever the same events and metrics would give other numbers.
VERSION = 1
COLUMNS = {
    "v": "int64",
    "type": "string",
    "event_id": "string",
    "ts": "int64",
    "env": "string",
    "prompt": "string",
    "rollout": "string",
    "stage": "int64",
    "arm": "string",
    "slot": "int64",
    "reason": "string",
    "shadow": "boolean",
    "unit": "string",
    "session": "string",
    "name": "string",
    "value": "float64",
    "missing": "string",
}
SUMS = ("s", "ss", "d", "dd", "sd", "x", "xx", "sx")
SLOTS = 2**32
# A first exposure and its stage travel as one integer, below 2^53 until the year 2255, so that min() takes both.
_STAGES = 1000
_NEVER = 2**53 - 1
# Squares of larger values would not add up alike on all engines.
LARGEST = 1e12


class Window(NamedTuple):
    """Which events a look takes.

    Attributes:
        rollout: id of the rollout.
        prompt, env: what it rolls out, and where.
        watermark: events up to here count, and days that ended before it; milliseconds since 1970 UTC.
        holdback: once the hold-back began: (when, milliseconds; weight of the baseline arm since). Units that the
            baseline lost then have no outcome of one arm alone, and do not count unless they had matured.
    """

    rollout: str
    prompt: str
    env: str
    watermark: int
    holdback: tuple[int, int] | None = None

    @property
    def closed(self) -> int:
        """The first day that is not over, since 1970."""
        return self.watermark // DAY_MS


def digest(metrics: Sequence[Metric]) -> str:
    """Return ``sha256:<hex>`` of what is computed: the version of this module and the metrics."""
    return canonical.sha256({"pipeline": VERSION, "metrics": [metric.document() for metric in metrics]})


def expression(events: ir.Table, metrics: Sequence[Metric], window: Window) -> ir.Table:
    """Return the expression whose rows `promptops.telemetry.collecting` reads.

    Args:
        events: a table with `COLUMNS`; other columns are left alone.
        metrics: by their order, which names their rows ``m0``, ``m1`` and so on.
        window: which events count.
    """
    import ibis

    from promptops.telemetry import reductions

    # Each of these reads the events by itself: engines would keep all columns of a table that several parts share.
    counts = _counts(typed(events.view()), window)
    seen = _seen(_scope(typed(events.view()), window), metrics)
    spells = _spells(_scope(typed(events.view()), window), window)
    units = _units(spells)
    parts = [
        counts,
        _crossovers(spells),
        _exposed(units, spells, window),
        *_quality(seen, metrics),
        *reductions.metric_parts(seen, units, metrics, window),
    ]
    return ibis.union(*parts)


def typed(events: ir.Table) -> ir.Table:
    """Return the columns that count, in the types that every engine has."""
    return events.select(**{name: events[name].cast(kind) for name, kind in COLUMNS.items()})


def _mine(events: ir.Table, window: Window) -> Any:
    return _readable(events) & (events.env == window.env) & (events.prompt == window.prompt)


def _scope(events: ir.Table, window: Window) -> ir.Table:
    return events.filter(_mine(events, window) & (events.ts <= window.watermark))


def row(table: ir.Table, part: str, **columns: Any) -> ir.Table:
    """Return ``table`` in the columns that all parts of the result have."""
    import ibis

    whole = {name: columns.get(name, ibis.literal(0)).cast("int64") for name in ("day", "stage", "n", "e")}
    sums = {name: columns.get(name, real(0)).cast("float64") for name in SUMS}
    arm = columns.get("arm", ibis.literal("")).cast("string")
    return table.select(part=ibis.literal(part), arm=arm, **whole, **sums)


def real(number: int) -> Any:
    """Return a float64 literal that is one on every engine; PostgreSQL takes 0.0 for a numeric."""
    import ibis

    return ibis.literal(number).cast("float64")


def whole_days(milliseconds: Any) -> Any:
    """Return the whole days in a column of non-negative milliseconds; exact, as only multiples are divided."""
    return ((milliseconds - milliseconds % DAY_MS) // DAY_MS).cast("int64")


def _readable(events: ir.Table) -> Any:
    kinds = events.type.isin(["exposure", "outcome", "opportunity"])
    return (events.v == 1) & kinds & events.event_id.notnull() & events.ts.notnull()


def codes(metrics: Sequence[Metric]) -> dict[tuple[str, str], int]:
    """Return a number for every kind and name of event that the metrics use: engines group numbers faster than text."""
    names = {name for metric in metrics for name in (metric.event, metric.covariate) if name and name != EXPOSURE}
    asked = {metric.event for metric in metrics if metric.over == "opportunity"}
    used = [(EXPOSURE, ""), *(("outcome", name) for name in sorted(names))]
    return {key: number for number, key in enumerate([*used, *(("opportunity", name) for name in sorted(asked))])}


def number_of(metric: Metric, numbers: dict[tuple[str, str], int]) -> int:
    """Return the number of a metric's events."""
    return numbers[(EXPOSURE, "") if metric.event == EXPOSURE else ("outcome", metric.event)]


def _seen(scope: ir.Table, metrics: Sequence[Metric]) -> ir.Table:
    """Each event once; of copies that differ the least of each member, and `promptops telemetry check` tells."""
    import ibis

    branches = [
        ((scope.type == kind) if kind == EXPOSURE else (scope.type == kind) & (scope.name == name), number)
        for (kind, name), number in codes(metrics).items()
    ]
    coded = scope.mutate(what=ibis.cases(*branches, else_=-1))
    used = coded.filter(coded.unit.notnull() & (coded.what >= 0))
    value = ibis.ifelse(used.value.abs() <= LARGEST, used.value, ibis.null("float64"))
    return used.group_by("event_id").aggregate(
        what=used.what.min(),
        unit=used.unit.min(),
        session=used.session.min(),
        ts=used.ts.min(),
        value=value.min(),
        gone=ibis.ifelse(used.missing.isnull(), 0, 1).min(),
        copies=used.count(),
    )


def _spells(scope: ir.Table, window: Window) -> ir.Table:
    """Per unit: its first exposure to each arm (with its stage), and whether it saw both arms within one stage.

    Only exposures by slot count: a session that goes on with what it began with, while a ramp or a promotion moves its
    unit on, is as it should be.
    """
    import ibis

    shown = scope.filter(
        (scope.type == "exposure") & (scope.rollout == window.rollout),
        scope.unit.notnull() & (scope.reason == "SPLIT") & ~scope.shadow.fill_null(False),
    )
    shown = shown.mutate(stage=shown.stage.fill_null(0).clip(0, _STAGES - 1))
    arms = ("canary", "baseline", "stable")
    by_stage = shown.group_by("unit", "stage").aggregate(
        slot=shown.slot.min(), **{arm: shown.ts.min(where=shown.arm == arm) for arm in arms}
    )
    both = ibis.ifelse(by_stage.canary.notnull() & by_stage.baseline.notnull(), 1, 0)
    spells = by_stage.group_by("unit").aggregate(
        slot=by_stage.slot.min(),
        crossed=both.max(),
        **{arm: (by_stage[arm] * _STAGES + by_stage.stage).min() for arm in arms},
    )
    return spells.mutate(**{arm: spells[arm].fill_null(_NEVER) for arm in arms})


def _when(key: Any) -> Any:
    return ((key - key % _STAGES) // _STAGES).cast("int64")


def _units(spells: ir.Table) -> ir.Table:
    """The units that metrics count: arm, stage and time of the first exposure to canary or baseline."""
    import ibis

    kept = spells.filter((spells.crossed == 0) & ((spells.canary < _NEVER) | (spells.baseline < _NEVER)))
    key = ibis.ifelse(kept.canary < kept.baseline, kept.canary, kept.baseline)
    arm = ibis.ifelse(kept.canary < kept.baseline, "canary", "baseline")
    return kept.select("unit", "slot", arm=arm, t0=_when(key), stage=(key % _STAGES).cast("int64"))


def _exposed(units: ir.Table, spells: ir.Table, window: Window) -> ir.Table:
    import ibis

    stable = spells.filter(spells.stable < _NEVER)
    seen = {"stage": (stable.stable % _STAGES).cast("int64"), "day": whole_days(_when(stable.stable))}
    first = units.select("arm", "stage", day=whole_days(units.t0))
    first = first.union(stable.select(arm=ibis.literal("stable"), **seen))
    first = first.filter(first.day < window.closed)
    counted = first.group_by("day", "stage", "arm").aggregate(n=first.count())
    return row(counted, "exposed", day=counted.day, stage=counted.stage, arm=counted.arm, n=counted.n)


def _counts(events: ir.Table, window: Window) -> ir.Table:
    mine = _mine(events, window).fill_null(False)
    counted = events.aggregate(
        n=events.count(where=mine),
        e=events.count(where=mine & (events.ts > window.watermark + DAY_MS)),
        day=events.ts.max(where=mine & (events.ts <= window.watermark)),
        stage=events.count(where=~_readable(events).fill_null(False)),
    )
    return row(counted, "counts", **{name: counted[name].fill_null(0) for name in counted.columns})


def _crossovers(spells: ir.Table) -> ir.Table:
    counted = spells.aggregate(n=spells.crossed.sum())
    return row(counted, "crossovers", n=counted.n.fill_null(0))


def _quality(seen: ir.Table, metrics: Sequence[Metric]) -> list[ir.Table]:
    """Copies, and outcomes of units without exposure; then the latest event by number."""
    import ibis

    outcomes = [number for (kind, _), number in codes(metrics).items() if kind == "outcome"]
    by_unit = seen.group_by("unit").aggregate(
        first=seen.what.min(),
        outcomes=ibis.ifelse(seen.what.between(1, max(outcomes, default=0)), 1, 0).sum(),
        copies=(seen.copies - 1).sum(),
    )
    # An exposure has the number 0, the least.
    counted = by_unit.aggregate(n=by_unit.copies.sum(), e=by_unit.outcomes.sum(where=by_unit["first"] > 0))
    valid = seen.filter(seen.gone == 0)
    latest = valid.group_by("what").aggregate(n=valid.ts.max())
    return [
        row(counted, "copies", n=counted.n.fill_null(0), e=counted.e.fill_null(0)),
        row(latest, "latest", e=latest.what, n=latest.n),
    ]
