from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import aclosing
from dataclasses import replace

import pytest
from inference.faults import KEY, OK, Answer, FaultServer, completion, error
from support import TELL_INTERRUPT, interrupt_again, until_told

from promptops.errors import PromptopsError, UsageError
from promptops.evaluation.runner import in_order
from promptops.inference.budget import Budget
from promptops.inference.client import Client, complete
from promptops.inference.clock import Clock
from promptops.inference.journal import Journal
from promptops.inference.reply import Call, Failure, Reply
from promptops.inference.retry import RetryPolicy


class FakeTime:
    """A clock that sleeping moves and nothing else."""

    def __init__(self):
        self.seconds = 1000.0
        self.slept = []

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.seconds += seconds
        await asyncio.sleep(0)

    def clock(self):
        return Clock(now=lambda: self.seconds, wall=lambda: self.seconds, sleep=self.sleep)


def call(key="a", **request):
    return Call(
        str(key),
        {
            "model": "mock-1",
            "messages": [{"role": "user", "content": f"hi {key}"}],
            "max_completion_tokens": 10,
            **request,
        },
    )


class Calls:
    """Calls in their order."""

    def __init__(self, calls):
        self._calls = iter(calls)

    def take(self, count, live):
        return list(itertools.islice(self._calls, count)) if live else []


async def answers(client, calls):
    """Ask as a canary does: up to two windows of calls at a time, read in their order, until the budget is used up."""

    def live():
        return ["all"] if client.budget.exhausted is None else []

    async with aclosing(in_order(Calls(calls), client.reply, live)) as answered:
        async for _, result in answered:
            yield result


def collect(server, calls, *, endpoint=None, **options):
    """Run calls through a client on a fake clock and return what came back, the client and the time."""
    fake = FakeTime()
    options.setdefault("clock", fake.clock())

    async def run():
        async with Client(endpoint or server.endpoint(), **options) as client:
            return [result async for result in answers(client, calls)], client

    results, client = asyncio.run(run())
    return results, client, fake


def test_every_call_is_answered_once_and_says_what_the_endpoint_said():
    with FaultServer() as server:
        results, client, _ = collect(server, [call(i) for i in range(50)], price={"input": 1.0, "output": 2.0})
    assert sorted(result.key for result in results) == sorted(str(i) for i in range(50))
    assert {(r.text, r.model, r.fingerprint, r.finish_reason, r.attempts) for r in results} == {
        ("hello", "mock-1", "fp-1", "stop", 1)
    }
    assert results[0].cost == pytest.approx(20e-6)
    assert (client.stats.sent, client.stats.replied, client.stats.completion_tokens) == (50, 50, 250)
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.requests[0].body["max_completion_tokens"] == 10


def test_without_a_key_none_is_sent_even_when_the_environment_holds_one(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-somebody-elses")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-an-admins")
    with FaultServer() as server:
        collect(server, [call()], endpoint=server.endpoint(api_key=None))
    assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (error(429), "rate_limit"),
        (error(500), "server"),
        (error(503), "server"),
        (error(409), "server"),
        (error(408), "timeout"),
        (Answer(body=completion(), cut_after=0), "connection"),
        (Answer(body=completion(), cut_after=40), "connection"),
        (Answer(raw=b"220 mail.example ESMTP\r\n"), "connection"),
        (Answer(raw=b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n"), "connection"),
        (Answer(body=completion()[:60]), "malformed"),
        (Answer(body=b"<html>busy</html>", content_type="text/html"), "malformed"),
        (Answer(body=completion(), content_type="text/html"), "malformed"),
        (Answer(body=b'{"choices": []}'), "malformed"),
        (Answer(body=completion(None)), "malformed"),
        (Answer(body=completion(7)), "malformed"),
        (Answer(body=completion(None).replace(b'"stop"', b'{"a": 1}')), "malformed"),
        (Answer(body=b"[" * 100_000), "malformed"),
        (Answer(body=completion("x" * 4_000_000)), "malformed"),
    ],
)
def test_a_passing_fault_is_retried_and_counted(fault, kind):
    with FaultServer([fault, fault, OK]) as server:
        (reply,), client, _ = collect(server, [call()], max_body=2_000_000)
    assert isinstance(reply, Reply)
    assert reply.attempts == len(server.requests) == 3
    assert client.stats.retried == Counter({kind: 2})


