from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from inference.faults import Answer, FaultServer, completion, error
from inference.test_client import FakeTime, call, collect

from promptops.errors import PromptopsError
from promptops.inference.budget import Budget
from promptops.inference.client import Client
from promptops.inference.journal import Journal
from promptops.inference.ledger import Ledger, Spent, Usage
from promptops.inference.reply import Reply
from promptops.inference.retry import RetryPolicy

LOST = Answer(body=completion(), cut_after=5)


def spent(path, before=None, now=1000.0):
    """What a run that starts at ``now`` finds on record."""
    ledger = Ledger(str(path), before or Spent(), wall=lambda: now)
    ledger.close()
    return ledger.spent


def run(server, path, count, **options):
    with Journal(path) as journal:
        return collect(server, [call(i) for i in range(count)], journal=journal, **options)


@pytest.mark.parametrize("budget", [{"requests": 40}, {"tokens": 3000}, {"usd": 0.003}])
def test_lost_attempts_of_earlier_runs_count_towards_the_budget_of_the_whole(tmp_path, budget):
    found = []
    with FaultServer(lambda number, _: LOST if number % 3 else Answer(body=completion())) as server:
        for _ in range(4):
            _, client, _ = run(
                server,
                tmp_path / "j",
                100,
                budget=Budget(**budget),
                price={"input": 1.0, "output": 1.0},
                retry=RetryPolicy(attempts=2, base=0.0, cap=0.0),
            )
            found.append((client.budget.sent, client.budget.spent, len(server.requests)))
    assert {sent for sent, _, _ in found} == {found[0][2]}
    assert found[0] == found[-1]
    assert client.budget.exhausted in budget
    assert client.budget.spent.tokens <= budget.get("tokens", 10**9)
    assert len(server.requests) <= budget.get("requests", 10**9)


def test_seconds_are_those_of_all_runs_together(tmp_path):
    fake = FakeTime()

    def late(_, __):
        fake.seconds += 30
        return error(400)

    totals = []
    with FaultServer(late) as server:
        for _ in range(3):
            budget = Budget(seconds=100, now=fake.clock().now)
            with Journal(tmp_path / "j") as journal:
                collect(server, [call(0), call(1)], journal=journal, budget=budget, clock=fake.clock(), concurrency=1)
            totals.append((len(server.requests), budget.elapsed, budget.exhausted))
    assert [sent for sent, _, _ in totals] == [2, 4, 4]
    assert totals[0][1] == pytest.approx(60)
    assert totals[1][1] == totals[2][1] == pytest.approx(120)
    assert [limit for _, _, limit in totals] == [None, "seconds", "seconds"]


def test_what_a_killed_run_had_sent_counts_as_its_worst_case(tmp_path):
    program = (
        "import asyncio, sys\n"
        "from inference.test_client import call\n"
        "from promptops.inference.budget import Budget\n"
        "from promptops.inference.client import Client\n"
        "from promptops.inference.endpoint import Endpoint\n"
        "from promptops.inference.journal import Journal\n"
        "async def run():\n"
        "    with Journal(sys.argv[2]) as journal:\n"
        "        endpoint = Endpoint(sys.argv[1], None, 'mock')\n"
        "        async with Client(endpoint, journal=journal, budget=Budget(tokens=10**6), concurrency=4) as client:\n"
        "            await asyncio.gather(*(client.reply(call(i)) for i in range(12)))\n"
        "asyncio.run(run())\n"
    )

    def script(number, _):
        return Answer(body=completion(), held=None if number < 6 else threading.Event())

    with FaultServer(script) as server:
        process = subprocess.Popen(
            [sys.executable, "-c", program, server.url, str(tmp_path / "j")], cwd=Path(__file__).parent.parent
        )
        deadline = time.monotonic() + 60
        while len(server.requests) < 10:
            assert time.monotonic() < deadline, "did not happen"
            time.sleep(0.01)
        process.kill()
        process.wait()
        worst = [len(json.dumps(seen.body, separators=(",", ":"))) + 10 for seen in server.requests]
    with Journal(tmp_path / "j") as journal:
        kept = len(list(journal.replies()))
        assert journal.ledger.spent.requests == 10
        assert journal.ledger.spent.tokens >= 15 * kept + sum(sorted(worst)[: 10 - kept])
        assert 0 < journal.ledger.spent.seconds <= 60


def test_a_reply_is_counted_once_and_an_older_journal_by_its_replies(tmp_path):
    with Journal(tmp_path / "old") as journal:
        for key in "ab":
            journal.add(Reply(key, "t", "m", prompt_tokens=10, completion_tokens=5, cost=0.5, attempts=2))
    (tmp_path / "old.spent.jsonl").unlink()
    for _ in range(2):
        with FaultServer() as server, Journal(tmp_path / "old") as journal:
            assert journal.ledger.spent[:3] == (4, 30, 1.0)
            _, client, _ = collect(server, [call("a"), call("b")], journal=journal, budget=Budget(requests=5))
        assert (client.budget.sent, client.budget.spent, server.requests) == (4, (30, 1.0), [])
    with FaultServer() as server, Journal(tmp_path / "old") as journal:
        collect(server, [call("c"), call("d")], journal=journal, budget=Budget(requests=5))
    assert len(server.requests) == 1
    with Journal(tmp_path / "old") as journal:
        assert journal.ledger.spent[:3] == (5, 45, 1.0)


