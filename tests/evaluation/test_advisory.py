"""Scores to look at, on which no verdict depends."""

from __future__ import annotations

import pytest
from evaluation.canaries import STYLE, Bench, text_by
from inference.faults import FaultServer

from promptops.evaluation import report

PANEL = {
    **STYLE,
    "evaluators": {
        "praise": {"type": "praise"},
        "opener": {"type": "praise_opener"},
        "dense": {"type": "praise_per_100_words"},
    },
}


@pytest.fixture
def judged(registry, monkeypatch):
    bench = Bench(registry, monkeypatch)
    with FaultServer(text_by(0.8)) as server:
        bench.serve(server)
        return bench.run(suites_by_name={"style": PANEL})


def test_they_are_shown_and_decide_nothing(judged):
    assert [row["metric"] for row in judged.guardrails] == ["praise"]
    rows = {row["metric"]: row for row in judged.advisory}
    assert rows.keys() == {"opener", "dense"}
    assert rows["opener"]["baseline"] == rows["dense"]["baseline"] == 0.0
    assert rows["opener"]["n"] == judged.evidence["pairs"]
    # Every reply that praises opens with it, and holds two phrases of praise in 18 words.
    assert rows["opener"]["candidate"] == judged.guardrails[0]["candidate"] > 0.4
    assert rows["dense"]["candidate"] == pytest.approx(rows["opener"]["candidate"], abs=0.01)
    shown = report.text(judged)
    assert "not judged: style/opener, baseline 0.000, candidate 0." in shown
    assert {row["metric"] for row in report.as_json(judged)["advisory"]} == {"opener", "dense"}