def poisoned(fault):
    """Every request but the one that says "hi bad" is answered."""
    return lambda _, body: fault if body["messages"][0]["content"] == "hi bad" else OK


def test_a_lasting_fault_of_one_call_is_a_failure_after_its_attempts():
    with FaultServer(poisoned(error(500, "overheated\x1b[31m"))) as server:
        results, client, _ = collect(server, [call(), call("bad")], retry=RetryPolicy(attempts=3), concurrency=1)
    failure = results[1]
    assert (failure.kind, failure.attempts, len(server.requests)) == ("server", 3, 4)
    assert "overheated" in failure.message
    assert "\x1b" not in failure.message
    assert client.stats.failed == Counter({"server": 1})


def test_a_key_that_the_server_sends_back_is_in_no_reply_and_no_failure():
    answers = {
        "hi said": Answer(body=completion(f"You sent {KEY}", model=KEY)),
        "hi typed": Answer(body=b"{}", content_type=f"text/{KEY}"),
        "hi broken": error(500, f"Bearer {KEY}"),
    }
    with FaultServer(lambda _, body: answers[body["messages"][0]["content"]]) as server:
        calls = [call("said"), call("typed"), call("broken")]
        results, _, _ = collect(server, calls, retry=RetryPolicy(attempts=1), concurrency=1)
    assert (results[0].text, results[0].model) == ("You sent ***", "***")
    assert [result.kind for result in results[1:]] == ["malformed", "server"]
    assert KEY not in repr(results)


def test_an_answer_of_any_size_is_not_read_to_its_end():
    with FaultServer(poisoned(Answer(body=completion("x" * 300_000)))) as server:
        results, _, _ = collect(
            server, [call(), call("bad")], max_body=200_000, retry=RetryPolicy(attempts=1), concurrency=1
        )
    assert (results[1].kind, "larger than 200000 bytes" in results[1].message) == ("malformed", True)


def test_an_answer_that_does_not_come_is_a_timeout():
    async def run(endpoint):
        async with Client(
            endpoint, timeout=0.3, retry=RetryPolicy(attempts=2), clock=FakeTime().clock(), grace=0.0
        ) as client:
            with pytest.raises(PromptopsError, match=r"after 2 attempts: no answer within"):
                await client.reply(call())
            return client.stats

    with FaultServer([Answer(held=threading.Event())]) as server:
        stats = asyncio.run(run(server.endpoint()))
    assert (stats.retried, stats.failed) == (Counter({"timeout": 1}), Counter({"timeout": 1}))


def test_a_server_that_is_not_there_ends_the_run_unpaid():
    budget = Budget()
    with FaultServer() as server:
        endpoint = server.endpoint()
    with pytest.raises(PromptopsError, match="cannot connect") as caught:
        collect(None, [call(i) for i in range(1000)], endpoint=endpoint, budget=budget)
    assert endpoint.base_url in caught.value.hint
    assert budget.spent == (0, 0.0)
    assert budget.sent <= 4 * 6


def test_a_server_that_goes_away_ends_the_run_and_what_was_paid_arrives():
    got = []

    async def run(endpoint, clock):
        async with Client(endpoint, clock=clock, concurrency=8) as client:
            async for result in answers(client, [call(i) for i in range(1000)]):
                got.append(result)  # noqa: PERF401  what came before an error has to be kept

    with (
        FaultServer(lambda _, body: OK if int(body["messages"][0]["content"][3:]) < 20 else error(502)) as server,
        pytest.raises(PromptopsError, match="502"),
    ):
        asyncio.run(run(server.endpoint(), FakeTime().clock()))
    assert len([result for result in got if isinstance(result, Reply)]) == 20
    assert len(server.requests) < 300


