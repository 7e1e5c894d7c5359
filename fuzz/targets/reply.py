"""HTTP replies: a completion is read as it stands, an error is classified, and neither shows the key."""

from __future__ import annotations

import json
import math
from typing import Any

from oracle import ViolationError, require

from promptops.errors import InputError
from promptops.inference import answer, retry
from promptops.inference.endpoint import Endpoint, without_key
from promptops.inference.retry import AttemptError, RetryPolicy
from promptops.text import printable

SPLIT = b"\n\n"
KEY = "sk-canary-0123456789"
PIECES = (
    *[b"200\n", b"401\n", b"404\n", b"429\n", b"500\n", b"503\n", b"302\n", b"content-type: application/json\n", b"content-type: text/html\n", b"retry-after: ", b"retry-after-ms: "],
    *[b"Wed, 21 Oct 2015 07:28:00 GMT", b"Wed, 21 Oct 9999 07:28:00 -0000", b"1e9", b"-5", b"nan", b"inf", b"0x10", b"1_0", b"\xd9\xa1", b", ", b"-0000", b"\n\n", b"\n", b" "],
    *[b'{"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}]}', b'"choices": ', b'"message": ', b'"content": ', b'"refusal": ', b'"tool_calls": ', b'"usage": '],
    *[b'"prompt_tokens": ', b'"system_fingerprint": ', b'"error": ', b'"code": "insufficient_quota"', b"insufficient_quota", KEY.encode(), b"Bearer ", KEY[:10].encode()],
    *[b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\\ud800", b"\\u0000", b"\\u001b[31m", b"\\u202e", b"\x00", b"\xff", b"NaN", b"1e999", b"-1", b"true", b"null", b"length", b"9" * 30, b"9" * 5000],
)  # fmt: skip
_ENDPOINT = Endpoint("https://example.org/v1", KEY, "openai", api_key_env="OPENAI_API_KEY")
_WALL = 1_700_000_000.0


def target(data: bytes) -> None:
    r"""Judge ``STATUS\nNAME: VALUE\n...\n\nBODY``."""
    head, _, body = data.partition(b"\n\n")
    lines = head.decode("latin-1").split("\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    status = int(lines[0]) if lines[0].isascii() and lines[0].isdigit() and len(lines[0]) == 3 else 200
    wait = retry.retry_after(headers, _WALL)
    require(wait is None or (math.isfinite(wait) and wait >= 0), f"a wait of {wait} s")
    require(0 <= retry.delay(RetryPolicy(), 3, wait, 0.5) <= 150.0, "a wait without end")
    try:
        if status >= 300:
            raise retry.refused(_ENDPOINT, status, headers, body, model="gpt", wall=_WALL)
        body = without_key(_ENDPOINT, body.decode("latin-1")).encode("latin-1")
        found = answer.read(body, without_key(_ENDPOINT, headers.get("content-type", "")))
    except AttemptError as error:
        _check_message(error)
        # What the client would raise or retry; a refusal either way.
        raise InputError(error.message) from error
    _check_answer(found, body)


def _check_message(error: AttemptError) -> None:
    texts = [error.message, error.fatal.message if error.fatal else "", (error.fatal.hint or "") if error.fatal else ""]
    for text in texts:
        require(KEY not in text, "the key is in an error")
        require(printable(text) == text, f"a control character is in an error: {text!r:.100}")
        require(len(text) < 1000, "an error as long as the reply")


def _check_answer(found: answer.Answer, body: bytes) -> None:
    try:
        value = json.loads(body)
        message = value["choices"][0]["message"]
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise ViolationError(f"read an answer in what has none: {error!r:.100}") from error
    said = message.get("content") if isinstance(message.get("content"), str) else message.get("refusal")
    require(found.text == _whole(said if isinstance(said, str) else ""), "another text")
    for text in (found.text, found.model, found.finish_reason, found.fingerprint or ""):
        text.encode()
    require(KEY.encode() not in body, "the key is in a reply")
    for count in (found.prompt_tokens, found.completion_tokens):
        require(count is None or (type(count) is int and 0 <= count < 2**53), "a count that is none")
    calls: list[Any] = found.tool_calls
    # The journal writes them as they are.
    json.dumps(calls)
    require(isinstance(calls, list) and all(isinstance(call, dict) for call in calls), "tool calls that are none")


def _whole(text: str) -> str:
    """Return ``text`` with lone surrogates replaced."""
    return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text)
