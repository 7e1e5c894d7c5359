"""Reading a chat completion without trusting it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from promptops.inference.retry import AttemptError

# A reasoning model may spend its whole allowance before the first visible word; a filter may leave none.
_SILENT = frozenset({"length", "content_filter"})
_MOST_TOKENS = 2**53


class Answer(NamedTuple):
    """What a response says; token counts are None where it does not say."""

    text: str
    model: str
    fingerprint: str | None
    finish_reason: str
    prompt_tokens: int | None
    completion_tokens: int | None
    tool_calls: list[dict[str, Any]]


def read(body: bytes, content_type: str) -> Answer:
    """Read the first choice of a chat completion.

    Strictness ends where a paid reply would be thrown away for a member that nobody reads: duplicate keys, unknown
    members and numbers elsewhere are let pass.

    Raises:
        AttemptError: of kind ``malformed``; it may have been billed.
    """
    media = content_type.partition(";")[0].strip()
    if not media.lower().endswith("json"):
        raise _malformed(f"content type {media[:60]!r} in place of JSON")
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _malformed("no valid JSON") from error
    choices = value.get("choices") if isinstance(value, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise _malformed("no choices")
    message = choices[0].get("message")
    if not isinstance(message, dict):
        raise _malformed("no message in the first choice")
    finish = choices[0].get("finish_reason")
    tool_calls = _tool_calls(message.get("tool_calls"))
    usage = value.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    fingerprint, model = value.get("system_fingerprint"), value.get("model")
    return Answer(
        text=_text(message, finish, has_calls=bool(tool_calls)),
        model=_clean(model) if isinstance(model, str) else "",
        fingerprint=_clean(fingerprint) if isinstance(fingerprint, str) else None,
        finish_reason=_clean(finish) if isinstance(finish, str) else "stop",
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        tool_calls=tool_calls,
    )


def _text(message: dict[str, Any], finish: object, *, has_calls: bool) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return _clean(content)
    if content is not None:
        raise _malformed(f"content of type {type(content).__name__} in place of text")
    refusal = message.get("refusal")
    if isinstance(refusal, str):
        return _clean(refusal)
    if has_calls or (isinstance(finish, str) and finish in _SILENT):
        return ""
    raise _malformed("neither content nor tool calls")


def _tool_calls(value: object) -> list[dict[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(call, dict) for call in value):
        raise _malformed("tool calls that are no list of objects")
    return value


def _count(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_TOKENS:
        return value
    return None


def _clean(text: str) -> str:
    r"""Replace lone surrogates, which JSON can escape and no file can hold, by U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _malformed(what: str) -> AttemptError:
    return AttemptError("malformed", f"the response holds {what}", billed=True)