@pytest.mark.parametrize("status", [400, 413, 422, 307])
def test_a_rejected_request_is_not_sent_again_and_the_others_go_on(status):
    def script(_, body):
        return error(status, f"bad {KEY}", location="/elsewhere") if body["messages"][0]["content"] == "hi 1" else OK

    with FaultServer(script) as server:
        results, _, _ = collect(server, [call(i) for i in range(5)])
    failures = [result for result in results if isinstance(result, Failure)]
    assert [(failure.key, failure.kind, failure.attempts) for failure in failures] == [("1", "rejected", 1)]
    assert len(server.requests) == 5
    assert KEY not in failures[0].message


@pytest.mark.parametrize("before", range(280, 300))
def test_a_shortened_message_shows_no_part_of_the_key(before):
    fault = error(400, "x" * before + KEY + "x" * 500)
    with FaultServer(poisoned(fault)) as server:
        results, _, _ = collect(server, [call("bad")])
    assert "xxx" in results[0].message
    assert KEY[:4] not in results[0].message


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (error(401, f"Incorrect API key provided: {KEY}"), "MOCK_KEY"),
        (error(403, f"not for {KEY}"), "MOCK_KEY"),
        (error(404, "no such model"), "id in the model file"),
        (error(429, "pay first", code="insufficient_quota"), "credit"),
    ],
)
def test_an_answer_that_no_call_can_change_ends_the_run_without_showing_the_key(fault, word):
    with FaultServer([fault]) as server, pytest.raises(PromptopsError) as caught:
        collect(server, [call(i) for i in range(1000)])
    assert word in f"{caught.value.message} {caught.value.hint}"
    assert KEY not in f"{caught.value.message} {caught.value.hint} {caught.value!r}"
    assert len(server.requests) <= 8


def test_replies_paid_before_the_run_is_ended_are_kept(tmp_path):
    def script(_, body):
        return error(401) if body["messages"][0]["content"] == "hi 1" else Answer(body=completion(), delay=0.1)

    with FaultServer(script) as server, Journal(tmp_path / "journal") as journal:
        with pytest.raises(PromptopsError, match="key"):
            collect(server, [call(i) for i in range(100)], journal=journal)
        assert len(list(journal.replies())) == len(server.requests) - 1 > 0


def test_an_ended_run_waits_for_nothing_and_sends_nothing_more():
    def script(_, body):
        return error(401) if body["messages"][0]["content"] == "hi 1" else error(503, retry_after="100")

    async def run(endpoint):
        async with Client(endpoint) as client:
            asked = [client.reply(call(i)) for i in range(100)]
            return await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 50)

    with FaultServer(script) as server:
        results = asyncio.run(run(server.endpoint()))
    assert {str(result) for result in results} == {str(results[0])}
    assert isinstance(results[0], PromptopsError)
    assert len(server.requests) <= 4


def held_until(server, under_way, answer=OK):
    """An answer held until so many are under way; the server is that of the script which returns it."""
    if server.requests[-1].under_way == under_way:
        server.full.set()
    return replace(answer, held=server.full)


def test_everybody_who_waits_gets_a_place_as_places_grow():
    def script(number, _):
        return OK if number < 12 else held_until(server, 16)

    with FaultServer(script) as server:

        async def run():
            async with Client(server.endpoint(), concurrency=16) as client:
                return await asyncio.gather(*(client.reply(call(i)) for i in range(100)))

        results = asyncio.run(run())
    assert server.peak == 16
    assert all(isinstance(result, Reply) for result in results)


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"retry_after": "17"}, 17, 18),
        ({"retry_after_ms": "2500"}, 2.5, 3.5),
        ({"retry_after": "Thu, 01 Jan 1970 00:17:30 GMT"}, 50, 51),
        ({"retry_after": "86400"}, 120, 121),
        ({"retry_after": "soon"}, 0, 1),
    ],
)
def test_the_time_that_the_server_names_is_waited_for_up_to_a_cap(headers, least, most):
    with FaultServer([error(429, **headers), OK]) as server:
        (reply,), _, fake = collect(server, [call()])
    assert reply.attempts == 2
    assert least <= sum(fake.slept) <= most


