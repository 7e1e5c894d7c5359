"""An OpenFeature provider: a prompt is a flag, and its variant the arm.

The targeting key is the unit. Attributes of the context: ``session``, ``pin`` and ``variables``, the values with which
the prompt is rendered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Never, TypeVar

from promptops import runtime
from promptops.errors import InputError, PromptopsError, UsageError
from promptops.runtime import recording

try:
    from openfeature.exception import (
        FlagNotFoundError,
        GeneralError,
        InvalidContextError,
        OpenFeatureError,
        TypeMismatchError,
    )
    from openfeature.flag_evaluation import FlagResolutionDetails
    from openfeature.provider import AbstractProvider, Metadata
except ImportError as error:  # pragma: no cover  a machine without the extra
    raise UsageError("the OpenFeature SDK is not installed", hint="pip install 'promptops-git[openfeature]'") from error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from openfeature.evaluation_context import EvaluationContext
    from openfeature.flag_evaluation import FlagValueType
    from openfeature.track import TrackingEventDetails

    from promptops.runtime import Resolved

EXPOSURE, OPPORTUNITY = "exposure", "opportunity"
_T = TypeVar("_T")


class PromptopsProvider(AbstractProvider):
    """Resolves prompts from a snapshot file, with no network and no git.

    An object flag is the whole request, the arguments of ``chat.completions.create``; a string flag is the text of the
    first message. A flag's metadata name the release, and hold the ``pin`` to store with a conversation. Evaluating is
    no exposure: whoever sends the request tells by ``client.track("exposure", context, details)``, whose details have
    the attribute ``prompt`` and, if there is one, ``response_id``. Every other event is an outcome of that name.

    Args:
        snapshot: path of the snapshot file; by default where `promptops.load` looks.
    """

    def __init__(self, snapshot: str | None = None) -> None:
        super().__init__()
        self._snapshot = snapshot

    def get_metadata(self) -> Metadata:
        """Return the provider's name."""
        return Metadata(name="promptops")

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """Resolve a prompt as a request."""
        del default_value
        found = self._load(flag_key, evaluation_context)
        return _details(found, _rendered(found, evaluation_context))

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Resolve a prompt as the text of its first message."""
        del default_value
        found = self._load(flag_key, evaluation_context)
        text: str = _rendered(found, evaluation_context)["messages"][0]["content"]
        return _details(found, text)

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,  # noqa: FBT001  the interface is OpenFeature's
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Refuse: a prompt is no boolean."""
        del default_value, evaluation_context
        _mismatch(flag_key)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Refuse: a prompt is no integer."""
        del default_value, evaluation_context
        _mismatch(flag_key)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Refuse: a prompt is no number."""
        del default_value, evaluation_context
        _mismatch(flag_key)

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Record an exposure, an opportunity for feedback or an outcome.

        The details' attribute ``prompt`` names the prompt; ``response_id``, ``turn``, ``pin`` and, for an opportunity,
        ``name`` are optional.

        Raises:
            GeneralError: the details name no prompt, or none that is served.
        """
        told: dict[str, Any] = dict(tracking_event_details.attributes) if tracking_event_details else {}
        if "prompt" not in told:
            raise GeneralError("tracking details need the attribute prompt")
        found = self._load(str(told["prompt"]), evaluation_context, pin=told.get("pin"))
        where: dict[str, Any] = {"response_id": told.get("response_id"), "turn": told.get("turn")}
        if tracking_event_name == EXPOSURE:
            found.record(**where)
        elif tracking_event_name == OPPORTUNITY:
            found.opportunity(str(told.get("name", "feedback")), **where)
        else:
            value = tracking_event_details.value if tracking_event_details else None
            unit, session = _who(evaluation_context)
            recording.outcome(
                tracking_event_name, value, prompt=found.name, environment=found.environment, unit=unit,
                session=session, **where,
            )  # fmt: skip

    def _load(self, name: str, context: EvaluationContext | None, pin: Any = None) -> Resolved:
        unit, session = _who(context)
        pin = pin or (context.attributes.get("pin") if context else None)
        try:
            return runtime.load(name, unit=unit, session=session, pin=pin, snapshot=self._snapshot)
        except PromptopsError as error:
            raise FlagNotFoundError(str(error)) from error


def _who(context: EvaluationContext | None) -> tuple[str | None, str | None]:
    if context is None:
        return None, None
    session = context.attributes.get("session")
    return context.targeting_key or None, None if session is None else str(session)


def _rendered(found: Resolved, context: EvaluationContext | None) -> dict[str, Any]:
    variables: Any = context.attributes.get("variables", {}) if context else {}
    try:
        return found.render(**variables)
    except (UsageError, TypeError) as error:
        raise InvalidContextError(f"the attribute variables of the context: {error}") from error
    except InputError as error:
        raise GeneralError(str(error)) from error


def _details(found: Resolved, value: _T) -> FlagResolutionDetails[_T]:
    metadata: dict[str, bool | int | float | str] = {
        "version": found.version, "tag": found.tag, "digest": found.digest, "decision": found.decision["sequence"],
    }  # fmt: skip
    metadata |= {key: text for key, text in (("rollout", found.rollout), ("pin", found.pin)) if text is not None}
    return FlagResolutionDetails(value, reason=found.reason, variant=found.arm, flag_metadata=metadata)


def _mismatch(name: str) -> Never:
    error: OpenFeatureError = TypeMismatchError(f"{name} is a prompt: an object or a string flag")
    raise error