def test_clients_of_one_budget_and_journal_start_it_once(tmp_path):
    with FaultServer() as server:
        run(server, tmp_path / "j", 3)

        async def two(journal, budget):
            async with (
                Client(server.endpoint(), journal=journal, budget=budget) as one,
                Client(server.endpoint(), journal=journal, budget=budget) as other,
            ):
                return await asyncio.gather(one.reply(call("x")), other.reply(call("y")))

        with Journal(tmp_path / "j") as journal:
            budget = Budget()
            asyncio.run(two(journal, budget))
    assert (budget.sent, budget.spent.tokens) == (5, 75)


def test_a_killed_run_lasted_until_its_oldest_attempt_was_given_up_or_until_now(tmp_path):
    ledger = Ledger(str(tmp_path / "l"), Spent(), wall=lambda: 1000.0)
    ledger.settle(ledger.send(Usage(10, 0.5), 1.0, 60.0), Usage(4, 0.25), 2.0, 1.0)
    ledger.send(Usage(10, 0.5), 3.0, 60.0)
    ledger.send(Usage(20, 0.5), 4.0, 60.0)
    ledger.close()
    assert spent(tmp_path / "l", now=1010.0) == Spent(3, 34, 1.25, 10.0, 1.0)
    assert spent(tmp_path / "l", now=9000.0).seconds == 63.0
    # A clock that was set back makes nothing undone.
    assert spent(tmp_path / "l", now=10.0).seconds == 4.0
    again = Ledger(str(tmp_path / "l"), Spent(), wall=lambda: 9000.0)
    again.settle(again.send(Usage(10, 0.5), 0.0, 60.0), Usage(30, 0.5), 7.0, 3.0)
    again.close()
    assert spent(tmp_path / "l", now=9900.0) == Spent(4, 64, 1.75, 70.0, 3.0)


def test_a_torn_end_is_cut_off_and_a_foreign_line_is_pointed_at(tmp_path):
    with FaultServer() as server:
        run(server, tmp_path / "j", 2)
        path = tmp_path / "j.spent.jsonl"
        content = path.read_bytes()
        path.write_bytes(content + b'{"sent": 9, "at"')
        with Journal(tmp_path / "j") as journal:
            assert journal.ledger.spent[:2] == (2, 30)
        assert path.read_bytes() == content
    sent = b'{"sent": 9, "at": 1, "lasting": 1, "tokens": %s, "cost": 0}'
    foreign = [b"[]", b"7", b"{}", b"no json", b'{"settled": 77, "at": 1, "tokens": 1, "cost": 0, "ratio": 1}']
    for line in [*foreign, sent % b'"1"', sent % b"-1", sent % b"NaN", sent % b"true", sent % b"1e999"]:
        path.write_bytes(content + line + b"\n")
        with pytest.raises(PromptopsError, match="no account") as caught:
            Journal(tmp_path / "j")
        assert caught.value.line == content.count(b"\n") + 1


def test_what_cannot_be_recorded_is_not_sent(tmp_path, monkeypatch):
    def full(*_):
        raise PromptopsError("cannot write the journal: no space left on device")

    with FaultServer() as server, Journal(tmp_path / "j") as journal:
        monkeypatch.setattr(journal.ledger, "send", full)
        with pytest.raises(PromptopsError, match="no space"):
            collect(server, [call(i) for i in range(5)], journal=journal)
    assert server.requests == []


def test_a_reply_arrives_although_its_use_cannot_be_recorded(tmp_path, monkeypatch):
    def full(*_):
        raise PromptopsError("cannot write the journal: no space left on device")

    with FaultServer() as server, Journal(tmp_path / "j") as journal:
        monkeypatch.setattr(journal.ledger, "settle", full)

        async def ask():
            async with Client(server.endpoint(), journal=journal) as client:
                first = await client.reply(call("a"))
                with pytest.raises(PromptopsError, match="no space"):
                    await client.reply(call("b"))
                return first

        assert isinstance(asyncio.run(ask()), Reply)
        assert journal.get("a") is not None
    assert len(server.requests) == 1


@pytest.mark.parametrize("budget", [{"tokens": 40_000}, {"usd": 0.04}])
def test_an_endpoint_that_bills_more_than_was_asked_is_reserved_for_at_its_own_rate(tmp_path, budget):
    greedy = Answer(body=completion(usage=(3000, 2000)), delay=0.01)
    price = {"input": 1.0, "output": 1.0}
    with FaultServer([greedy]) as server:
        _, client, _ = run(server, tmp_path / "j", 500, budget=Budget(**budget), price=price)
        assert client.budget.exhausted in budget
        assert client.budget.excess == (0, 0.0)
        assert len(server.requests) == 8
        # The rate is remembered: no further run tries it out again.
        more = {name: value * 1.1 for name, value in budget.items()}
        _, client, _ = run(server, tmp_path / "j", 500, budget=Budget(**more), price=price)
    assert len(server.requests) == 8
    assert client.budget.spent.tokens == 40_000


def test_what_was_under_way_before_the_rate_was_known_is_told_as_excess():
    greedy = Answer(body=completion(usage=(3000, 2000)), delay=0.2)
    with FaultServer([greedy]) as server:
        _, client, _ = collect(server, [call(i) for i in range(100)], budget=Budget(tokens=6000))
    assert len(server.requests) == 4
    assert client.budget.excess == (14_000, 0.0)