def test_a_named_time_holds_everybody_back():
    fake, refused, over = FakeTime(), threading.Event(), threading.Event()
    sent = []

    async def sleep(seconds):
        """Time stands still until somebody waits beside the call that was refused."""
        fake.slept.append(seconds)
        refused.set()
        if len(fake.slept) == 2:
            fake.seconds += 61
            over.set()
        while not over.is_set():  # noqa: ASYNC110  set in another thread too
            await asyncio.sleep(0.001)

    def script(number, _):
        sent.append(fake.seconds)
        if number == 0:
            return error(429, retry_after="60")
        if number > 3:
            over.set()
        return Answer(body=completion(), held=refused)

    with FaultServer(script) as server:
        collect(server, [call(i) for i in range(12)], clock=Clock(fake.clock().now, fake.clock().wall, sleep))
    assert len(sent) == 13
    assert all(at >= 1060 for at in sent[4:])


def test_waits_grow_and_stay_below_their_cap():
    with FaultServer([*[error(500)] * 11, OK]) as server:
        _, _, fake = collect(server, [call()], retry=RetryPolicy(attempts=12, base=1, cap=8))
    bounds = [min(8, 2**i) for i in range(11)]
    assert len(fake.slept) == 11
    assert all(0 <= slept <= bound for slept, bound in zip(fake.slept, bounds, strict=True))
    assert len(set(fake.slept)) > 5


def test_requests_are_spread_over_the_minute():
    sent = []
    fake = FakeTime()

    def script(_, __):
        sent.append(fake.seconds)
        return OK

    with FaultServer(script) as server:
        collect(server, [call(i) for i in range(30)], limits={"requests_per_minute": 60}, clock=fake.clock())
    assert fake.seconds >= 1029


def test_concurrency_grows_to_its_bound_and_no_further():
    first = threading.Event()

    def script(number, _):
        if number == 3:
            first.set()
        return Answer(body=completion(), held=first) if number < 5 else held_until(server, 9)

    with FaultServer(script) as server:
        _, client, _ = collect(server, [call(i) for i in range(200)], limits={"concurrency": 9})
    assert server.peak == client.stats.peak == 9
    # Four places and one more for every answer, of which the n-th request has seen n - under_way + 1.
    assert all(seen.under_way <= (number + 5) / 2 for number, seen in enumerate(server.requests))


def test_concurrency_halves_when_the_server_is_overloaded():
    def script(number, _):
        if number < 28:
            return OK
        return held_until(server, 32, error(429, retry_after="0")) if number < 60 else OK

    clock = FakeTime().clock()._replace(now=time.monotonic)
    with FaultServer(script) as server:
        _, client, _ = collect(server, [call(i) for i in range(60)], concurrency=32, clock=clock)
    assert server.peak == 32
    assert client.stats.retried["rate_limit"] == 32
    # Once for all 32, and since then 32 answers added about one place.
    assert 16 <= client._window.size < 18


@pytest.mark.parametrize(
    ("budget", "limit"),
    [
        ({"requests": 23}, "requests"),
        ({"tokens": 4000}, "tokens"),
        ({"usd": 0.004}, "usd"),
    ],
)
def test_no_budget_is_exceeded_under_concurrency_and_faults(budget, limit):
    billed = Counter()

    def script(number, body):
        if number % 5 == 1:
            return error(429)
        # Whatever was not refused may be billed in full: the prompt by its bytes, the answer by its limit.
        billed["tokens"] += len(body["messages"][0]["content"]) + 10
        if number % 5 == 2:
            return Answer(body=completion(), cut_after=10, delay=0.01)
        return Answer(body=completion(usage=(len(body["messages"][0]["content"]), 10)), delay=0.01)

    with FaultServer(script) as server:
        results, client, _ = collect(
            server,
            (call(i) for i in range(10_000)),
            budget=Budget(**budget),
            price={"input": 1, "output": 1, "per_tokens": 1000_000},
        )
    assert client.budget.exhausted == limit
    assert len(server.requests) <= budget.get("requests", 10_000)
    assert billed["tokens"] <= client.budget.spent.tokens <= budget.get("tokens", 10_000)
    assert client.budget.spent.cost <= budget.get("usd", 1) * (1 + 1e-9)
    assert len([result for result in results if isinstance(result, Reply)]) > 5
    assert {result.kind for result in results if isinstance(result, Failure)} <= {"budget", "rate_limit", "connection"}


