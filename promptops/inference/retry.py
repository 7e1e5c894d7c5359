"""Which failures are worth another attempt, and when."""

from __future__ import annotations

import email.utils
import json
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from promptops.errors import PromptopsError
from promptops.inference.endpoint import without_key
from promptops.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from promptops.inference.endpoint import Endpoint

RETRIED = frozenset({"rate_limit", "server", "timeout", "connection", "malformed"})
_MESSAGE_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently a call is sent again.

    Attributes:
        attempts: how many times a call is sent at most.
        base: seconds that the first wait lasts at most; each further one twice as long.
        cap: seconds that a wait of our own lasts at most.
        server_cap: seconds that we wait at most where the server names a time.
    """

    attempts: int = 6
    base: float = 0.5
    cap: float = 30.0
    server_cap: float = 120.0


class AttemptError(Exception):
    """One attempt brought no reply.

    Attributes:
        kind: as in Failure.
        message: what happened, free of secrets.
        billed: whether the attempt may have been billed.
        retry_after: seconds after which the server wants to be asked again.
        overloaded: whether the server asks for less at a time.
        fatal: the error that ends the whole run, since no other call can fare better.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        billed: bool,
        retry_after: float | None = None,
        overloaded: bool = False,
        fatal: PromptopsError | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.billed = billed
        self.retry_after = retry_after
        self.overloaded = overloaded
        self.fatal = fatal


def delay(policy: RetryPolicy, attempt: int, retry_after: float | None, fraction: float) -> float:
    """Return the seconds to wait after a failed attempt.

    Full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015): uniform between 0 and the
    capped exponential. A time that the server names is a lower bound, up to its own cap; the jitter comes on top, so
    that the calls that it sent away do not come back as one.

    Args:
        policy: bounds.
        attempt: 1-based number of the attempt that failed.
        retry_after: seconds that the server names.
        fraction: uniform in [0, 1).
    """
    jitter = fraction * min(policy.cap, policy.base * 2.0 ** min(attempt - 1, 60))
    if retry_after is None:
        return jitter
    return min(retry_after, policy.server_cap) + min(jitter, policy.base)


def retry_after(headers: Mapping[str, str], wall: float) -> float | None:
    """Return the seconds that a response asks to wait: ``retry-after-ms``, or RFC 9110 10.2.3 seconds or date.

    Args:
        headers: by lower-case name, or a mapping that ignores case.
        wall: seconds since the epoch now.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    if value is None:
        return None
    seconds = _number(value)
    if seconds is not None:
        return seconds
    try:
        named = email.utils.parsedate_to_datetime(value)
        # The asctime form names no zone: RFC 9110 5.6.7 has every date in UTC, whatever this machine's zone is.
        at = named if named.tzinfo else named.replace(tzinfo=UTC)
        return max(0.0, at.timestamp() - wall)
    except (ValueError, OverflowError):
        return None


def refused(
    endpoint: Endpoint, status: int, headers: Mapping[str, str], body: bytes, *, model: str, wall: float
) -> AttemptError:
    """Classify a response that is no success.

    Args:
        endpoint: who answered.
        status: HTTP status, 300 or more.
        headers: of the response.
        body: beginning of the response's body.
        model: what the request asked for.
        wall: seconds since the epoch now.
    """
    code, text = _explanation(body)
    # Shortened last: of a key that is cut in two the first part would stay.
    text = printable(without_key(endpoint, text)[:_MESSAGE_CHARACTERS])
    message = f"{endpoint.name} answered HTTP {status}" + (f": {text}" if text else "")
    fatal = _fatal(endpoint, status, code, model)
    if fatal is not None:
        return AttemptError("rejected", fatal.message, billed=False, fatal=fatal)
    wait = retry_after(headers, wall)
    if status == 429:
        return AttemptError("rate_limit", message, billed=False, retry_after=wait, overloaded=True)
    if status == 408:
        return AttemptError("timeout", message, billed=True, retry_after=wait)
    if status == 409 or status >= 500:
        return AttemptError("server", message, billed=True, retry_after=wait, overloaded=status == 503)
    return AttemptError("rejected", message, billed=False)


def _fatal(endpoint: Endpoint, status: int, code: str, model: str) -> PromptopsError | None:
    key = endpoint.api_key_env or "the variable that api_key_env in the model file names"
    if status in {401, 403}:
        return PromptopsError(
            f"{endpoint.name} does not accept the API key (HTTP {status})",
            hint=f"set {key} to a key that {endpoint.base_url} accepts for {printable(model)}",
        )
    if status == 404:
        return PromptopsError(
            f"{endpoint.name} knows no model {printable(model)!r}, or its address is wrong (HTTP 404)",
            hint=f"check id in the model file, and that {endpoint.base_url} is the part before /chat/completions",
        )
    if status == 429 and code == "insufficient_quota":
        return PromptopsError(
            f"the account behind {key} has no credit left at {endpoint.name}",
            hint="add credit, or raise the account's limit; replies so far stay in the journal",
        )
    return None


def _explanation(body: bytes) -> tuple[str, str]:
    """Return the code and the message of an error body in OpenAI's form, empty where it has another."""
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        return "", ""
    error = value.get("error") if isinstance(value, dict) else None
    if isinstance(error, str):
        return "", error
    if not isinstance(error, dict):
        return "", ""
    code, text = error.get("code"), error.get("message")
    return code if isinstance(code, str) else "", text if isinstance(text, str) else ""


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else -1.0
    except ValueError:
        return None
    # False for NaN and infinity too.
    return value if 0 <= value < 1e9 else None
