from __future__ import annotations

import json
import random

import pytest
from evaluation.canaries import FACTS, FLATTERY, HONEST, MODEL, STYLE, SUITES, Bench, text_by
from inference.faults import Answer, FaultServer, completion, error

from promptops.errors import InputError, PromptopsError
from promptops.evaluation.gate_evidence import resume
from promptops.inference import client
from promptops.inference.retry import RetryPolicy as Policy
from promptops.repo.source import WorktreeSource


@pytest.fixture
def bench(registry, monkeypatch):
    # Failed calls are not worth waiting for here; the client's own tests look at its patience.
    monkeypatch.setattr(client, "RetryPolicy", lambda: Policy(attempts=2, base=0.0, cap=0.0))
    return Bench(registry, monkeypatch)


def test_an_honest_candidate_passes_and_the_verdict_can_be_derived_again(bench):
    with FaultServer(text_by(0.0)) as server:
        result = bench.serve(server) and bench.run()
    assert (result.verdict, result.reasons, result.examples) == ("pass", [], [])
    assert {(row["suite"], row["metric"], row["verdict"]) for row in result.guardrails} == {
        ("style", "praise", "pass"),
        ("facts", "expected", "pass"),
    }
    again = resume(json.loads(json.dumps(result.evidence))).verdict()
    assert (again.verdict, again.pairs) == ("pass", result.evidence["pairs"])
    assert result.models == [{"requested": MODEL, "reported": MODEL, "fingerprint": "fp-1"}]
    assert result.calls["requests"] == len(server.requests) == len(bench.journal())
    assert result.calls["tokens"] == 15 * len(server.requests)


def test_a_flattering_candidate_fails_and_the_worst_pair_shows_it(bench):
    with FaultServer(text_by(0.8)) as server:
        result = bench.serve(server) and bench.run()
    assert result.verdict == "fail"
    assert any("style/praise" in reason for reason in result.reasons)
    for row in result.guardrails:
        assert row["words"]["baseline"] == len(HONEST.split()) < row["words"]["candidate"]
    worst = result.examples[0]
    assert worst["candidate"].startswith(FLATTERY)
    assert worst["baseline"].strip() == HONEST
    assert worst["input"].startswith("Where is parcel")
    assert worst["metric"] == "style/praise"
    # It stopped long before the budget.
    assert len(server.requests) < 300


def test_both_arms_get_each_question_and_the_first_one_changes(bench):
    with FaultServer(text_by(0.0)) as server:
        bench.serve(server)
        result = bench.run()
    assert result.verdict == "pass"
    systems = [seen.body["messages"][0]["content"] for seen in server.requests[:80]]
    assert 16 < sum("Flatter" in text for text in systems) < 64
    first = {}
    for seen in server.requests:
        first.setdefault(seen.body["messages"][-1]["content"], "Flatter" in seen.body["messages"][0]["content"])
    assert 0.2 < sum(first.values()) / len(first) < 0.8
    # Of the questions that were under way at the end, one arm alone may have been asked; no pair was judged on it.
    asked = {"baseline": set(), "candidate": set()}
    for reply in bench.journal():
        arm, _, question = reply["key"].partition(" ")
        asked[arm].add(question)
    assert len(asked["baseline"] & asked["candidate"]) >= result.evidence["pairs"] >= 40


def test_evidence_does_not_depend_on_which_reply_comes_first(bench):
    results = []
    for number in (1, 2):
        generator, script = random.Random(number), text_by(0.35)

        def late(order, body, generator=generator, script=script):
            return Answer(body=script(order, body).body, delay=generator.random() * 0.03)

        with FaultServer(late) as server:
            bench.serve(server)
            results.append(bench.run(evidence_dir=str(bench.evidence / str(number))))
    assert results[0].evidence == results[1].evidence
    assert results[0].examples == results[1].examples


def test_another_previous_release_gives_another_order(bench):
    with FaultServer(text_by(0.35)) as server:
        bench.serve(server)
        one = bench.run(evidence_dir=str(bench.evidence / "1"), settings={"budget": {"requests": 80}})
        two = bench.run(
            evidence_dir=str(bench.evidence / "2"), settings={"budget": {"requests": 80}}, previous_release="cd" * 32
        )
    assert one.evidence["guardrails"] != two.evidence["guardrails"]


