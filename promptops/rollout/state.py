"""What a rollout was before a look at the evidence, and what the look says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

STATUSES = ("running", "paused", "frozen", "promoted", "ended")
ACTIONS = ("advance", "hold", "rollback", "promote", "freeze", "end")


class State(NamedTuple):
    """Where a rollout stands by its last decision.

    Attributes:
        stage: index in the plan's stages.
        since: when the stage was entered, seconds since 1970.
        started: when the rollout began.
        status: one of `STATUSES`.
        invalid: how many decisions in a row found the data not valid.
        invalid_since: when the first of them did, or None.
        quarantined: proxies that rose while guardrails fell; they count no more.
        scope: ``immediate`` or ``new-conversations``.
    """

    stage: int
    since: int
    started: int
    status: str = "running"
    invalid: int = 0
    invalid_since: int | None = None
    quarantined: tuple[str, ...] = ()
    scope: str = "immediate"

    @classmethod
    def of(cls, rollout: Mapping[str, Any]) -> State:
        """Return the state that the member ``rollout`` of a decision describes.

        Raises:
            InputError: it describes none.
        """
        verdict = rollout.get("verdict") or {}
        try:
            state = cls(
                stage=int(rollout["stage"]),
                since=int(rollout["since"]),
                started=int(rollout["started"]),
                status=str(rollout["state"]),
                invalid=int(verdict.get("invalid", 0)),
                invalid_since=None if verdict.get("invalid_since") is None else int(verdict["invalid_since"]),
                quarantined=tuple(map(str, rollout.get("quarantined", ()))),
                scope=str(rollout.get("scope", "immediate")),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError("the decision does not say where the rollout stands") from error
        if state.stage < 0 or state.status not in STATUSES:
            raise InputError("the decision does not say where the rollout stands")
        return state


class Reading(NamedTuple):
    """What the evidence says of one metric.

    Attributes:
        estimate: canary minus baseline; None without enough data.
        low, high: one-sided bounds, each with the plan's error probability of a step; None where there are none yet.
        margin: that the stage asks for, or None.
        n: matured units in the smaller arm.
        e_value: against "the canary is no worse".
        state: ``proved``, ``unproved``, ``harmed``, ``missing``, ``over limit``, ``quarantined``, ``incomparable``,
            ``shown`` (decides nothing here).
    """

    metric: str
    role: str
    estimate: float | None
    low: float | None
    high: float | None
    margin: float | None
    n: int
    e_value: float
    state: str


class Missing(NamedTuple):
    """One thing that is missing until the next step.

    Attributes:
        what: ``dwell``, ``units``, ``proof``, ``data``, ``person``.
        metric: which metric it is about, or None.
        have, need: how far it is; seconds, units, or the bound and the margin.
        expected: when it should be there, seconds since 1970; None where nothing says so.
    """

    what: str
    metric: str | None
    have: float | None
    need: float | None
    expected: int | None


class Verdict(NamedTuple):
    """What a look says.

    Attributes:
        action: one of `ACTIONS`.
        status: what the rollout is after it, one of `STATUSES`.
        reasons: why, in words.
        readings: one per metric, in the plan's order.
        missing: until the next step.
        expected: when the next step is expected, seconds since 1970, or None.
        e_values: of the rules: ``harm``, ``srm``, ``critical:<metric>``, ``divergence:<proxy>``.
        invalid, invalid_since, quarantined: as in `State`, after the look.
    """

    action: str
    status: str
    reasons: tuple[str, ...]
    readings: tuple[Reading, ...] = ()
    missing: tuple[Missing, ...] = ()
    expected: int | None = None
    e_values: Mapping[str, float] = {}
    invalid: int = 0
    invalid_since: int | None = None
    quarantined: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return it as a JSON object; numbers have six digits, so that every machine writes the same."""
        return {
            "action": self.action,
            "status": self.status,
            "reasons": list(self.reasons),
            "readings": [_plain(reading) for reading in self.readings],
            "missing": [_plain(each) for each in self.missing],
            "expected": self.expected,
            "e_values": {name: _digits(value) for name, value in self.e_values.items()},
            "invalid": self.invalid,
            "invalid_since": self.invalid_since,
            "quarantined": list(self.quarantined),
        }


def _plain(item: Reading | Missing) -> dict[str, Any]:
    return {name: _digits(value) if isinstance(value, float) else value for name, value in item._asdict().items()}


def _digits(value: float) -> float:
    return float(f"{value:.6g}")
