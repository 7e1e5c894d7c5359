"""What `load` returns: one prompt for one request, and where its events go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from promptops.runtime.choosing import Pin

if TYPE_CHECKING:
    from promptops.runtime.choosing import Choice, Prompt


class Resolved:
    """One prompt as an environment serves it, for one unit and session.

    Attributes:
        name: the prompt.
        environment: where it is live.
        decision: ``{commit, sequence, action}`` of the decision in force.
        arm: ``canary``, ``baseline`` or ``stable``.
        slot: the unit's slot in the rollout, 0 to 2**32 - 1, or None.
        reason: ``SPLIT``, ``DEFAULT``, ``STICKY`` or ``OVERRIDE``; see `promptops.runtime.choosing.Choice`.
        rollout: id of the rollout, or None where none is running.
        stage: number of its stage, from 0, or None.
        propensity: how many of the 2**32 slots its arm has now.
        unit: as given to `load`, like ``unit_type`` and ``session``.
    """

    __slots__ = ("_body", "_exposures", "arm", "decision", "environment", "name", "propensity", "reason", "rollout",
                 "session", "slot", "stage", "unit", "unit_type")  # fmt: skip

    def __init__(self, prompt: Prompt, choice: Choice, unit: str | None, unit_type: str, session: str | None) -> None:
        self.arm, self.slot, self.reason, self._body = choice
        self.name = prompt.name
        self.environment = prompt.environment
        self.decision = prompt.decision
        self.rollout = prompt.rollout
        self.stage = prompt.stage
        self.propensity = prompt.weights[self.arm]
        self.unit = unit
        self.unit_type = unit_type
        self.session = session
        # Taken out by whoever records first.
        self._exposures = [1]

    @property
    def version(self) -> str:
        """Version of the release."""
        return self._body.version

    @property
    def tag(self) -> str:
        """Release tag."""
        return self._body.tag

    @property
    def digest(self) -> str:
        """``sha256:<hex>`` of the configuration."""
        return self._body.digest

    @property
    def pin(self) -> str:
        """What to store with the conversation, and to give to `load` for its next turn. Opaque, less than 100 bytes."""
        return str(Pin(self.rollout, self.arm, self._body.mark))

    def render(self, **variables: Any) -> dict[str, Any]:
        """Return the arguments of ``chat.completions.create``.

        Names, types and string lengths of variables are checked; the rest of their schemas is left to tests.

        Args:
            variables: JSON values by variable name; optional variables take their default.

        Raises:
            UsageError: a variable is missing, unknown or of another type.
            InputError: the template fails on these values.
        """
        return self._body.render(variables)

    def record(
        self,
        name: str | None = None,
        value: float | None = None,
        *,
        response_id: str | None = None,
        turn: int | None = None,
        source: str = "user",
        evaluator: str | None = None,
        unit_of: str | None = None,
        missing: str | None = None,
        latency: float | None = None,
    ) -> None:
        """Record that the request was used, once, and with a ``name`` what came of it.

        Args:
            name: an outcome, such as ``thumbs``; None records the exposure alone.
            value: its value; None where it is missing.
            response_id: the provider's id of the reply.
            turn: number of the turn in its session.
            source: ``user``, ``judge``, ``rule``, ``system`` or ``human-review``.
            evaluator: digest of what judged.
            unit_of: ``turn``, ``session`` or ``user``: what the value is about.
            missing: why there is no value.
            latency: seconds until the value was known.
        """
        from promptops.runtime import recording

        if self._first_use():
            recording.exposure(self, response_id=response_id, turn=turn)
        if name is not None:
            recording.outcome(
                name, value, prompt=self.name, environment=self.environment, unit=self.unit, session=self.session,
                turn=turn, response_id=response_id, source=source, evaluator=evaluator, unit_of=unit_of,
                missing=missing, latency=latency,
            )  # fmt: skip

    def opportunity(self, name: str, *, response_id: str | None = None, turn: int | None = None) -> None:
        """Record that the user could give feedback: without it nobody knows which share of the users gave none.

        Args:
            name: the outcome that they could give.
            response_id: the provider's id of the reply.
            turn: number of the turn in its session.
        """
        from promptops.runtime import recording

        recording.opportunity(
            name, prompt=self.name, environment=self.environment, unit=self.unit, session=self.session, turn=turn,
            response_id=response_id,
        )  # fmt: skip

    def _first_use(self) -> bool:
        try:
            # One step, so that of two threads one is the first.
            self._exposures.pop()
        except IndexError:
            return False
        return True
