"""How many calls may be under way, and when the next may go."""

from __future__ import annotations

import asyncio
from collections import deque

FIRST_WINDOW = 4


class Window:
    """Calls under way at most: grows on success and halves when the server asks for less.

    Additive increase, multiplicative decrease with a slow start (D.-M. Chiu and R. Jain, 1989; RFC 5681).

    Attributes:
        size: calls that may be under way now.
        used: calls that are.
        peak: the most that ever were.
    """

    def __init__(self, most: int) -> None:
        self.size = float(min(FIRST_WINDOW, most))
        self.used = 0
        self.peak = 0
        self._most = most
        self._slow_start = True
        self._cut_at = float("-inf")
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def wait(self) -> None:
        """Take a place as soon as one is free, in the order of asking."""
        if not self._waiting and self._take():
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():
                self.give()
            raise

    def give(self) -> None:
        """Give a place back, and to those who wait as many as there are: growth frees more than one."""
        self.used -= 1
        while self._waiting:
            if self._waiting[0].cancelled():
                self._waiting.popleft()
            elif self._take():
                self._waiting.popleft().set_result(None)
            else:
                break

    def _take(self) -> bool:
        if self.used + 1 > self.size and self.used > 0:
            return False
        self.used += 1
        self.peak = max(self.peak, self.used)
        return True

    def grow(self) -> None:
        """Count a success."""
        self.size = min(self._most, self.size + (1.0 if self._slow_start else 1.0 / self.size))

    def shrink(self, sent_at: float, now: float) -> None:
        """Count a refusal of an attempt sent at ``sent_at``; one halving answers all that were under way together."""
        if sent_at >= self._cut_at:
            self.size = max(1.0, self.size / 2)
            self._slow_start = False
            self._cut_at = now


class Pace:
    """Starts spread evenly over a minute, and a pause for all when the server names one."""

    def __init__(self, per_minute: float | None) -> None:
        self._spacing = 60.0 / per_minute if per_minute else 0.0
        self._next = float("-inf")
        self._paused_until = float("-inf")

    def book(self, now: float) -> float:
        """Return the time at which one more attempt may go."""
        at = max(now, self._next, self._paused_until)
        self._next = at + self._spacing
        return at

    def pause(self, until: float) -> None:
        """Let nothing go before ``until``."""
        self._paused_until = max(self._paused_until, until)

    def open_at(self, at: float) -> float:
        """Return when an attempt booked for ``at`` may really go: later, where a pause came in between."""
        return max(at, self._paused_until)
