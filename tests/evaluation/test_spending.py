"""What a canary costs over all of its runs, and what it says about that."""

from __future__ import annotations

import pytest
from evaluation.canaries import MODEL, Bench, text_by
from inference.faults import Answer, FaultServer, completion, error

from promptops.evaluation import report
from promptops.inference import client
from promptops.inference.retry import RetryPolicy as Policy


@pytest.fixture
def bench(registry, monkeypatch):
    # Failed calls are not worth waiting for here; the client's own tests look at its patience.
    monkeypatch.setattr(client, "RetryPolicy", lambda: Policy(attempts=2, base=0.0, cap=0.0))
    return Bench(registry, monkeypatch)


def honest(number, body):
    return text_by(0.0)(number, body)


def test_runs_that_lose_requests_stay_within_the_budget_together(bench):
    """Every third request of every run breaks after it was billed."""

    def flaky(number, body):
        answer = honest(number, body)
        return Answer(body=answer.body, cut_after=5) if number % 3 == 1 else answer

    bench.repo.write("models/gpt.yaml", bench.repo.read("models/gpt.yaml") + "price: {input: 1.0, output: 1.0}\n")
    told = []
    with FaultServer(flaky) as server:
        bench.serve(server)
        for requests in (40, 40, 60, 60):
            result = bench.run(settings={"budget": {"requests": requests}})
            told.append(result.calls)
            assert result.calls["requests"] == len(server.requests) == requests
    costs = [calls["cost"] for calls in told]
    assert 0 < costs[0] == costs[1] < costs[2] == costs[3]
    assert told[0]["tokens"] == told[1]["tokens"] < told[2]["tokens"]


def test_the_seconds_of_a_budget_are_not_given_again(bench):
    def slower_and_slower(number, body):
        return Answer(body=honest(number, body).body, delay=0 if number < 20 else 60)

    told = []
    with FaultServer(slower_and_slower) as server:
        bench.serve(server)
        for _ in range(3):
            result = bench.run(settings={"budget": {"requests": 400, "seconds": 1.5}})
            assert any("budget of seconds" in reason for reason in result.reasons)
            told.append((len(server.requests), result.calls["requests"], result.calls["seconds"]))
    assert told[0] == told[1] == told[2]
    assert told[0][0] <= told[0][1]


def test_an_endpoint_that_bills_too_much_is_named(bench):
    def greedy(number, body):
        return Answer(body=completion("Fine.", model=MODEL, usage=(3000, 2000)), delay=0.1)

    with FaultServer(greedy) as server:
        bench.serve(server)
        result = bench.run(settings={"budget": {"tokens": 6000}})
    assert result.calls["requests"] == 4
    assert result.reasons[-1] == (
        "the budget is exceeded by 14,000 tokens: the endpoint bills more than max_completion_tokens allows"
    )
    assert "beyond the budget: 14,000 tokens" in report.spent(result)


def test_faults_are_counted_and_told_over_all_runs(bench):
    def faulty(number, body):
        asked = body["messages"][-1]["content"]
        if asked.endswith(("parcel 3?", "parcel 3 arrive?")) and "Flatter" not in body["messages"][0]["content"]:
            return error(400, "filtered")
        return error(503, retry_after_ms="0") if number in (5, 25) else honest(number, body)

    with FaultServer(faulty) as server:
        bench.serve(server)
        first = bench.run(settings={"budget": {"requests": 20}})
        second = bench.run()
    assert first.calls["retried"] == {"server": 1}
    assert second.calls["retried"] == {"server": 2}
    assert second.calls["failed"].keys() == {"rejected"}
    assert second.calls["failed"]["rejected"] >= 2
    assert report.as_json(second)["calls"] == second.calls
    line = report.spent(second)
    assert "retried: 2 server" in line
    assert f"without a reply: {second.calls['failed']['rejected']} rejected" in line


def test_without_faults_nothing_is_said_about_them(bench):
    with FaultServer(honest) as server:
        bench.serve(server)
        result = bench.run()
    assert (result.calls["retried"], result.calls["failed"]) == ({}, {})
    assert "retried" not in report.spent(result)
    assert "without a reply" not in report.spent(result)
