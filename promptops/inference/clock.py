"""Time as the client sees it, replaceable as a whole."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Clock(NamedTuple):
    """Where seconds come from and how they pass.

    Attributes:
        now: monotonic seconds.
        wall: seconds since the epoch, for HTTP dates.
        sleep: waits that many seconds.
    """

    now: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


SYSTEM = Clock()
