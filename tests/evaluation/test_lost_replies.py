"""A candidate whose calls are refused does not get away with it."""

from __future__ import annotations

import json

import pytest
from evaluation.canaries import STYLE, Bench, text_by
from inference.faults import FaultServer, error

from promptops.evaluation.gate_evidence import resume

STRICT = {**STYLE, "guardrails": [{"metric": "praise", "direction": "lower", "margin": 0.02, "limit": 0.05}]}
REFUSED = {"Where is parcel 4?", "Where is parcel 17?"}


@pytest.fixture
def bench(registry, monkeypatch):
    return Bench(registry, monkeypatch)


def refusing(marker):
    """A server that refuses two of 25 questions to the arm whose system prompt holds ``marker``."""

    def script(number, body):
        system, asked = (message["content"] for message in body["messages"])
        if asked in REFUSED and marker in system:
            return error(400, "filtered")
        return text_by(0.0)(number, body)

    return script


def judged(bench, script, **changes):
    with FaultServer(script) as server:
        bench.serve(server)
        given = {"suites_by_name": {"style": STRICT}, "settings": {"budget": {"requests": 800}}, **changes}
        return bench.run(**given)


def test_what_the_candidate_loses_is_held_against_it(bench):
    result = judged(bench, refusing("Flatter"))
    assert result.verdict == "inconclusive"
    assert any("that the candidate loses more is no chance" in reason for reason in result.reasons)
    assert any("rejected: mock" in reason or "filtered" in reason for reason in result.reasons)
    again = resume(json.loads(json.dumps(result.evidence))).verdict()
    assert (again.verdict, [row.verdict for row in again.rows]) == ("inconclusive", ["inconclusive"])
    assert 0.05 < result.guardrails[0]["candidate"] < 0.1


def test_what_both_arms_lose_is_not(bench):
    assert judged(bench, refusing("Answer")).verdict == "pass"


def test_a_first_release_that_loses_replies_is_held_to_its_limit(bench):
    result = judged(bench, refusing("Flatter"), baseline=None, previous_release=None)
    assert result.verdict == "inconclusive"
