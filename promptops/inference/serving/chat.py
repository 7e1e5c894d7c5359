"""From a harness's chat completion request to the configuration's own, and from a reply to OpenAI's shape.

What a harness says reaches the model where a user's words do in production, and nowhere else: the first user message
fills the prompt's open variable, later messages follow as turns. A harness's system messages are part of what its task
says, so they stand before the user's first words; they never become system messages beside the prompt's own.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import InputError, UsageError
from promptops.inference.serving.http import HttpError, encoded
from promptops.registry import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

    from promptops.inference.reply import Reply
    from promptops.registry.configuration import Configuration

_INSTRUCTING = ("system", "developer")
_FOLLOWING = {
    "user": ("content", "name"),
    "assistant": ("content", "name", "tool_calls"),
    "tool": ("content", "tool_call_id"),
}
# What the endpoint reads itself; all else that a request asks for is the configuration's business.
_READ = frozenset({"messages", "model", "stream", "stream_options", "n"})


class Asked(NamedTuple):
    """What a harness asked for.

    Attributes:
        request: arguments of the configuration's own call.
        stream: whether server-sent events are wanted.
        usage: whether those end with a chunk of token counts.
        ignored: members that the configuration's own took the place of, sorted.
    """

    request: dict[str, Any]
    stream: bool
    usage: bool
    ignored: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the request: the order of its members does not count."""
        return canonical.sha256(self.request).removeprefix("sha256:")


def open_variable(configuration: Configuration, fixed: Mapping[str, Any]) -> str | None:
    """Return the variable that a harness's words fill; None for a prompt that leaves none open.

    Args:
        configuration: what is served.
        fixed: values of variables that are the same for every request.

    Raises:
        UsageError: a fixed variable is unknown, or more than one is left to fill.
    """
    schema = configuration.prompt.variables
    unknown = sorted(fixed.keys() - schema.keys())
    if unknown:
        raise UsageError(
            f"{configuration.prompt.name} has no variable {unknown[0]}",
            hint=f"declared: {', '.join(schema) or 'none'}",
        )
    left = [name for name in schema if name not in fixed]
    required = [name for name in left if "default" not in schema[name]]
    target = required or left
    if len(target) > 1:
        raise UsageError(
            f"{configuration.prompt.name} leaves {len(target)} variables open: {', '.join(target)}",
            hint="a harness fills one; give the others fixed values",
        )
    return target[0] if target else None


def read(body: bytes, configuration: Configuration, fixed: Mapping[str, Any]) -> Asked:
    """Read a request and make the configuration's own of it.

    Args:
        body: JSON of a chat completion request.
        configuration: what is served.
        fixed: values of the variables that the harness does not fill.

    Raises:
        HttpError: it is no such request, or what it says does not fit the prompt.
    """
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HttpError(400, "the body is no JSON") from error
    if not isinstance(value, dict):
        raise HttpError(400, "the body is no JSON object")
    if value.get("n") not in (None, 1):
        raise HttpError(400, "one choice at a time: send n equal requests in place of n > 1")
    if value.get("stream") not in (None, True, False):
        raise HttpError(400, "`stream` is true or false")
    options = value.get("stream_options")
    said, turns = _conversation(value.get("messages"))
    try:
        variable = open_variable(configuration, fixed)
        request = configuration.render({**fixed, **({variable: said} if variable else {})})
        if not variable:
            turns.insert(0, {"role": "user", "content": said})
        asked = {**request, "messages": [*request["messages"], *turns]}
        canonical.dumps(asked)
    except (UsageError, InputError) as error:
        hint = f" ({error.hint})" if error.hint else ""
        raise HttpError(400, f"the prompt cannot be rendered: {error.message}{hint}") from error
    usage = isinstance(options, dict) and options.get("include_usage") is True
    return Asked(asked, value.get("stream") is True, usage, tuple(sorted(value.keys() - _READ)))


def _conversation(messages: object) -> tuple[str, list[dict[str, Any]]]:
    """Return the first words of the user, instructions before them, and the turns that follow."""
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise HttpError(400, "messages is no list of objects")
    instructions, turns = [], []
    for message in messages:
        if message.get("role") in _INSTRUCTING:
            instructions.append(_text(message.get("content")))
        else:
            turns.append(_turn(message))
    if not turns or turns[0]["role"] != "user":
        raise HttpError(400, "the first message that is no system message must be the user's")
    return "\n\n".join([*instructions, turns[0]["content"]]), turns[1:]


def _turn(message: dict[str, Any]) -> dict[str, Any]:
    role = message.get("role")
    members = _FOLLOWING.get(role) if isinstance(role, str) else None
    if members is None:
        raise HttpError(400, "a message has a role other than system, developer, user, assistant and tool")
    kept = {name: message[name] for name in members if message.get(name) is not None}
    if "content" in kept:
        kept["content"] = _text(kept["content"])
    elif "tool_calls" not in kept:
        raise HttpError(400, f"a message of the {role} has no content")
    return {"role": role, **kept}


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [None]
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    if len(texts) != len(parts) or not all(isinstance(text, str) for text in texts):
        raise HttpError(400, "a message holds something else than text")
    return "\n".join(str(text) for text in texts)


def completion(reply: Reply, name: str) -> bytes:
    """Return a reply as the body of a chat completion called ``name``."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": None}
    if reply.tool_calls:
        message["tool_calls"] = reply.tool_calls
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish_reason}
    return encoded({**_head(reply, name, "chat.completion"), "choices": [choice], "usage": _usage(reply)})


def events(reply: Reply, name: str, *, usage: bool) -> bytes:
    """Return a reply as server-sent events: its content in one chunk, why it ended, token counts where wanted."""
    delta: dict[str, Any] = {"role": "assistant", "content": reply.text}
    if reply.tool_calls:
        delta["tool_calls"] = [{**call, "index": index} for index, call in enumerate(reply.tool_calls)]
    head = _head(reply, name, "chat.completion.chunk")
    chunks: list[dict[str, Any]] = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reply.finish_reason}]},
    ]
    if usage:
        chunks.append({**head, "choices": [], "usage": _usage(reply)})
    return b"".join(b"data: " + encoded(chunk) + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"


def _head(reply: Reply, name: str, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{name}",
        "object": kind,
        "created": int(time.time()),
        "model": reply.model,
        "system_fingerprint": reply.fingerprint,
    }


def _usage(reply: Reply) -> dict[str, int]:
    total = reply.prompt_tokens + reply.completion_tokens
    return {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "total_tokens": total,
    }
