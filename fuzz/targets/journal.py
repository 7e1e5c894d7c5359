"""The journal of paid replies: whole lines are JSON with a reply's members in a reply's types."""

from __future__ import annotations

import math
import os
from typing import Any

from oracle import ViolationError, require, require_place, unique_json

from promptops.errors import PromptopsError
from promptops.inference import journal
from promptops.inference.reply import Reply
from targets.traffic import _folder as folder

SPLIT = b"\n"
PIECES = (
    *[b'{"key": "a", "text": "t", "model": "m"}', b'"key": ', b'"text": ', b'"model": ', b'"fingerprint": ', b'"finish_reason": ', b'"prompt_tokens": ', b'"completion_tokens": '],
    *[b'"latency": ', b'"cost": ', b'"attempts": ', b'"tool_calls": ', b'"other": 1, ', b'"key": "b", ', b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\\ud800", b"\\u0000"],
    *[b"\n", b"\r", b" ", b"\x00", b"\xff", b"\xef\xbb\xbf", b"NaN", b"-Infinity", b"1e999", b"-1", b"0.5", b"true", b"null", b'"5"', b"[{}]", b"[1]", b"99999999999999999999999"],
)  # fmt: skip


def target(data: bytes) -> None:
    """Read a journal that holds these bytes."""
    path = os.path.join(folder(), "replies")
    with open(path, "wb") as file:
        file.write(data)
    try:
        found = journal.read(path)
    except PromptopsError as error:
        require_place(error, path, data.count(b"\n") + 1)
        raise
    try:
        values = [unique_json(line) for line in data.split(b"\n")[:-1]]
        expected = {value["key"]: Reply(**value) for value in values}
    except (ValueError, TypeError, KeyError) as error:
        raise ViolationError(f"accepted what is no reply: {error!r:.150}") from error
    require(list(found.items()) == list(expected.items()), "other replies")
    for reply in found.values():
        require(_typed(reply), f"a member of another type: {reply!r:.200}")


def _typed(reply: Reply) -> bool:
    texts = [
        reply.key,
        reply.text,
        reply.model,
        reply.finish_reason,
        "" if reply.fingerprint is None else reply.fingerprint,
    ]
    return (
        all(isinstance(text, str) for text in texts)
        and all(map(_count, (reply.prompt_tokens, reply.completion_tokens, reply.attempts)))
        and all(_finite(number) for number in (reply.latency, reply.cost))
        and isinstance(reply.tool_calls, list)
        and all(isinstance(call, dict) for call in reply.tool_calls)
    )


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
