from __future__ import annotations

import json
from dataclasses import replace

import pytest
from evaluation.canaries import Bench, text_by
from inference.faults import FaultServer

from promptops.errors import InputError
from promptops.evaluation import feedback
from promptops.evaluation.suite import parse

PATH = "evals/data/thumbs.jsonl"


def lines(*entries):
    return "".join(
        json.dumps(dict(zip(("case", "version", "rating"), entry, strict=True))) + "\n" for entry in entries
    ).encode()


def test_share_and_response_rate_are_told_apart():
    said = feedback.read(
        lines(("a", "1.0.0", True), ("a", "1.0.0", None), ("b", "1.0.0", 5), ("b", "1.0.0", 3), ("a", "1.1.0", None)),
        PATH,
    )
    assert said.summaries() == {"1.0.0": (4, 3, pytest.approx(2 / 3), 0.75), "1.1.0": (1, 0, None, 0.0)}
    assert (said.score("a", "1.0.0"), said.score("b", "1.0.0"), said.score("a", "1.1.0"), said.score("c", "1.0.0")) == (
        1.0,
        0.5,
        None,
        None,
    )
    assert feedback.read(lines(("b", "1.0.0", 3)), PATH, positive=3).score("b", "1.0.0") == 1.0


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b'{"case": "a", "version": "1.0.0"}',
        b'{"case": "a", "version": 1, "rating": true}',
        b'{"case": "a", "version": "1", "rating": "good"}',
    ],
)
def test_a_line_that_is_none_is_pointed_at(line):
    with pytest.raises(InputError) as caught:
        feedback.read(lines(("a", "1", True)) + line, PATH)
    assert (caught.value.path, caught.value.line) == (PATH, 2)
    assert "one JSON object a line" in caught.value.hint


def suite(data):
    value = {
        "version": 1,
        "evaluators": {"thumbs": {"type": "feedback", "path": PATH}, "praise": {"type": "praise"}},
        "guardrails": [{"metric": "thumbs", "direction": "higher"}, {"metric": "praise", "direction": "lower"}],
        "cases": [{"id": f"t{n}", "input": f"Where is parcel {n}?"} for n in range(25)],
    }
    return replace(parse("voice", value), files={PATH: data} if data else {})


def panel(new, answered=25):
    """A panel that is pleased with half of the old version's replies, and with the share ``new`` of the new one's."""
    old = [(f"t{n}", "1.0.0", n % 2 == 0) for n in range(25)]
    return lines(*old, *((f"t{n}", "1.1.0", n < 25 * new if n < answered else None) for n in range(25)))


@pytest.mark.parametrize(
    ("data", "verdict"),
    [(panel(1.0), "pass"), (panel(0.0), "fail"), (panel(1.0, answered=15), "inconclusive")],
    ids=["better", "worse", "few"],
)
def test_feedback_gates_as_far_as_people_answered(registry, monkeypatch, data, verdict):
    bench = Bench(registry, monkeypatch)
    candidate = bench.configuration("Answer the ticket now.", version='"1.1.0"')
    with FaultServer(text_by(0.0)) as server:
        result = bench.serve(server) and bench.run(
            suites=[suite(data)], candidate=candidate, settings={"budget": {"requests": 600}}
        )
    row = next(row for row in result.guardrails if row["metric"] == "thumbs")
    assert row["verdict"] == verdict
    assert ("hold a readable score" in row["reason"]) == (verdict == "inconclusive")


def test_missing_feedback_is_an_error(registry, monkeypatch):
    with pytest.raises(InputError, match="no feedback for thumbs"):
        Bench(registry, monkeypatch).run(suites=[suite(b"")])


def test_the_command_reports_both(repo):
    repo.write(
        "thumbs.jsonl", lines(("a", "1.0.0", True), ("a", "1.0.0", False), ("a", "1.0.0", None), ("b", "2.0.0", None))
    )
    done = repo.cli("judge", "feedback", "thumbs.jsonl")
    assert done.out == "1.0.0: 50.0% pleased, 2 of 3 answered (66.7%)\n2.0.0: nobody answered, 0 of 1 answered (0.0%)\n"
    found = json.loads(repo.cli("judge", "feedback", "thumbs.jsonl", "--json").out)
    assert found["1.0.0"] == {"asked": 3, "answered": 2, "positive": 0.5, "response": pytest.approx(2 / 3)}
