"""Asking in a fixed order, many at a time, and reading the answers in that order."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Collection

    from promptops.evaluation.sampling import Draw

WINDOW = 32
_T = TypeVar("_T")


class Order(Protocol):
    """Where draws come from."""

    def take(self, count: int, live: Collection[str]) -> list[Draw]:
        """Return the next ``count`` draws from the suites in ``live``, fewer when there are no more."""
        ...


async def in_order(
    order: Order,
    ask: Callable[[Draw], Awaitable[_T]],
    live: Callable[[], Collection[str]],
    *,
    known: Callable[[Draw], bool] = lambda _: False,
    window: int = WINDOW,
) -> AsyncGenerator[tuple[Draw, _T]]:
    """Ask draw after draw and yield the answers in the order of the draws, whichever came back first.

    Draws are started in windows. Which suites the third window draws from depends on what the consumer made of the
    first, and so on, so that the sequence follows from the seed and the answers alone: neither latency nor an
    interruption can change it, and up to two windows are under way all the time. Closing the stream cancels what is.

    Args:
        order: what to ask.
        ask: asks one draw; what it raises is raised when the turn of its draw comes.
        live: names of the suites that are still worth asking.
        known: says whether a draw's answer costs nothing, as when it is read from a journal. As long as all answers
            were known, nothing else is started: the verdict may be in them.
        window: draws in a window.
    """
    waiting: deque[Draw] = deque([*order.take(window, live()), *order.take(window, live())])
    under_way: deque[tuple[Draw, asyncio.Task[_T]]] = deque()
    consumed = 0
    try:
        while under_way or waiting:
            alone = not under_way and known(waiting[0])
            for _ in range(1 if alone else len(waiting)):
                draw = waiting.popleft()
                under_way.append((draw, asyncio.ensure_future(ask(draw))))
            draw, task = under_way[0]
            answer = await asyncio.shield(task)
            under_way.popleft()
            yield draw, answer
            consumed += 1
            if consumed % window == 0:
                waiting.extend(order.take(window, live()))
    finally:
        for _, task in under_way:
            task.cancel()
        await asyncio.gather(*(task for _, task in under_way), return_exceptions=True)
