from __future__ import annotations

import json
import os
import traceback

import databases
import eventing
import pytest
from eventing import ENV, HOLDBACK, METRICS, PROMPT, ROLLOUT, WATERMARK

from promptops.errors import PromptopsError
from promptops.telemetry.collecting import collect
from promptops.telemetry.evidence import Evidence
from promptops.telemetry.metrics import Metric
from promptops.telemetry.pipeline import COLUMNS
from promptops.telemetry.source import Engine, open_source


def agree(found, expected):
    """Counts to the unit, sums to 1e-12 of the size of what was added up."""
    assert [{**row, **dict.fromkeys(SUMS & row.keys())} for row in found] == [
        {**row, **dict.fromkeys(SUMS & row.keys())} for row in expected
    ]
    for one, other in zip(found, expected, strict=True):
        for name in SUMS & one.keys():
            assert one[name] == pytest.approx(other[name], rel=1e-12, abs=1e-12 * one["n"]), (one, other)


SUMS = {"s", "ss", "d", "dd", "sd", "x", "xx", "sx"}


def look(source, metrics=METRICS, **more):
    return collect(metrics, source, rollout=ROLLOUT, watermark=WATERMARK, prompt=PROMPT, env=ENV, **more)


def write(path, events):
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return str(path)


@pytest.fixture(scope="module")
def events():
    return eventing.fixture()


@pytest.fixture
def source(tmp_path, events):
    return open_source(write(tmp_path / "events.jsonl", events))


@pytest.mark.parametrize("holdback", [None, HOLDBACK])
def test_every_aggregate_is_what_plain_python_makes_of_the_same_events(source, events, holdback):
    evidence = look(source, holdback=holdback).document()
    quality, exposed, metrics = eventing.reference(events, METRICS, holdback)
    assert evidence["quality"] == quality
    assert all(quality[name] for name in quality)
    assert evidence["exposed"] == exposed
    for metric in METRICS:
        found, expected = evidence["metrics"][metric.name], metrics[metric.name]
        assert (found["kind"], found["latest"]) == (expected["kind"], expected["latest"])
        assert len(expected["days"]) > 10
        agree(found["days"], expected["days"])


def test_evidence_of_a_query_survives_its_document(source):
    evidence = look(source)
    assert Evidence.parse(json.loads(json.dumps(evidence.document()))) == evidence
    assert evidence.engine.startswith("duckdb ")


TYPES = {"int64": "BIGINT", "string": "TEXT", "float64": "DOUBLE PRECISION", "boolean": "BOOLEAN"}


@pytest.fixture(scope="module")
def server(events):
    folder = databases.programs()
    if folder is None:
        pytest.skip("PostgreSQL is not installed")
    import psycopg

    with databases.postgres(folder) as started, psycopg.connect(started.url()) as connection:
        columns = ", ".join(f"{name} {TYPES[kind]}" for name, kind in COLUMNS.items())
        connection.execute(f"CREATE SCHEMA telemetry CREATE TABLE spoken (note TEXT, {columns})")
        with connection.cursor().copy(f"COPY telemetry.spoken ({', '.join(COLUMNS)}) FROM STDIN") as copy:
            for event in events:
                copy.write_row([event.get(name) for name in COLUMNS])
        connection.commit()
        yield started


def same_everywhere(source, other):
    """Two engines agree: all counts, and all sums to 1e-12."""
    ours, theirs = look(source, holdback=HOLDBACK).document(), look(other, holdback=HOLDBACK).document()
    for name in ("quality", "exposed", "query", "rollout", "watermark"):
        assert ours[name] == theirs[name]
    assert ours["metrics"].keys() == theirs["metrics"].keys()
    for name, series in ours["metrics"].items():
        assert series["latest"] == theirs["metrics"][name]["latest"]
        agree(theirs["metrics"][name]["days"], series["days"])
    return theirs


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_postgresql_gives_the_same_statistics_of_one_metric_alone(source, server, metric):
    ours, theirs = (look(each, [metric]) for each in (source, open_source(server.url() + "#telemetry.spoken")))
    agree(theirs.document()["metrics"][metric.name]["days"], ours.document()["metrics"][metric.name]["days"])


def test_postgresql_gives_the_same_statistics(source, server):
    evidence = same_everywhere(source, open_source(server.url() + "#telemetry.spoken"))
    assert evidence["engine"].startswith("postgres 1")
    assert "horse" not in json.dumps(evidence)