def test_the_budget_ends_it_inconclusive_and_a_larger_one_continues_without_paying_twice(bench):
    with FaultServer(text_by(0.0)) as server:
        bench.serve(server)
        first = bench.run(settings={"budget": {"requests": 60}})
        assert (first.verdict, len(server.requests)) == ("inconclusive", 60)
        assert any("budget of requests" in reason for reason in first.reasons)
        second = bench.run()
        total = len(server.requests)
        whole = bench.run(evidence_dir=str(bench.evidence / "other"))
    assert (second.verdict, second.attempts) == ("pass", 2)
    assert second.calls["requests"] == total == len(bench_keys(bench))
    assert second.evidence == whole.evidence


def bench_keys(bench):
    (path,) = bench.evidence.glob("[0-9a-f]*/replies.jsonl")
    keys = [json.loads(line)["key"] for line in path.read_text().splitlines()]
    assert len(keys) == len(set(keys))
    return keys


def test_the_end_of_its_time_is_no_fault_of_the_endpoint(bench):
    def slower_and_slower(number, body):
        return Answer(body=text_by(0.0)(number, body).body, delay=0 if number < 30 else 60)

    with FaultServer(slower_and_slower) as server:
        bench.serve(server)
        result = bench.run(settings={"budget": {"seconds": 1.5}})
    assert result.verdict == "inconclusive"
    assert any("budget of seconds" in reason for reason in result.reasons)
    assert not any("without a reply" in reason or "got a reply" in reason for reason in result.reasons)
    assert result.evidence["failures"] == {"baseline": 0, "candidate": 0, "both": 0}


def test_a_finished_verdict_is_returned_without_a_call_or_an_attempt(bench):
    with FaultServer(text_by(0.8)) as server:
        bench.serve(server)
        first = bench.run()
        asked = len(server.requests)
        again = bench.run()
    assert len(server.requests) == asked
    assert again == first
    assert again.attempts == 1


def test_a_result_of_another_layout_is_derived_again_from_the_replies(bench):
    with FaultServer(text_by(0.8)) as server:
        bench.serve(server)
        first = bench.run()
        (path,) = bench.evidence.glob("*/result.json")
        path.write_text(json.dumps({"final": True, "verdict": "pass"}))
        again = bench.run()
    # Calls that had been started before the verdict was found again are new, and no other is paid a second time.
    assert len(server.requests) == len(bench_keys(bench))
    assert (again.verdict, again.evidence) == (first.verdict, first.evidence)


def test_a_stricter_minimum_reopens_a_finished_verdict(bench):
    with FaultServer(text_by(0.0)) as server:
        bench.serve(server)
        assert bench.run(settings={"minimum": 20}).verdict == "pass"
        asked = len(server.requests)
        later = bench.run(settings={"minimum": 250})
    assert (later.verdict, later.evidence["pairs"]) == ("pass", 250)
    assert len(server.requests) > asked


def test_only_an_attempt_that_got_a_reply_is_counted(bench):
    for answers in ([error(401, "wrong key")], [error(500, "down")]):
        with FaultServer(answers) as server:
            bench.serve(server)
            with pytest.raises(PromptopsError):
                bench.run()
    with FaultServer(lambda number, body: text_by(0.0)(number, body) if number == 0 else error(401, "no")) as server:
        bench.serve(server)
        with pytest.raises(PromptopsError):
            bench.run()
    with FaultServer(text_by(0.0)) as server:
        bench.serve(server)
        result = bench.run()
    # The one that was interrupted after its first reply, and this one.
    assert (result.verdict, result.attempts) == ("pass", 2)


def test_trying_variants_is_counted(bench):
    with FaultServer(text_by(0.0)) as server:
        bench.serve(server)
        for number in range(3):
            result = bench.run(
                candidate=bench.configuration(f"Variant {number}"), settings={"budget": {"requests": 20}}
            )
    assert result.attempts == 3