@pytest.mark.parametrize("budget", [{"tokens": 5000}, {"usd": 0.005}])
def test_no_budget_is_exceeded_when_every_answer_is_as_long_as_it_can_be(budget):
    def script(_, body):
        size = len(json.dumps(body, separators=(",", ":")))
        return Answer(body=completion(usage=(size, 10)), delay=0.02)

    with FaultServer(script) as server:
        _, client, _ = collect(
            server, (call(i) for i in range(10_000)), budget=Budget(**budget), price={"input": 1, "output": 1}
        )
    assert 4500 < client.budget.spent.tokens <= 5000
    assert client.budget.exhausted in budget


def test_a_budget_is_used_up_although_worst_cases_overlap():
    with FaultServer([Answer(body=completion(usage=(1, 1)), delay=0.01)]) as server:
        results, client, _ = collect(server, (call(i) for i in range(1000)), budget=Budget(tokens=600))
    assert client.budget.exhausted == "tokens"
    # Each may use about 110 tokens and uses 2: the run goes on until the next worst case does not fit.
    assert len([result for result in results if isinstance(result, Reply)]) > 200


def test_attempts_that_may_have_been_billed_stay_spent():
    with FaultServer([Answer(body=completion(), cut_after=5)]) as server:
        (failure,), client, _ = collect(server, [call()], budget=Budget(tokens=250), retry=RetryPolicy(attempts=9))
    assert (failure.kind, client.budget.exhausted) == ("budget", "tokens")
    assert len(server.requests) == failure.attempts == 2


def test_time_is_a_budget_too():
    with FaultServer([error(429, retry_after="30")]) as server:
        fake = FakeTime()
        budget = Budget(seconds=100, now=fake.clock().now)
        (failure,), client, _ = collect(
            server, [call()], budget=budget, retry=RetryPolicy(attempts=9), clock=fake.clock()
        )
    assert client.budget.exhausted == "seconds"
    assert failure.kind == "budget"
    assert len(server.requests) == 4
    assert fake.seconds <= 1100


def test_a_call_under_way_at_the_deadline_is_given_up():
    clients = []

    def now():
        """A tenth of a second is left when the call is sent, and nothing afterwards."""
        return 1000.0 if not clients or not clients[0].stats.sent else 1001.0

    async def run(endpoint):
        clock = FakeTime().clock()._replace(now=now)
        async with Client(endpoint, budget=Budget(seconds=0.1, now=now), clock=clock) as client:
            clients.append(client)
            return await client.reply(call())

    with FaultServer([Answer(held=threading.Event())]) as server:
        failure = asyncio.run(run(server.endpoint()))
    assert (failure.attempts, clients[0].budget.exhausted) == (1, "seconds")


def test_missing_usage_counts_as_the_most_it_can_be():
    with FaultServer([Answer(body=completion(usage=None))]) as server:
        (reply,), client, _ = collect(server, [call()], budget=Budget(tokens=1000))
    sent = len(json.dumps(server.requests[0].body, separators=(",", ":")))
    assert (reply.prompt_tokens, reply.completion_tokens) == (sent, 10)
    assert client.budget.spent.tokens == sent + 10


def test_a_budget_without_a_bound_on_answers_is_refused_before_anything_is_sent():
    unbounded = call(max_completion_tokens=None)
    with FaultServer() as server, pytest.raises(UsageError, match="length of an answer") as caught:
        collect(server, [unbounded], budget=Budget(tokens=1000))
    assert "max_completion_tokens" in caught.value.hint
    assert server.requests == []


def test_tool_calls_refusals_and_silence_are_replies():
    wanted = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    bodies = {
        "tools": completion(None, tool_calls=wanted),
        "refusal": completion(None, refusal="I cannot do that."),
        "silence": completion(None).replace(b'"stop"', b'"length"'),
        "surrogate": completion("a\ud800b"),
    }
    with FaultServer(lambda _, body: Answer(body=bodies[body["messages"][0]["content"][3:]])) as server:
        results, _, _ = collect(server, [call(key) for key in bodies])
    by_key = {result.key: result for result in results}
    assert (by_key["tools"].text, by_key["tools"].tool_calls) == ("", wanted)
    assert by_key["refusal"].text == "I cannot do that."
    assert (by_key["silence"].text, by_key["silence"].finish_reason) == ("", "length")
    assert by_key["surrogate"].text == "a\ufffdb"


