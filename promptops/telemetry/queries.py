"""Metrics that are a query: the user's own SQL gives the outcomes, instead of recorded ones.

A query is part of the plan, so it is reviewed like one. It is read here once more: one SELECT, and nothing else. What
it may read is the engine's matter: DuckDB is closed to all but the events, other engines know what their user may.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import ibis.expr.types as ir

    from promptops.telemetry.metrics import Metric
    from promptops.telemetry.pipeline import Window

# What a query has to return: a keyed hash as events hold it, milliseconds since 1970 UTC, and a number.
COLUMNS = {"unit": "string", "ts": "int64", "value": "float64"}


def of(metrics: Sequence[Metric]) -> dict[str, str]:
    """Return the queries by the name of their metric.

    Raises:
        UsageError: one is no single SELECT.
    """
    found = {metric.name: metric.query for metric in metrics if metric.query is not None}
    for name, text in found.items():
        _check(name, text)
    return found


def _check(name: str, text: str) -> None:
    import sqlglot
    from sqlglot import exp

    try:
        statements = sqlglot.parse(text)
    except sqlglot.errors.SqlglotError as error:
        first = str(error).partition("\n")[0]
        raise UsageError(f"the query of {name} is no SQL: {first}", hint="SELECT unit, ts, value FROM ...") from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise UsageError(f"the query of {name} is no single SELECT", hint="SELECT unit, ts, value FROM ...")
    writing = (exp.DDL, exp.DML, exp.Command, exp.Into)
    if any(not isinstance(each, exp.Query) for each in statements[0].find_all(*writing)):
        raise UsageError(f"the query of {name} changes something", hint="SELECT unit, ts, value FROM ...")


def added(events: ir.Table, answers: Mapping[str, ir.Table], window: Window) -> ir.Table:
    """Return the events with the rows of queries as outcomes of their metric.

    Args:
        events: the recorded ones.
        answers: tables with `COLUMNS`, by the name of the metric.
        window: whose environment and prompt they get.
    """
    import ibis

    from promptops.telemetry import pipeline

    whole = pipeline.typed(events)
    for name, answer in sorted(answers.items()):
        rows = answer.select(**{column: answer[column].cast(kind) for column, kind in COLUMNS.items()})
        order = ibis.window(order_by=[rows.unit, rows.ts, rows.value])
        numbered = rows.mutate(place=ibis.row_number().over(order))
        known = {
            "v": ibis.literal(1),
            "type": ibis.literal("outcome"),
            "event_id": ibis.literal(f"{name}/") + numbered.place.cast("string"),
            "ts": numbered.ts,
            "env": ibis.literal(window.env),
            "prompt": ibis.literal(window.prompt),
            "unit": numbered.unit,
            "name": ibis.literal(name),
            "value": numbered.value,
        }
        columns = {key: known.get(key, ibis.null()).cast(kind) for key, kind in pipeline.COLUMNS.items()}
        whole = whole.union(numbered.select(**columns))
    return whole