def test_replies_of_another_model_fail_at_once(bench):
    with FaultServer(text_by(0.0, model="gpt-4o-2025-04-25")) as server:
        bench.serve(server)
        result = bench.run()
    assert result.verdict == "fail"
    assert result.reasons[0].startswith("model moved: the ")
    assert "gpt-4o-2025-04-25" in result.reasons[0]
    assert result.models[0]["reported"] == "gpt-4o-2025-04-25"
    assert len(server.requests) <= 128


def test_a_moved_model_is_no_lasting_verdict_on_the_candidate(bench):
    with FaultServer(text_by(0.0, model="other")) as server:
        bench.serve(server)
        assert bench.run().verdict == "fail"
    with FaultServer(text_by(0.0)) as server:
        bench.serve(server)
        result = bench.run()
    assert (result.verdict, result.attempts) == ("pass", 2)


def test_calls_without_a_reply_below_the_floor_are_no_verdict(bench):
    def flaky(number, body):
        return error(500, "overloaded") if number % 3 == 1 else text_by(0.0)(number, body)

    with FaultServer(flaky) as server:
        bench.serve(server)
        bench.monkeypatch.setattr(client, "RetryPolicy", lambda: Policy(attempts=1, base=0.0, cap=0.0))
        result = bench.run(settings={"budget": {"requests": 200}})
    assert result.verdict == "inconclusive"
    assert any("got a reply" in reason for reason in result.reasons)
    assert any("HTTP 500" in reason for reason in result.reasons)


def test_when_nothing_can_be_reached_there_is_no_result(bench):
    with FaultServer([error(500, "down")]) as server:
        bench.serve(server)
        with pytest.raises(PromptopsError, match="HTTP 500") as caught:
            bench.run()
    assert caught.value.exit_code == 3
    assert len(server.requests) < 200


def test_a_refused_key_is_no_result(bench):
    with FaultServer([error(401)]) as server:
        bench.serve(server)
        with pytest.raises(PromptopsError, match="API key") as caught:
            bench.run()
    assert caught.value.exit_code == 3


def test_silence_is_not_good_behaviour(bench):
    def silent(number, body):
        if "Flatter" in body["messages"][0]["content"]:
            return Answer(body=completion("", model=MODEL))
        return text_by(0.0)(number, body)

    with FaultServer(silent) as server:
        bench.serve(server)
        result = bench.run(settings={"budget": {"requests": 200}}, suites_by_name={"style": STYLE})
    assert result.verdict == "inconclusive"
    assert any("readable score" in reason for reason in result.reasons)


def test_a_first_release_is_held_to_absolute_limits(bench):
    with FaultServer(text_by(0.9)) as server:
        bench.serve(server)
        plain = bench.run(baseline=None, candidate=bench.configuration(), previous_release=None)
        flattering = bench.run(baseline=None, previous_release=None)
    assert (plain.verdict, plain.baseline) == ("pass", None)
    assert flattering.verdict == "fail"
    assert plain.guardrails[0]["baseline"] is None
    # One arm: one request for each question.
    assert plain.calls["requests"] <= plain.evidence["pairs"] + 64


def test_a_first_release_without_any_limit_cannot_be_judged(bench):
    rails = [{"metric": "praise", "direction": "lower", "margin": 0.1}]
    with pytest.raises(InputError, match="no guardrail has a limit"):
        bench.run(baseline=None, suites_by_name={"style": {**STYLE, "guardrails": rails}})


def record(bench, count, **variables):
    folder = bench.repo.root.parent / "traffic"
    folder.mkdir(exist_ok=True)
    lines = [
        json.dumps({"id": f"t{n}", "prompt": "reply", "variables": variables or {"ticket": f"Recorded {n}"}})
        for n in range(count)
    ]
    (folder / "a.jsonl").write_text("\n".join(lines))
    return {"path": "../traffic"}


