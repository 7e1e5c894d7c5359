from __future__ import annotations

import json

import pytest
from evaluation.canaries import FLATTERY, HONEST, MODEL, SUITES, Bench, text_by
from inference.faults import Answer, FaultServer, completion

from promptops.errors import PromptopsError
from promptops.evaluation import drift, evaluators
from promptops.evaluation.suite import parse
from promptops.registry.project import Canary
from promptops.repo.source import WorktreeSource


@pytest.fixture
def bench(registry, monkeypatch):
    return Bench(registry, monkeypatch)


@pytest.fixture
def released(bench):
    """A release whose canary passed on an honest server."""
    with FaultServer(text_by(0.0)) as server:
        bench.serve(server)
        result = bench.run()
    assert result.verdict == "pass"
    return as_released(bench, result)


def as_released(bench, result, **changes):
    suites = [parse(name, value) for name, value in SUITES.items()]
    given = {
        "configuration": bench.configuration("Answer the ticket. Flatter."),
        "suites": suites,
        "digests": {suite.name: evaluators.digest(suite) for suite in suites},
        "baseline": result.baseline,
        "statistics": json.loads(json.dumps(result.evidence)),
    }
    return drift.Released(**{**given, **changes})


def ask(bench, released, script, *, folder=None, requests=1000):
    with FaultServer(script) as server:
        bench.serve(server)
        settings = Canary(minimum=40, budget={"requests": requests})
        found = drift.run(
            released,
            settings=settings,
            evidence_dir=str(folder or bench.evidence),
            code=WorktreeSource(str(bench.repo.root)).read,
        )
    return found, server


def test_the_same_behaviour_is_no_drift_and_is_found_pair_by_pair(bench, released):
    found, server = ask(bench, released, text_by(0.0))
    assert (found.used, found.result.verdict) == (drift.REPLIES, "pass")
    # Only the released configuration is asked, and never more than its canary asked.
    assert all("Flatter" in seen.body["messages"][0]["content"] for seen in server.requests)
    assert found.result.calls["requests"] == len(server.requests)


def test_a_model_that_flatters_now_is_drift_though_nothing_changed_in_git(bench, released):
    found, _ = ask(bench, released, text_by(0.8))
    assert (found.used, found.result.verdict) == (drift.REPLIES, "fail")
    assert found.result.candidate == found.result.baseline
    worst = found.result.examples[0]
    assert worst["baseline"].strip() == HONEST
    assert worst["candidate"].startswith(FLATTERY)


def test_another_model_behind_the_name_is_drift(bench, released):
    found, _ = ask(bench, released, text_by(0.0, model="gpt-4o-2025-04-25"))
    assert found.result.verdict == "fail"
    assert "model moved" in found.result.reasons[0]


def test_every_run_asks_anew_and_canary_attempts_stay_as_they_are(bench, released):
    _, first = ask(bench, released, text_by(0.0))
    second, again = ask(bench, released, text_by(0.0))
    assert len(again.requests) >= 40
    assert len(first.requests) >= 40
    assert second.result.attempts == 1
    with FaultServer(text_by(0.0)) as server:
        bench.serve(server)
        assert bench.run().attempts == 1


def test_without_replies_the_means_of_the_release_serve(bench, released, tmp_path):
    found, server = ask(bench, released, text_by(0.9), folder=tmp_path / "elsewhere")
    assert (found.used, found.result.verdict) == (drift.MEANS, "fail")
    row = next(row for row in found.result.guardrails if row["suite"] == "style")
    assert row["baseline"] == 0.0
    assert row["low"] > 0.15
    assert len(server.requests) < 200


def test_means_prove_less_and_end_without_a_verdict_when_more_replies_would_not_help(bench, released, tmp_path):
    def sometimes(number, _body):
        return Answer(body=completion(FLATTERY if number % 6 == 0 else HONEST, model=MODEL))

    found, server = ask(bench, released, sometimes, folder=tmp_path / "elsewhere", requests=5000)
    assert (found.used, found.result.verdict) == (drift.MEANS, "inconclusive")
    assert len(server.requests) < 1000
    assert found.result.reasons


def test_means_can_prove_that_nothing_drifted(bench, tmp_path):
    with FaultServer(text_by(0.0)) as server:
        bench.serve(server)
        result = bench.run(settings={"minimum": 150})
    released = as_released(bench, result)
    found, _ = ask(bench, released, text_by(0.0), folder=tmp_path / "elsewhere")
    assert (found.used, found.result.verdict) == (drift.MEANS, "pass")


def test_with_nothing_to_compare_with_there_is_no_result(bench, released, tmp_path):
    bare = as_released(bench, bench_result(bench), statistics=None, digests=None)
    with pytest.raises(PromptopsError, match="released without a canary") as caught:
        ask(bench, bare, text_by(0.0), folder=tmp_path / "elsewhere")
    assert caught.value.exit_code == 3


def bench_result(bench):
    with FaultServer(text_by(0.0)) as server:
        bench.serve(server)
        return bench.run()


def test_other_suites_than_those_that_judged_are_not_compared(bench, released, tmp_path):
    other = as_released(bench, bench_result(bench), digests={"style": "sha256:other"})
    with pytest.raises(PromptopsError, match="not those that judged"):
        ask(bench, other, text_by(0.0), folder=tmp_path / "elsewhere")
