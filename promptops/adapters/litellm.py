"""A hook of LiteLLM's proxy: applications in any language get prompts, split and events from the gateway they have.

In the proxy's configuration: ``litellm_settings: {callbacks: promptops.adapters.litellm.hook}``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from promptops.adapters import gateway
from promptops.errors import InputError, PromptopsError, UsageError

try:
    from fastapi import HTTPException
    from litellm.exceptions import RejectedRequestError
    from litellm.integrations.custom_logger import CustomLogger
except ImportError as error:  # pragma: no cover  a machine without it
    raise UsageError("LiteLLM's proxy is not installed", hint="pip install 'litellm[proxy]'") from error

if TYPE_CHECKING:
    from datetime import datetime

THANKS = "recorded"
_CHAT = ("completion", "acompletion")


class Hook(CustomLogger):
    """Fills requests that name a prompt, and records exposure, errors and duration.

    The exposure is recorded before the request is sent, for a request that fails was one, too. A reply's outcomes are
    ``error`` (0 or 1) and ``seconds``, both from the source ``system``.

    Args:
        snapshot: path of the snapshot file; by default where `promptops.load` looks.
    """

    def __init__(self, snapshot: str | None = None) -> None:
        super().__init__()
        self._snapshot = snapshot

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: Any
    ) -> dict[str, Any] | Exception | None:
        """Return the request to send instead, or what LiteLLM turns into a reply if it only told of an outcome.

        Raises:
            HTTPException: 400 for a request that makes no sense, 503 without a snapshot that serves the prompt.
        """
        del user_api_key_dict, cache
        try:
            asked = gateway.read(data, chat=call_type in _CHAT)
            if asked is None:
                return None
            found = gateway.load(asked, self._snapshot)
            if gateway.feedback(asked, found):
                told: Exception = RejectedRequestError(THANKS, data["model"], "", data)
                return told
            filled = gateway.fill(data, found, asked)
            found.record(turn=asked.turn)
            return filled
        except (UsageError, InputError) as error:
            raise HTTPException(400, {"error": error.message, "hint": error.hint}) from error
        except PromptopsError as error:
            raise HTTPException(503, {"error": error.message, "hint": error.hint}) from error

    async def async_post_call_response_headers_hook(
        self, data: dict[str, Any], user_api_key_dict: Any, response: Any, **_more: Any
    ) -> dict[str, str] | None:
        """Tell the client which release answered, and what to store with the conversation."""
        del user_api_key_dict, response
        about = _about(data)
        names = ("version", "release", "arm", "pin")
        return {f"x-promptops-{name}": str(about[name]) for name in names if about[name] is not None} if about else None

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: datetime, end_time: datetime
    ) -> None:
        """Record that a request was answered, and in how many seconds."""
        about = _about(kwargs.get("litellm_params", {}))
        if about:
            more = {"response_id": getattr(response_obj, "id", None), "source": "system"}
            gateway.record(about, "error", 0, **more)
            gateway.record(about, "seconds", (end_time - start_time).total_seconds(), **more)

    async def async_log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: datetime, end_time: datetime
    ) -> None:
        """Record that a request failed."""
        del response_obj, start_time, end_time
        about = _about(kwargs.get("litellm_params", {}))
        if about:
            gateway.record(about, "error", 1, source="system")


def _about(holder: dict[str, Any]) -> dict[str, Any] | None:
    about = (holder.get("metadata") or {}).get(gateway.KEY)
    # A request without a prompt of ours may carry whatever it likes there.
    return about if isinstance(about, dict) and about.keys() >= gateway.TOLD else None


hook = Hook()