def test_the_reported_model_is_the_endpoints_word():
    with FaultServer([Answer(body=completion(model="mock-1-turbo"))]) as server:
        (reply,), _, _ = collect(server, [call()])
    assert reply.model == "mock-1-turbo"


def test_a_journaled_reply_is_not_paid_again(tmp_path):
    with FaultServer() as server:
        with Journal(tmp_path / "journal") as journal:
            first, _, _ = collect(server, [call(i) for i in range(5)], journal=journal)
        with Journal(tmp_path / "journal") as journal:
            second, client, _ = collect(server, [call(i) for i in range(8)], journal=journal, budget=Budget(requests=7))
    assert sorted(first, key=str)[:5] == sorted((r for r in second if r.key < "5"), key=str)
    assert (len(second), client.stats.replied) == (8, 2)
    # The budget is that of the whole run: two of three further calls were left.
    assert (len(server.requests), client.budget.exhausted) == (7, "requests")


def test_a_journal_that_cannot_be_written_ends_the_run_and_the_replies_still_arrive(tmp_path, monkeypatch):
    got = []

    async def run(endpoint, journal):
        async with Client(endpoint, journal=journal) as client:
            async for result in answers(client, [call(i) for i in range(100)]):
                got.append(result)  # noqa: PERF401  what came before an error has to be kept

    def full(_):
        raise PromptopsError("cannot write the journal: no space left on device")

    with FaultServer() as server, Journal(tmp_path / "journal") as journal:
        monkeypatch.setattr(journal, "add", full)
        with pytest.raises(PromptopsError, match="no space"):
            asyncio.run(run(server.endpoint(), journal))
    assert len(got) == len(server.requests) > 0


def test_calls_under_way_are_journaled_when_the_consumer_stops(tmp_path):
    async def run(endpoint, journal):
        async with (
            Client(endpoint, journal=journal, concurrency=4) as client,
            aclosing(answers(client, (call(i) for i in range(100)))) as answered,
        ):
            await anext(answered)

    with FaultServer([Answer(body=completion(), delay=0.05)]) as server, Journal(tmp_path / "journal") as journal:
        asyncio.run(run(server.endpoint(), journal))
        assert len(list(journal.replies())) == len(server.requests)
    assert 4 <= len(server.requests) < 64


PROGRAM = f"""{TELL_INTERRUPT}
import itertools, sys
from promptops.evaluation.runner import in_order
from promptops.inference.client import Client
from promptops.inference.endpoint import Endpoint
from promptops.inference.journal import Journal
from promptops.inference.reply import Call

class Calls:
    left = iter(range(20))

    def take(self, count, live):
        return [Call(str(i), {{"model": "m", "messages": [], "max_tokens": 5}}) for i in itertools.islice(self.left, count)]

async def run(url, path, grace):
    with Journal(path) as journal:
        async with Client(Endpoint(url, None, "mock"), journal=journal, concurrency=4, grace=grace) as client:
            async for _, reply in in_order(Calls(), client.reply, lambda: ["all"]):
                print(reply.key, flush=True)

asyncio.run(run(sys.argv[1], sys.argv[2], float(sys.argv[3])))
"""


