from __future__ import annotations

import asyncio

import pytest

from promptops.inference.pace import Window


@pytest.mark.parametrize("when", ["before its turn", "in its turn"])
def test_who_stops_waiting_leaves_the_place_to_the_next(when):
    async def run():
        window = Window(1)
        await window.wait()
        first, second = (asyncio.ensure_future(window.wait()) for _ in range(2))
        await asyncio.sleep(0)
        if when == "before its turn":
            first.cancel()
            window.give()
        else:
            window.give()
            first.cancel()
        await asyncio.wait_for(second, 5)
        return first.cancelled(), window.used

    assert asyncio.run(run()) == (True, 1)


def test_places_are_given_in_the_order_of_asking():
    async def run():
        window, served = Window(1), []

        async def ask(number):
            await window.wait()
            served.append(number)
            await asyncio.sleep(0)
            window.give()

        await asyncio.gather(*(ask(number) for number in range(9)))
        return served

    assert asyncio.run(run()) == list(range(9))
