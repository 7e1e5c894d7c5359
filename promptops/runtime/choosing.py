"""Which release a request gets: by its session where it has one already, else by the slot of its unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.runtime import assignment
from promptops.runtime.assignment import BASELINE, CANARY, SLOTS, STABLE
from promptops.runtime.body import Body
from promptops.runtime.document import IMMEDIATE

if TYPE_CHECKING:
    from collections.abc import Mapping

SPLIT, DEFAULT, STICKY, OVERRIDE = "SPLIT", "DEFAULT", "STICKY", "OVERRIDE"
_VERSION, _NONE = "1", "-"


class Pin(NamedTuple):
    """What a session began with.

    Attributes:
        rollout: id of the rollout, or None where none was running.
        arm: the arm.
        release: the release's `Body.mark`.
    """

    rollout: str | None
    arm: str
    release: str

    def __str__(self) -> str:
        return ":".join((_VERSION, self.rollout or _NONE, self.arm, self.release))

    @classmethod
    def parse(cls, text: str) -> Pin | None:
        """Return what ``str`` wrote, or None for anything else."""
        parts = text.split(":")
        if len(parts) != 4 or parts[0] != _VERSION or parts[2] not in {CANARY, BASELINE, STABLE}:
            return None
        return cls(None if parts[1] == _NONE else parts[1], parts[2], parts[3])


class Choice(NamedTuple):
    """What a request gets.

    Attributes:
        arm: its arm; ``stable`` where no rollout is running.
        slot: the unit's slot in the rollout; None without a unit or a rollout.
        reason: ``SPLIT`` (by slot), ``DEFAULT`` (no unit, no rollout, or a snapshot that is too old), ``STICKY`` (what
            the session began with), or ``OVERRIDE`` (the session began with what is served no more).
        body: the release.
    """

    arm: str
    slot: int | None
    reason: str
    body: Body


class Prompt:
    """One prompt as an environment serves it, with the arms of its rollout.

    Args:
        name: the prompt.
        environment: where it is live.
        entry: its checked entry of a snapshot.

    Attributes:
        decision: ``{commit, sequence, action}`` of the decision in force.
        bodies: the release of each arm.
        rollout: id of the rollout, or None.
        stage: number of its stage, from 0, or None.
        weights: slots of each arm.
    """

    def __init__(self, name: str, environment: str, entry: Mapping[str, Any]) -> None:
        self.name = name
        self.environment = environment
        self.decision: dict[str, Any] = entry["decision"]
        stable = Body(name, entry)
        rollout = entry.get("rollout") or {"id": None, "stage": None, "salt": "", "weights": {}, "arms": {}}
        arms = rollout["arms"]
        self.bodies = {STABLE: stable} | {
            arm: stable if arms.get(arm) is None else Body(name, arms[arm]) for arm in (CANARY, BASELINE)
        }
        self.rollout: str | None = rollout["id"]
        self.stage: int | None = rollout["stage"]
        self._salt: str = rollout["salt"]
        self._canary: int = rollout["weights"].get(CANARY, 0)
        self._baseline: int = rollout["weights"].get(BASELINE, 0)
        self.weights = {
            CANARY: self._canary,
            BASELINE: self._baseline,
            STABLE: SLOTS - self._canary - self._baseline,
        }
        # A rollback leaves no weight; unless it is for new conversations only, it ends what sessions had.
        self._taken_back = self.rollout is not None and not self._canary and rollout["scope"] == IMMEDIATE

    def choose(self, unit: str | None, held: Pin | None, *, current: bool) -> Choice:
        """Return what a request gets.

        Args:
            unit: what is assigned as a whole; None or an empty one is assigned nothing, and gets the stable release.
            held: what the session began with.
            current: whether the snapshot is young enough; an old one may hold a canary that was taken back since, and
                gives everybody the stable release.
        """
        slot = assignment.slot(self._salt, unit) if unit and self.rollout is not None else None
        if held is not None:
            kept = self._kept(held, current=current)
            if kept is None:
                return Choice(STABLE, slot, OVERRIDE, self.bodies[STABLE])
            return Choice(kept[0], slot, STICKY, kept[1])
        if slot is None or not current:
            return Choice(STABLE, slot, DEFAULT, self.bodies[STABLE])
        arm = assignment.arm(slot, self._canary, self._baseline)
        return Choice(arm, slot, SPLIT, self.bodies[arm])

    def _kept(self, held: Pin, *, current: bool) -> tuple[str, Body] | None:
        """Return arm and release of a session that goes on with what it began with, or None if that is over.

        A session keeps its release. The arm that it lies in may change: what was stable before a promotion is served
        by the baseline afterwards.
        """
        bodies = self.bodies
        if (self._taken_back or not current) and held.release != bodies[STABLE].mark:
            return None
        same = self.rollout is not None and held.rollout == self.rollout
        # A session from before this rollout was assigned nothing by it, so it can be in no arm but the stable one.
        for arm in (held.arm, STABLE, BASELINE, CANARY) if same else (STABLE, BASELINE):
            if bodies[arm].mark == held.release:
                return (held.arm if same else STABLE), bodies[arm]
        return None
