from __future__ import annotations

import json

import pytest

from promptops.errors import InputError, UsageError
from promptops.registry import canonical
from promptops.telemetry.evidence import MOST_ROWS, Day, Evidence, Exposed, Quality, Series, Tenure
from promptops.telemetry.metrics import DAY_MS, Metric, check

FULL = Evidence(
    "0123456789ab",
    "sha256:" + "0" * 64,
    1_763_000_000_000,
    "duckdb 2.0.0",
    Quality(100, 1, 2, 3, 4, 5, 1_762_999_999_000),
    (Exposed(20_400, 0, 10, 11, 12),),
    {
        "thumbs": Series("mean", 7, (Day(20_400, 0, "canary", 2, 1.5, 1.25),)),
        "adjusted": Series("mean", 7, (Day(20_400, 0, "canary", 2, 1.5, 1.25, x=1.0, xx=2.0, sx=0.1),), adjusted=True),
        "flags": Series("ratio", 7, (Day(20_400, 1, "baseline", 2, 1.0, 1.0, 4.0, 8.0, 2.0),)),
        "stay": Series("survival", 7, tenure=(Tenure(0, "canary", 5, 1), Tenure(1, "canary", 4, 0))),
    },
)


def test_evidence_survives_its_document():
    text = canonical.dumps(FULL.document())
    read = Evidence.parse(canonical.loads(text))
    assert read == FULL
    assert read.digest == FULL.digest
    assert FULL._replace(watermark=FULL.watermark + 1).digest != FULL.digest


def change(path, value):
    document = json.loads(json.dumps(FULL.document()))
    *parents, last = path
    place = document
    for key in parents:
        place = place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["v"], 2),
        (["engine"], None),
        (["engine"], "x" * 1000),
        (["more"], 1),
        (["watermark"], -1),
        (["watermark"], True),
        (["quality", "rows"], 1.5),
        (["quality", "rows"], None),
        (["exposed"], {}),
        (["exposed"], [0] * (MOST_ROWS + 1)),
        (["exposed", 0, "canary"], 2**60),
        (["metrics"], []),
        (["metrics"], {str(number): 0 for number in range(1000)}),
        (["metrics", "thumbs", "kind"], "median"),
        (["metrics", "thumbs", "days", 0, "arm"], "third"),
        (["metrics", "thumbs", "days", 0, "n"], "2"),
        (["metrics", "thumbs", "days", 0, "s"], float("nan")),
        (["metrics", "thumbs", "days", 0, "ss"], float("inf")),
        (["metrics", "thumbs", "days", 0, "x"], 1.0),
        (["metrics", "flags", "days", 0, "sd"], None),
        (["metrics", "stay", "days", 0, "events"], None),
    ],
)
def test_what_is_no_evidence_is_refused(path, value):
    with pytest.raises(InputError, match="evidence"):
        Evidence.parse(change(path, value))


@pytest.mark.parametrize("value", [None, [], "text", 1])
def test_evidence_is_an_object(value):
    with pytest.raises(InputError, match="evidence"):
        Evidence.parse(value)


GOOD = Metric("thumbs", "thumbs", "mean")


@pytest.mark.parametrize(
    "metrics",
    [
        [],
        [GOOD, GOOD],
        [GOOD._replace(name="a'b")],
        [GOOD._replace(event="")],
        [GOOD._replace(aggregate="median")],
        [GOOD._replace(window_ms=0)],
        [GOOD._replace(maturity_ms=-1)],
        [GOOD._replace(day=1)],
        [GOOD._replace(aggregate="retention")],
        [GOOD._replace(aggregate="ratio", covariate="before")],
        [GOOD._replace(event="exposure")],
        [GOOD._replace(name=f"m{number}") for number in range(100)],
    ],
)
def test_metrics_that_cannot_be_computed_are_refused(metrics):
    with pytest.raises(UsageError, match="metric"):
        check(metrics)


def test_a_unit_never_counts_before_its_window_closes():
    assert GOOD._replace(maturity_ms=DAY_MS).matures_ms == 7 * DAY_MS
    assert GOOD._replace(maturity_ms=9 * DAY_MS).matures_ms == 9 * DAY_MS
    assert Metric("d1", "exposure", "retention", day=1, maturity_ms=0).matures_ms == 2 * DAY_MS
