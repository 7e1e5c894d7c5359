"""What goes to an endpoint and what comes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """One chat completion to make.

    Attributes:
        key: stable name of this call within a run; a resumed run recognises paid replies by it.
        request: arguments of ``POST /chat/completions`` in OpenAI's names, sent as they are.
    """

    key: str
    request: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """A paid answer to a call.

    Attributes:
        key: the call's key.
        text: content of the first choice; empty when it holds tool calls only.
        model: model id that the endpoint says answered.
        fingerprint: the endpoint's ``system_fingerprint``.
        finish_reason: ``stop``, ``length``, ``tool_calls``, ``content_filter`` or what the endpoint says.
        prompt_tokens: tokens in the request, as billed.
        completion_tokens: tokens in the answer, as billed.
        latency: seconds from sending the successful attempt to its last byte.
        cost: money in the model file's currency; 0 where it has no price.
        attempts: how many times the request was sent.
        tool_calls: tool calls of the first choice as the endpoint wrote them.
    """

    key: str
    text: str
    model: str
    fingerprint: str | None = None
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    latency: float = 0.0
    cost: float = 0.0
    attempts: int = 1
    tool_calls: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that got no answer within its attempts.

    Attributes:
        key: the call's key.
        kind: ``rate_limit``, ``server``, ``timeout``, ``connection``, ``malformed``, ``rejected`` or ``budget``.
        message: what happened, free of secrets.
        attempts: how many times the request was sent.
    """

    key: str
    kind: str
    message: str
    attempts: int
