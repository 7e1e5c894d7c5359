"""From a unit's events to its value for each metric, and from values to sums; part of the one expression."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from promptops.telemetry.metrics import DAY_MS, EXPOSURE
from promptops.telemetry.pipeline import SLOTS, codes, number_of, real, row, whole_days

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis.expr.types as ir

    from promptops.telemetry.metrics import Metric
    from promptops.telemetry.pipeline import Window

Codes = dict[tuple[str, str], int]
_STEPWISE = frozenset({"first", "last", "slope", "carried", "satisfied"})


def metric_parts(seen: ir.Table, units: ir.Table, metrics: Sequence[Metric], window: Window) -> list[ir.Table]:
    """Return, for metric number i, the rows ``m<i>`` with its sums."""
    import ibis

    numbers = codes(metrics)
    near = _near(seen, units, metrics)
    wide = _wide(seen, units, metrics, numbers)
    parts = []
    for index, metric in enumerate(metrics):
        if metric.aggregate == "survival":
            parts.append(_survival(near, units, metric, window, numbers).mutate(part=ibis.literal(f"m{index}")))
        elif metric.aggregate in _STEPWISE:
            parts.append(_sums(_joined(wide, _stepwise(near, metric, index, numbers)), metric, window, index))
        else:
            parts.append(_sums(wide, metric, window, index))
    return parts


def _is(table: ir.Table, metric: Metric, numbers: Codes) -> Any:
    """Whether a row is an event of the metric; one whose label is missing is none."""
    return (table.what == number_of(metric, numbers)) & (table.gone == 0)


def _near(seen: ir.Table, units: ir.Table, metrics: Sequence[Metric]) -> ir.Table:
    """The events of counted units, with the time since the unit's first exposure, as far as any metric looks."""
    joined = seen.inner_join(units.select("unit", "t0"), "unit")
    kept = ("event_id", "unit", "session", "what", "value", "gone", "ts")
    near = joined.select(*kept, rel=joined.ts - joined.t0)
    before = max((metric.window_ms for metric in metrics if metric.covariate), default=0)
    survival = any(metric.aggregate == "survival" for metric in metrics)
    after = max(metric.closes_ms for metric in metrics)
    return near.filter(near.rel >= -before) if survival else near.filter(near.rel >= -before, near.rel < after)


def _inside(near: ir.Table, metric: Metric) -> Any:
    return (near.rel >= metric.opens_ms) & (near.rel < metric.closes_ms)


def _wide(seen: ir.Table, units: ir.Table, metrics: Sequence[Metric], numbers: Codes) -> ir.Table:
    """One row a unit, with a value (and a denominator, and a covariate) for each metric that needs no order.

    An aggregation comes last, because that makes DuckDB compute it once for all metrics.
    """
    joined = units.left_join(seen, "unit")
    mine = ("unit", "slot", "arm", "t0", "stage")
    near = joined.select(*mine, "session", "what", "value", "gone", rel=joined.ts - joined.t0)
    columns: dict[str, Any] = {}
    for index, metric in enumerate(metrics):
        inside = _is(near, metric, numbers) & _inside(near, metric)
        valued = inside & near.value.notnull()
        if metric.aggregate in {"mean", "sum", "ratio"}:
            columns[f"total{index}"] = near.value.sum(where=valued)
        if metric.aggregate == "ratio":
            columns[f"below{index}"] = _below(near, metric, valued, numbers)
        elif metric.aggregate == "mean":
            columns[f"count{index}"] = near.count(where=valued)
        elif metric.aggregate in {"count", "retention"}:
            columns[f"count{index}"] = near.count(where=inside)
        elif metric.aggregate == "any":
            columns[f"seen{index}"] = near.count(where=inside)
            columns[f"count{index}"] = near.count(where=inside & (near.value.isnull() | (near.value != 0)))
        if metric.covariate:
            earlier = (near.what == numbers["outcome", metric.covariate]) & (near.gone == 0)
            earlier &= near.value.notnull() & (near.rel < 0) & (near.rel >= -metric.window_ms)
            columns[f"before{index}"] = near.value.sum(where=earlier)
            columns[f"earlier{index}"] = near.count(where=earlier)
    own = {name: near[name].min() for name in mine[1:]}
    return near.group_by("unit").aggregate(**own, **columns)


