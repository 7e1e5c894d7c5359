"""Prompts for requests that pass a gateway: what a request asks for, what is sent in its place, and what is recorded.

A client in any language names a prompt as its model, ``promptops/support/reply``, and tells the rest under
``metadata.promptops``: an object, or its JSON for clients whose metadata are strings.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops import runtime
from promptops.errors import UsageError
from promptops.runtime import recording

if TYPE_CHECKING:
    from collections.abc import Mapping

    from promptops.runtime import Resolved

PREFIX = "promptops/"
KEY = "promptops"
_TOLD: dict[str, type | tuple[type, ...]] = {
    "variables": dict, "unit": str, "session": str, "turn": int, "pin": str, "outcome": dict, "opportunity": str,
}  # fmt: skip
# The members of `told`.
TOLD = frozenset({"prompt", "environment", "version", "release", "arm", "pin", "unit", "session", "turn"})
# What a release has and a client may not change, or the digest would say nothing of the request.
_RELEASED = frozenset({
    "temperature", "top_p", "top_k", "min_p", "max_tokens", "max_completion_tokens", "n", "stop", "seed",
    "presence_penalty", "frequency_penalty", "logit_bias", "response_format", "tools", "tool_choice",
    "parallel_tool_calls", "functions", "function_call", "reasoning_effort", "verbosity", "modalities", "prediction",
})  # fmt: skip


class Asked(NamedTuple):
    """What a request asks of promptops.

    Attributes:
        prompt: its name.
        unit: ``metadata.promptops.unit``, else the request's ``user``.
        outcome: ``{name, value, source, response_id}`` of an earlier reply; then nothing is sent to a model.
        opportunity: name of the feedback that the user was offered; then nothing is sent either.
    """

    prompt: str
    variables: dict[str, Any]
    unit: str | None
    session: str | None
    turn: int | None
    pin: str | None
    outcome: dict[str, Any] | None
    opportunity: str | None


def read(data: Mapping[str, Any], *, chat: bool = True) -> Asked | None:
    """Return what a request asks for, or None for a request that names no prompt.

    Args:
        data: the body of a request.
        chat: whether it is for a chat completion.

    Raises:
        UsageError: it is for something else, ``metadata.promptops`` is no such object, or the request sets what
            belongs to the release.
    """
    model = data.get("model")
    if not isinstance(model, str) or not model.startswith(PREFIX):
        return None
    if not chat:
        raise UsageError(f"{PREFIX} models answer chat completions", hint="POST /v1/chat/completions")
    told = (data.get("metadata") or {}).get(KEY) or {}
    if isinstance(told, str):
        try:
            told = json.loads(told)
        except (ValueError, RecursionError) as error:
            raise UsageError("metadata.promptops is no JSON object") from error
    if not isinstance(told, dict) or not all(
        key in _TOLD and isinstance(value, _TOLD[key]) for key, value in told.items()
    ):
        raise UsageError("metadata.promptops has another form", hint=f"an object with some of {', '.join(_TOLD)}")
    changed = sorted(_RELEASED & data.keys())
    if changed:
        raise UsageError(f"{', '.join(changed)}: what the release says holds", hint="leave it out of the request")
    user = data.get("user")
    return Asked(
        model.removeprefix(PREFIX),
        told.get("variables", {}),
        told.get("unit") or (user if isinstance(user, str) and user else None),
        *(told.get(key) for key in ("session", "turn", "pin", "outcome", "opportunity")),
    )


def fill(data: Mapping[str, Any], found: Resolved, asked: Asked) -> dict[str, Any]:
    """Return the request with the release's messages, parameters and model; the client's messages follow the release's.

    Raises:
        UsageError: a variable is missing, unknown or of another type.
        InputError: the template fails on these values.
    """
    request = found.render(**asked.variables)
    request["messages"] = [*request["messages"], *(data.get("messages") or [])]
    metadata = {**(data.get("metadata") or {}), KEY: told(found, asked)}
    return {**data, **request, "metadata": metadata}


def told(found: Resolved, asked: Asked) -> dict[str, Any]:
    """Return what later hooks and other loggers of the gateway learn of the request, as plain JSON."""
    return {
        "prompt": found.name, "environment": found.environment, "version": found.version, "release": found.digest,
        "arm": found.arm, "pin": found.pin, "unit": asked.unit, "session": asked.session, "turn": asked.turn,
    }  # fmt: skip


def load(asked: Asked, snapshot: str | None) -> Resolved:
    """Return the prompt that the request's unit gets.

    Raises:
        PromptopsError: there is no snapshot, or it serves no such prompt.
    """
    return runtime.load(asked.prompt, unit=asked.unit, session=asked.session, pin=asked.pin, snapshot=snapshot)


def feedback(asked: Asked, found: Resolved) -> bool:
    """Record the outcome or the opportunity that a request tells of, and return whether it told of one.

    Raises:
        UsageError: an outcome without a name, or with a value that is no number.
    """
    if asked.opportunity is not None:
        found.opportunity(asked.opportunity, turn=asked.turn)
    if asked.outcome is not None:
        outcome = dict(asked.outcome)
        name, value = outcome.pop("name", None), outcome.pop("value", None)
        allowed = {"source", "response_id", "evaluator", "missing", "unit_of"}
        if not isinstance(name, str) or isinstance(value, bool) or not isinstance(value, int | float | None):
            raise UsageError("an outcome has a name and a number", hint='{"name": "thumbs", "value": 1}')
        if outcome.keys() - allowed or not all(isinstance(text, str) for text in outcome.values()):
            raise UsageError("an outcome has other members", hint=f"name, value, {', '.join(sorted(allowed))}")
        record(told(found, asked), name, value, **outcome)
    return asked.opportunity is not None or asked.outcome is not None


def record(about: Mapping[str, Any], name: str, value: float | None, **more: Any) -> None:
    """Record an outcome of a request.

    Args:
        about: what `told` returned.
        name: the outcome's.
        value: its value; None if it is missing.
        more: as `recording.outcome` takes it.
    """
    who = {key: about[key] for key in ("prompt", "environment", "unit", "session", "turn")}
    recording.outcome(name, value, **who, **more)
