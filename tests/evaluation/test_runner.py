from __future__ import annotations

import asyncio
import random
from contextlib import aclosing

import pytest

from promptops.evaluation.runner import in_order
from promptops.evaluation.sampling import Order, seed

SEED = seed(previous_release=None, candidate="c", baseline="b", suites={})
POOLS = {"a": [str(n) for n in range(20)], "b": [str(n) for n in range(7)]}


def collect(ask, *, stop, live=None, window=4, pools=None):
    async def run():
        order, seen = Order(SEED, pools or POOLS), []
        stream = in_order(order, ask, lambda: (live or (lambda _: POOLS))(seen), window=window)
        async for draw, answer in stream:
            seen.append((draw, answer))
            if len(seen) == stop:
                break
        await stream.aclose()
        return seen

    return asyncio.run(run())


def delayed(generator):
    async def ask(draw):
        for _ in range(generator.randrange(30)):
            await asyncio.sleep(0)
        return draw.key

    return ask


def decided(seen):
    """Suite b is decided once its case "3" was seen."""
    return ["a"] if any((draw.suite, draw.case) == ("b", "3") for draw, _ in seen) else ["a", "b"]


def test_order_does_not_depend_on_which_answer_comes_first():
    runs = [collect(delayed(random.Random(number)), stop=60, live=decided) for number in range(8)]
    assert all(run == runs[0] for run in runs)
    assert all(answer == draw.key for draw, answer in runs[0])
    assert {draw.suite for draw, _ in runs[0][-30:]} == {"a"}


def test_an_interruption_does_not_change_what_comes_after_it():
    ask = delayed(random.Random(1))
    whole = collect(ask, stop=40, live=decided)
    for stop in (1, 5, 8, 13):
        assert collect(ask, stop=stop, live=decided) == whole[:stop]


def test_two_windows_are_under_way_and_no_more():
    waiting, most = set(), []

    async def ask(draw):
        waiting.add(draw.key)
        most.append(len(waiting))
        await asyncio.sleep(0)
        waiting.discard(draw.key)

    collect(ask, stop=30)
    assert max(most) == 8


def test_stopping_cancels_what_is_under_way():
    ended = []

    async def ask(draw):
        try:
            await asyncio.sleep(0 if not ended else 3600)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        ended.append("answered")

    collect(ask, stop=1)
    assert ended.count("answered") == 8

    ended[:] = ["slow from here"]

    async def run():
        async with asyncio.timeout(0.05):
            async for _ in in_order(Order(SEED, POOLS), ask, lambda: ["a"], window=4):
                pass

    with pytest.raises(TimeoutError):
        asyncio.run(run())
    assert ended.count("cancelled") == 8


def test_an_error_is_raised_in_the_turn_of_its_draw():
    async def ask(draw):
        if (draw.suite, draw.case) == ("b", "3"):
            raise ValueError("broken")

    seen = []

    async def run():
        async for draw, _ in in_order(Order(SEED, POOLS), ask, lambda: ["a", "b"], window=4):
            seen.append(draw)

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(run())
    everything = Order(SEED, POOLS).take(100, ["a", "b"])
    assert seen == everything[: len(seen)]
    assert (everything[len(seen)].suite, everything[len(seen)].case) == ("b", "3")


def test_nothing_is_started_while_the_answers_are_known():
    started = []

    async def ask(draw):
        started.append(draw.key)
        return draw.key

    everything = [draw.key for draw in Order(SEED, POOLS).take(40, ["a", "b"])]

    async def run(stop):
        async with aclosing(
            in_order(
                Order(SEED, POOLS), ask, lambda: ["a", "b"], known=lambda draw: draw.key in everything[:6], window=4
            )
        ) as stream:
            return [answer async for _, answer in take(stream, stop)]

    assert asyncio.run(run(6)) == started == everything[:6]
    started.clear()
    assert asyncio.run(run(7)) == everything[:7]
    # The first unknown one, and what two windows hold with it.
    assert started == everything[:12]


async def take(stream, count):
    async for item in stream:
        yield item
        count -= 1
        if not count:
            return


def test_it_ends_when_no_suite_is_live():
    seen = collect(delayed(random.Random(2)), stop=1000, live=lambda seen: [] if len(seen) >= 4 else ["a"])
    assert len(seen) == 8