def _below(near: ir.Table, metric: Metric, valued: Any, numbers: Codes) -> Any:
    """What a ratio counts below the line: sessions, turns, or 1 for a unit that has any."""
    import ibis

    inside = _inside(near, metric)
    counted = {
        "outcome": valued,
        "exposure": (near.what == numbers[EXPOSURE, ""]) & inside,
        "opportunity": (near.what == numbers.get(("opportunity", metric.event), -1)) & inside,
    }[metric.over]
    if metric.unit_of == "session":
        return near.session.nunique(where=counted)
    if metric.unit_of == "turn":
        return near.count(where=counted)
    return ibis.ifelse(near.count(where=counted) > 0, 1, 0)


def _stepwise(near: ir.Table, metric: Metric, index: int, numbers: Codes) -> ir.Table:
    """The value of a metric over each unit's steps in their order."""
    import ibis

    mine = near.filter(_is(near, metric, numbers), _inside(near, metric), near.value.notnull())
    step = mine.event_id if metric.unit_of == "turn" else mine.session.fill_null("")
    if metric.unit_of == "user":
        step = mine.unit
    mine = mine.mutate(step=step)
    steps = mine.group_by("unit", "step").aggregate(
        at=mine.ts.min(), y=(mine.value.sum() / mine.count().cast("float64")).cast("float64")
    )
    forth = ibis.window(group_by="unit", order_by=[steps.at.asc(), steps.step.asc()])
    back = ibis.window(group_by="unit", order_by=[steps.at.desc(), steps.step.desc()])
    placed = steps.select("unit", "y", i=ibis.row_number().over(forth), j=ibis.row_number().over(back))
    i, k = placed.i.cast("int64"), placed.count().cast("float64")
    first, last = placed.y.max(where=placed.i == 0), placed.y.max(where=placed.j == 0)
    if metric.aggregate == "slope":
        si, sii = i.sum().cast("float64"), (i * i).sum().cast("float64")
        sy, siy = placed.y.sum(), (i.cast("float64") * placed.y).sum()
        spread = k * sii - si * si
        y = ibis.ifelse(
            k >= 3.0, (k * siy - si * sy) / ibis.ifelse(spread > 0.0, spread, real(1)), ibis.null("float64")
        )
    elif metric.aggregate == "satisfied":
        y = placed.count(where=placed.y >= metric.threshold).cast("float64")
    else:
        y = {"first": first, "last": last, "carried": last - first}[metric.aggregate]
    return placed.group_by("unit").aggregate(**{f"step{index}": y})


def _joined(wide: ir.Table, values: ir.Table) -> ir.Table:
    return wide.left_join(values, "unit").drop("unit_right")


def _value(table: ir.Table, metric: Metric, index: int) -> Any:
    """The unit's value, null where it has none."""
    import ibis

    if metric.aggregate in _STEPWISE:
        return table[f"step{index}"]
    if metric.aggregate == "sum":
        return table[f"total{index}"]
    if metric.aggregate == "ratio":
        return ibis.ifelse(table[f"below{index}"] > 0, table[f"total{index}"].fill_null(real(0)), ibis.null("float64"))
    count = table[f"count{index}"].fill_null(0).cast("float64")
    if metric.aggregate == "retention":
        return ibis.ifelse(count > 0.0, real(1), real(0))
    some = table[f"seen{index}"].fill_null(0) if metric.aggregate == "any" else count
    if metric.aggregate == "mean":
        value = table[f"total{index}"] / ibis.ifelse(count > 0.0, count, real(1))
    elif metric.aggregate == "any":
        value = ibis.ifelse(count > 0.0, real(1), real(0))
    else:
        value = count
    return ibis.ifelse(some > 0, value, ibis.null("float64"))


