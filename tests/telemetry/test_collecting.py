from __future__ import annotations

import json

import eventing
import pytest
from eventing import ENV, HOLDBACK, METRICS, PROMPT, ROLLOUT, WATERMARK

from promptops.telemetry.collecting import collect
from promptops.telemetry.evidence import Evidence
from promptops.telemetry.source import open_source


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
