"""Validity floors: what must be proved of an arm before a measure's scores mean anything.

A model that answers every forced choice with the same letter shows no flip and no sycophancy, and has not been
measured. So a guardrail on such a measure stays inconclusive until its floors are proved for every arm: that the mean
of a series in [0, 1] lies above ``low`` and below ``high``, each by the test that the gate uses
(`promptops.statistics.betting`), valid at every stopping time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from promptops.errors import InputError
from promptops.statistics.betting import Capital
from promptops.statistics.series import GRID

Standing = Literal["met", "refuted", "open"]


@dataclass(frozen=True, slots=True)
class Floor:
    """Bounds on the mean of a series in [0, 1].

    Attributes:
        low: the mean must lie above it; None for no such bound.
        high: the mean must lie below it; None for no such bound.
    """

    low: float | None = None
    high: float | None = None

    @property
    def text(self) -> str:
        """The bounds in words."""
        bounds = {"above": self.low, "below": self.high}
        return " and ".join(f"{side} {bound:g}" for side, bound in bounds.items() if bound is not None)


@dataclass(slots=True)
class _Bound:
    """One side of a floor for one arm."""

    holds: Capital
    fails: Capital

    def update(self, x: float) -> None:
        self.holds.update(x)
        self.fails.update(x)


@dataclass(slots=True)
class FloorTrack:
    """One floor's record, grown by one pair at a time.

    Attributes:
        name: of the floor, unique in a canary.
        floor: the bounds.
        arms: those that are held to it.
        marks: by arm, one number in thousandths per pair of the canary; None where the pair does not bear on it.
    """

    name: str
    floor: Floor
    arms: tuple[str, ...]
    marks: dict[str, list[int | None]] = field(init=False)
    _bounds: dict[str, list[_Bound]] = field(init=False)

    def __post_init__(self) -> None:
        for bound in (self.floor.low, self.floor.high):
            if bound is not None and not 0.0 < bound < 1.0:
                raise InputError(f"floor {self.name}: {bound} does not lie strictly between 0 and 1")
        self.marks = {arm: [] for arm in self.arms}
        self._bounds = {arm: list(self._sides()) for arm in self.arms}

    def _sides(self) -> list[_Bound]:
        low, high = self.floor.low, self.floor.high
        sides = [] if low is None else [_Bound(Capital(low, at_least=False), Capital(low, at_least=True))]
        return sides if high is None else [*sides, _Bound(Capital(high, at_least=True), Capital(high, at_least=False))]

    def push(self, arm: str, mark: int | None) -> None:
        """Append an arm's mark of one pair."""
        self.marks[arm].append(mark)
        if mark is not None:
            for bound in self._bounds[arm]:
                bound.update(mark / GRID)

    def mean(self, arm: str) -> float | None:
        """Return the mean of an arm's marks, None without any."""
        seen = [mark for mark in self.marks[arm] if mark is not None]
        return sum(seen) / (GRID * len(seen)) if seen else None

    def standing(self, alpha: float) -> Standing:
        """Say whether the floor is proved for every arm, refuted for one, or open."""
        bounds = [bound for arm in self.arms for bound in self._bounds[arm]]
        if any(bound.fails.peak >= 1.0 / alpha for bound in bounds):
            return "refuted"
        return "met" if all(bound.holds.peak >= 1.0 / alpha for bound in bounds) else "open"

    def reason(self, alpha: float) -> str | None:
        """Say why nothing can be concluded from scores that stand on this floor; None where it is met."""
        standing = self.standing(alpha)
        if standing == "met":
            return None
        means = [(arm, self.mean(arm)) for arm in self.arms]
        told = ", ".join(f"{arm} {'-' if mean is None else format(mean, '.3f')}" for arm, mean in means)
        said = "is not" if standing == "refuted" else "is not proved to be"
        return f"not valid here: {self.name} ({told}) {said} {self.floor.text}"