def started(server, path, grace=60, program=PROGRAM):
    return subprocess.Popen(
        [sys.executable, "-c", program, server.url, str(path), str(grace)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.01)


def test_ctrl_c_keeps_what_is_under_way_and_a_resumed_run_does_not_pay_for_it(tmp_path):
    answers = threading.Event()

    def script(number, _):
        return OK if number < 8 else Answer(body=completion(), held=answers)

    with FaultServer(script) as server:
        process = started(server, tmp_path / "journal")
        until(lambda: len(server.requests) == 12)
        process.send_signal(signal.SIGINT)
        until_told(process)
        assert process.poll() is None, "it waits for what is under way"
        answers.set()
        process.communicate(timeout=120)
        assert process.returncode != 0
        assert len(server.requests) == 12, "nothing was sent after Ctrl-C"
        again = started(server, tmp_path / "journal")
        out, err = again.communicate(timeout=120)
        assert again.returncode == 0, err
    assert sorted(map(int, out.split())) == list(range(20))
    assert len(server.requests) == 20


def test_a_further_ctrl_c_stops_without_the_grace(tmp_path):
    def script(number, _):
        return OK if number < 8 else Answer(body=completion(), held=threading.Event())

    with FaultServer(script) as server:
        process = started(server, tmp_path / "journal", grace=600)
        until(lambda: len(server.requests) == 12)
        process.send_signal(signal.SIGINT)
        until_told(process)
        # As often as an impatient person would.
        for _ in range(60):
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(2)
                break
        process.communicate(timeout=10)
    with Journal(tmp_path / "journal") as journal:
        assert len(list(journal.replies())) == 8


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_a_further_ctrl_c_that_comes_before_the_first_took_effect_stops_without_the_grace(tmp_path, turn):
    def script(number, _):
        return OK if number < 8 else Answer(body=completion(), held=threading.Event())

    with FaultServer(script) as server:
        process = started(server, tmp_path / "journal", grace=600, program=interrupt_again(turn) + PROGRAM)
        until(lambda: len(server.requests) == 12)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
    assert process.returncode != 0
    with Journal(tmp_path / "journal") as journal:
        assert len(list(journal.replies())) == 8


def test_kill_9_leaves_a_journal_that_resumes(tmp_path):
    answers = threading.Event()

    def script(number, _):
        return OK if number < 8 else Answer(body=completion(), held=answers)

    with FaultServer(script) as server:
        process = started(server, tmp_path / "journal")
        # All four places are taken, so that no further request is on its way when the kill comes.
        until(lambda: len(server.requests) == 12)
        process.kill()
        process.communicate(timeout=120)
        with Journal(tmp_path / "journal") as journal:
            assert len(list(journal.replies())) == 8
        answers.set()
        again = started(server, tmp_path / "journal")
        _, err = again.communicate(timeout=120)
        assert again.returncode == 0, err
    assert len(server.requests) == 12 + 20 - 8


def test_ctrl_c_waits_for_nothing_where_no_reply_is_kept():
    program = (
        "import sys; from promptops.inference.client import complete; from promptops.inference.endpoint import Endpoint\n"
        "from promptops.inference.reply import Call\n"
        'complete(Endpoint(sys.argv[1], None, "mock"), Call("a", {"model": "m", "messages": [], "max_tokens": 5}))'
    )
    with FaultServer([Answer(held=threading.Event())]) as server:
        process = subprocess.Popen([sys.executable, "-c", program, server.url], stderr=subprocess.PIPE)
        until(lambda: server.requests)
        process.send_signal(signal.SIGINT)
        # Less than the grace that a run with a journal gives.
        process.communicate(timeout=25)
    assert process.returncode != 0


def test_one_call_without_an_event_loop():
    with FaultServer([error(429, retry_after="0"), OK]) as server:
        assert complete(server.endpoint(), call()).text == "hello"
    with FaultServer([error(400, "temperature is too hot")]) as server, pytest.raises(PromptopsError, match="too hot"):
        complete(server.endpoint(), call())


@pytest.mark.model
def test_the_embedded_model_answers(embedded):
    results, client, _ = collect(
        None, [call(i, model="SmolLM2-135M-Instruct", seed=i) for i in range(6)], endpoint=embedded, clock=Clock()
    )
    assert len(results) == 6
    assert all(isinstance(result, Reply) and result.text for result in results)
    assert {result.model for result in results} == {"SmolLM2-135M-Instruct"}
    assert all(0 < result.completion_tokens <= 10 for result in results)
    # Its replies cost nothing, so that a budget in money needs no price.
    assert Client(embedded, budget=Budget(usd=0.0)).budget.exhausted is None
    assert client.stats.peak <= embedded.slots