def _sums(table: ir.Table, metric: Metric, window: Window, index: int) -> ir.Table:
    import ibis

    zero = real(0)
    y = _value(table, metric, index).cast("float64")
    d = table[f"below{index}"].fill_null(0).cast("float64") if metric.aggregate == "ratio" else zero
    x = zero
    if metric.covariate:
        earlier = table[f"earlier{index}"].fill_null(0).cast("float64")
        x = table[f"before{index}"].fill_null(real(0)) / ibis.ifelse(earlier > 0.0, earlier, real(1))
    if metric.missing == "zero":
        y = y.fill_null(real(0))
    plain = table.select("arm", "stage", "slot", "t0", y=y, d=d, x=x, day=whole_days(table.t0 + metric.matures_ms))
    kept = plain.filter(plain.y.notnull(), plain.day < window.closed)
    if window.holdback:
        since, weight = window.holdback
        lost = (kept.arm == "baseline") & (kept.slot < SLOTS - weight) & (kept.t0 + metric.matures_ms > since)
        kept = kept.filter(~lost.fill_null(False))
    sums = kept.group_by("day", "stage", "arm").aggregate(
        n=kept.count(),
        s=kept.y.sum(),
        ss=(kept.y * kept.y).sum(),
        d=kept.d.sum(),
        dd=(kept.d * kept.d).sum(),
        sd=(kept.y * kept.d).sum(),
        x=kept.x.sum(),
        xx=(kept.x * kept.x).sum(),
        sx=(kept.y * kept.x).sum(),
    )
    return row(sums, f"m{index}", **{name: sums[name] for name in sums.columns})


def _survival(near: ir.Table, units: ir.Table, metric: Metric, window: Window, numbers: Codes) -> ir.Table:
    """Units by arm, by the day after their first exposure on which they end, and by whether they left then.

    A unit leaves on the first day that a silence of more than the maturity follows; one that has not left is watched
    until the last day of which that can be known.
    """
    import ibis

    silence = max(1, math.ceil(metric.maturity_ms / DAY_MS))
    end = window.closed * DAY_MS
    mine = near.filter(_is(near, metric, numbers), near.rel >= 0, near.ts < end)
    first = units.filter(units.t0 < end).select("unit", d=ibis.literal(0).cast("int64"))
    days = ibis.union(mine.select("unit", d=whole_days(mine.rel)), first, distinct=True)
    following = days.select("unit", "d", after=days.d.lead().over(ibis.window(group_by="unit", order_by=days.d)))
    watched = following.inner_join(units.select("unit", "arm", "t0"), "unit")
    # The last whole day of which the silence after it is known.
    last = whole_days(end - watched.t0) - 1 - silence
    left = ibis.ifelse(watched.after.notnull(), watched.after - watched.d > silence, watched.d <= last)
    marked = watched.select("unit", "arm", last=last, gone=ibis.ifelse(left, watched.d, ibis.null("int64")))
    # Later returns do not call a unit back, and later silences are not known yet.
    ends = marked.group_by("unit", "arm").aggregate(last=marked["last"].max(), gone=marked.gone.min())
    ends = ends.filter(ends["last"] >= 0)
    left_in_time = (ends.gone <= ends["last"]).fill_null(False)
    placed = ends.select(
        "arm",
        day=ibis.ifelse(left_in_time, ends.gone, ends["last"]),
        e=ibis.ifelse(left_in_time, 1, 0),
    )
    counted = placed.group_by("day", "arm", "e").aggregate(n=placed.count())
    return row(counted, "", day=counted.day, arm=counted.arm, n=counted.n, e=counted.e)
