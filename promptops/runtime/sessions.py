"""What the sessions of this process began with: a bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from promptops.runtime.choosing import Pin

Key = tuple[str, str]


class Sessions:
    """Pins by prompt and session; the sessions that were not used for longest are forgotten first.

    Two dictionaries stand for young and old. When the young one is full it becomes the old one, so that nothing is
    sorted or locked: whatever threads do at once, at worst a pin is forgotten early.

    Args:
        limit: how many are kept at most.
    """

    def __init__(self, limit: int) -> None:
        self._half = max(1, limit // 2)
        self._generations: tuple[dict[Key, Pin], dict[Key, Pin]] = ({}, {})

    def get(self, key: Key) -> Pin | None:
        """Return what a session began with, if it is known."""
        young, old = self._generations
        found = young.get(key)
        if found is None:
            found = old.get(key)
            if found is not None:
                self.put(key, found)
        return found

    def put(self, key: Key, pin: Pin) -> None:
        """Keep what a session began with."""
        young, _ = self._generations
        young[key] = pin
        if len(young) >= self._half and young is self._generations[0]:
            self._generations = ({}, young)