@pytest.mark.parametrize(
    "address",
    ["postgres://tester:secret-word@127.0.0.1:{port}/postgres", "{url}#nowhere", "{url}#telemetry.nothing",
     "postgres://tester:secret-word@127.0.0.1:1/postgres", "postgres://tester@/x?password=secret-word&host=/nowhere"],
)  # fmt: skip
def test_an_engine_that_fails_is_one_error_without_its_password(server, address):
    spec = address.format(port=server.port, url=server.url())
    with pytest.raises(PromptopsError) as caught:
        look(open_source(spec))
    assert caught.value.exit_code == 3
    told = "".join(traceback.format_exception(caught.value))
    assert "secret-word" not in told
    assert "horse" not in told


def test_an_engine_that_is_no_engine_is_one_error():
    with pytest.raises(PromptopsError, match="no-such-engine"):
        look(open_source("no-such-engine://user:secret-word@host/x"))


SPARK = os.environ.get("PROMPTOPS_TEST_SPARK")


@pytest.mark.skipif(not SPARK, reason="PROMPTOPS_TEST_SPARK=1 with ibis-framework[pyspark] and Java: a minute or more")
def test_spark_gives_the_same_statistics(source, events, tmp_path):
    import ibis
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    session = builder.config("spark.sql.shuffle.partitions", "4").getOrCreate()
    try:
        kinds = {"int64": "BIGINT", "string": "STRING", "float64": "DOUBLE", "boolean": "BOOLEAN"}
        schema = ", ".join(f"{name} {kinds[kind]}" for name, kind in COLUMNS.items())
        session.read.schema(schema).json(source.paths).createOrReplaceTempView("events")
        evidence = same_everywhere(source, Engine.of(ibis.pyspark.connect(session)))
    finally:
        session.stop()
    assert evidence["engine"].startswith("pyspark ")


def asked(text, table="events"):
    return Metric("asked", "asked", "mean", query=text.format(table=table))


THUMBS = f"""SELECT min(unit) AS unit, min(ts) AS ts, min(value) AS value FROM {{table}}
WHERE v = 1 AND type = 'outcome' AND name = 'thumbs' AND missing IS NULL AND env = '{ENV}' AND prompt = '{PROMPT}'
GROUP BY event_id;"""


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "postgres"])
def test_a_query_counts_as_the_outcomes_that_it_returns(tmp_path, source, events, server, kind):
    table = "events"
    if kind == "parquet":
        import duckdb

        path = str(tmp_path / "events.parquet")
        duckdb.sql(f"COPY (FROM read_json('{source.paths[0]}', ignore_errors = true)) TO '{path}'")
        source = open_source(path)
    if kind == "postgres":
        table = "telemetry.spoken"
        source = open_source(server.url() + "#telemetry.spoken")
    metrics = look(source, [METRICS[0], asked(THUMBS, table)]).document()["metrics"]
    assert metrics["thumbs"]["days"]
    agree(metrics["asked"]["days"], metrics["thumbs"]["days"])
    assert metrics["asked"]["latest"] == metrics["thumbs"]["latest"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SELECT unit, ts FROM events", "value"),
        ("SELECT 1; SELECT 2", "no single SELECT"),
        ("DROP TABLE events", "no single SELECT"),
        ("SELECT unit, ts, value FROM events) ; COPY events TO '/tmp/x' ; SELECT * FROM (events", "no SQL"),
        ("WITH gone AS (DELETE FROM events RETURNING *) SELECT unit, ts, value FROM gone", "changes something"),
        ("SELECT unit, ts, value FROM", "no SQL"),
        ("SELECT content AS unit, 1 AS ts, 1 AS value FROM read_text('{file}')", "disabled"),
        ("SELECT 'u' AS unit, 'noon' AS ts, 1 AS value", "noon"),
    ],
)
def test_a_query_that_is_more_or_less_than_a_select_is_one_error(tmp_path, source, text, words):
    secret = tmp_path / "secret.txt"
    secret.write_text("horse")
    with pytest.raises(PromptopsError, match=words) as caught:
        look(source, [asked(text.replace("{file}", str(secret)))])
    assert "\n" not in caught.value.message
    assert "horse" not in caught.value.message