def test_recorded_traffic_is_replayed_and_judged_by_what_holds_for_any_reply(bench):
    recorded = record(bench, 60)
    with FaultServer(text_by(0.8)) as server:
        bench.serve(server)
        result = bench.run(recorded=recorded)
    judged = {(row["suite"], row["metric"]) for row in result.guardrails}
    assert judged == {("style", "praise"), ("facts", "expected"), ("@traffic", "style/praise")}
    assert result.traffic.startswith("sha256:")
    assert any(seen.body["messages"][-1]["content"].startswith("Recorded") for seen in server.requests)


def test_later_traffic_does_not_change_a_started_comparison(bench):
    recorded = record(bench, 60)
    with FaultServer(text_by(0.0)) as server:
        bench.serve(server)
        first = bench.run(recorded=recorded, settings={"budget": {"requests": 60}})
        record(bench, 500)
        second = bench.run(recorded=recorded, share=0.5)
    assert second.traffic == first.traffic
    assert second.share == 0.05


def test_traffic_that_no_guardrail_looks_at_is_not_paid_for(bench):
    recorded = record(bench, 60)
    with FaultServer(text_by(0.0)) as server:
        bench.serve(server)
        result = bench.run(recorded=recorded, suites_by_name={"facts": FACTS})
    assert result.traffic is None
    assert not any(seen.body["messages"][-1]["content"].startswith("Recorded") for seen in server.requests)


def test_traffic_of_another_shape_stops_before_any_call(bench):
    recorded = record(bench, 60, question="old name")
    with FaultServer(text_by(0.0)) as server:
        bench.serve(server)
        with pytest.raises(PromptopsError, match="40 of 40 recorded requests do not fit"):
            bench.run(recorded=recorded)
    assert server.requests == []


def test_python_evaluators_run_for_trusted_suites_only(bench):
    import hashlib

    code = "def calm(case, reply):\n    return 0.0 if '!' in reply.text else 1.0\n"
    bench.repo.write("checks/tone.py", code)
    tone = {
        **STYLE,
        "evaluators": {
            "calm": {
                "type": "python",
                "callable": "checks.tone:calm",
                "sha256": hashlib.sha256(code.encode()).hexdigest(),
            }
        },
        "guardrails": [{"metric": "calm", "direction": "higher", "margin": 0.15}],
    }
    with FaultServer(text_by(0.9)) as server:
        bench.serve(server)
        with pytest.raises(PromptopsError, match="not allowed here"):
            bench.run(suites_by_name={"tone": tone})
        code = WorktreeSource(str(bench.repo.root)).read
        assert bench.run(suites_by_name={"tone": tone}, trusted=["tone"], code=code).verdict == "fail"


def test_progress_is_told(bench):
    seen = []
    with FaultServer(text_by(0.0)) as server:
        bench.serve(server)
        result = bench.run(progress=lambda *values: seen.append(values))
    pairs, requests, cost, rows, minimum = seen[-1]
    assert minimum == 40
    assert (pairs, cost) == (result.evidence["pairs"], 0.0)
    assert requests <= len(server.requests)
    assert {row["verdict"] for row in rows} == {"pass"}


def test_one_run_at_a_time_holds_the_evidence(bench):
    from promptops.inference.journal import Journal

    with FaultServer(text_by(0.0)) as server:
        bench.serve(server)
        bench.run(settings={"budget": {"requests": 20}})
        (path,) = bench.evidence.glob("*/replies.jsonl")
        with Journal(path), pytest.raises(PromptopsError, match="another run"):
            bench.run()


def test_suites_decided_early_are_not_asked_any_longer(bench):
    """Facts differ in every third case, so that style is decided long before."""

    def script(number, body):
        asked = body["messages"][-1]["content"]
        if "Flatter" in body["messages"][0]["content"] and asked.startswith("When") and int(asked.split()[3]) % 9 == 0:
            return Answer(body=completion("On Friday.", model=MODEL))
        return text_by(0.0)(number, body)

    with FaultServer(script) as server:
        bench.serve(server)
        result = bench.run(settings={"minimum": 10, "budget": {"requests": 500}}, suites_by_name=SUITES)
    rows = {row["suite"]: row for row in result.guardrails}
    assert rows["facts"]["n"] > rows["style"]["n"]
