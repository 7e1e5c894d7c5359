"""From events to evidence: one query, and what its rows mean."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, cast

from promptops.telemetry import metrics as definitions
from promptops.telemetry import pipeline, queries
from promptops.telemetry.evidence import Day, Evidence, Exposed, Quality, Series, Tenure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import ibis.expr.types as ir

    from promptops.telemetry.metrics import Metric
    from promptops.telemetry.source import Source

_ROW = ("day", "stage", "arm", "n", *pipeline.SUMS)


def collect(
    metrics: Sequence[Metric],
    source: Source,
    *,
    rollout: str,
    watermark: int,
    prompt: str,
    env: str,
    holdback: tuple[int, int] | None = None,
) -> Evidence:
    """Reduce the events of a rollout to what its decisions need.

    Args:
        metrics: at most 64, with names of their own.
        source: where the events are, from `promptops.telemetry.source.open_source`.
        rollout: id of the rollout.
        watermark: events up to here count, milliseconds since 1970 UTC; leave as much time before now as events take to
            arrive.
        prompt: what is rolled out.
        env: where.
        holdback: after promotion, (milliseconds since 1970 when the hold-back began, integer weight of the baseline
            since): baseline units that it no longer holds count only if they had matured by then.

    Returns:
        The evidence; the same events, metrics and watermark give the same numbers to the last digits on every engine.

    Raises:
        UsageError: a metric contradicts itself.
        PromptopsError: the engine cannot be reached, or fails.
    """
    definitions.check(metrics)
    window = pipeline.Window(rollout, prompt, env, watermark, holdback)
    asked = queries.of(metrics)

    def build(events: ir.Table, answers: Mapping[str, ir.Table]) -> ir.Table:
        return pipeline.expression(queries.added(events, answers, window) if answers else events, metrics, window)

    rows = source.rows(build, asked)
    parts: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        parts[row["part"]].append(row)
    numbers = pipeline.codes(metrics)
    latest = {int(row["e"]): int(row["n"]) for row in parts["latest"]}
    series = {
        metric.name: _series(metric, parts[f"m{index}"], latest.get(pipeline.number_of(metric, numbers), 0))
        for index, metric in enumerate(metrics)
    }
    exposed = _exposed(parts["exposed"])
    return Evidence(rollout, pipeline.digest(metrics), watermark, source.engine, _quality(parts), exposed, series)


def _quality(parts: Mapping[str, Sequence[dict[str, Any]]]) -> Quality:
    (counts,), (copies,), (crossed,) = parts["counts"], parts["copies"], parts["crossovers"]
    return Quality(
        rows=int(counts["n"]),
        duplicates=int(copies["n"]),
        crossovers=int(crossed["n"]),
        orphans=int(copies["e"]),
        invalid=int(counts["stage"]),
        skewed=int(counts["e"]),
        latest=int(counts["day"]),
    )


def _exposed(rows: Iterable[dict[str, Any]]) -> tuple[Exposed, ...]:
    found: dict[tuple[int, int], dict[str, int]] = defaultdict(dict)
    for row in rows:
        found[int(row["day"]), int(row["stage"])][row["arm"]] = int(row["n"])
    return tuple(Exposed(day, stage, **arms) for (day, stage), arms in sorted(found.items()))


def _series(metric: Metric, rows: Sequence[dict[str, Any]], latest: int) -> Series:
    kind = cast("Any", metric.kind)
    if kind == "survival":
        return Series(kind, latest, tenure=_tenures(rows))
    days = [Day(**{name: _plain(name, row[name]) for name in _ROW}) for row in rows]
    return Series(kind, latest, tuple(sorted(days)), adjusted=metric.covariate is not None)


def _plain(name: str, value: Any) -> Any:
    if name == "arm":
        return str(value)
    return float(value or 0.0) if name in pipeline.SUMS else int(value)


def _tenures(rows: Sequence[dict[str, Any]]) -> tuple[Tenure, ...]:
    """Turn numbers of units that end on a day into numbers at risk: those that end on it or later."""
    found: list[Tenure] = []
    for arm in sorted({row["arm"] for row in rows}):
        ends: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        for row in rows:
            if row["arm"] == arm:
                ends[int(row["day"])][int(row["e"])] += int(row["n"])
        at_risk = sum(map(sum, ends.values()))
        for day, (censored, events) in sorted(ends.items()):
            found.append(Tenure(day, arm, at_risk, events))
            at_risk -= censored + events
    return tuple(sorted(found))
