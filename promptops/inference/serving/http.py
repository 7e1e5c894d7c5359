"""HTTP/1.1 for one local client at a time that may be anything: bounded, and strict where leniency would be a guess."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_HEAD = 32 * 1024
MAX_BODY = 4 * 1024 * 1024
_BODY_SECONDS = 60.0
_DISCARD_SECONDS = 2.0
_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    411: "Length Required",
    413: "Content Too Large",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    502: "Bad Gateway",
    503: "Service Unavailable",
}


class Request(NamedTuple):
    """A request; header names are lower case, the path is without its query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def closing(self) -> bool:
        """Whether the client wants the connection closed after the answer."""
        return self.headers.get("connection", "").lower() == "close"


@dataclass(frozen=True, slots=True)
class Response:
    """A response; ``closing`` ends the connection after it."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    closing: bool = False


class HttpError(Exception):
    """An answer in OpenAI's error form in place of a result.

    Args:
        status: HTTP status.
        message: what is wrong, in a sentence.
        kind: OpenAI's ``type``.
        code: OpenAI's ``code``.
        final: whether the same request cannot succeed later; clients that know the header do not try again.
        closing: whether the connection cannot be used any more.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        final: bool = True,
        closing: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.value: dict[str, Any] = {"error": {"message": message, "type": kind, "param": None, "code": code}}
        self.final = final
        self.closing = closing

    def response(self) -> Response:
        """Return it as a response."""
        headers = {"x-should-retry": "false"} if self.final else {}
        return Response(self.status, encoded(self.value), headers=headers, closing=self.closing)


def encoded(value: Any) -> bytes:
    """Return JSON in ASCII: no text in it depends on the client's idea of an encoding."""
    return json.dumps(value, separators=(",", ":")).encode()


async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    """Read the next request; None when the client has gone.

    Raises:
        HttpError: it is no request that is answered here.
        ConnectionError: the connection broke.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError as error:
        raise HttpError(431, f"the head is larger than {MAX_HEAD} bytes", closing=True) from error
    start, *lines = head[:-4].decode("latin-1").split("\r\n")
    method, _, rest = start.partition(" ")
    target, _, version = rest.partition(" ")
    if version not in {"HTTP/1.1", "HTTP/1.0"} or not target.startswith("/"):
        raise HttpError(400, "this is no HTTP/1.1 request for a path", closing=True)
    headers = _headers(lines)
    body = await _body(headers, reader, writer)
    return Request(method, target.partition("?")[0], headers, body)


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.lower()
        # Two of these could be read in two ways.
        twice = name in headers and name in {"content-length", "host", "authorization"}
        if not colon or not name or name != name.strip() or twice:
            raise HttpError(400, "a header is malformed or stands twice", closing=True)
        headers[name] = value.strip()
    return headers


async def _body(headers: Mapping[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    if "transfer-encoding" in headers:
        raise HttpError(411, "send the body with a content-length, not in chunks", closing=True)
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdecimal() and len(length) < 16):
        raise HttpError(400, "the content-length is no number", closing=True)
    size = int(length)
    if size > MAX_BODY:
        await _discard(headers, reader, size)
        raise HttpError(413, f"the body is larger than {MAX_BODY} bytes", closing=True)
    if size and headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await reader.readexactly(size)
    except (asyncio.IncompleteReadError, TimeoutError) as error:
        raise HttpError(400, "the body is shorter than its content-length", closing=True) from error


async def _discard(headers: Mapping[str, str], reader: asyncio.StreamReader, size: int) -> None:
    """Read what is refused, within reason: closing on unread data resets the connection before the answer is read."""
    left = 0 if "expect" in headers else min(size, 16 * MAX_BODY)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DISCARD_SECONDS):
            while left > 0 and (part := await reader.read(min(left, 1 << 16))):
                left -= len(part)


async def write(writer: asyncio.StreamWriter, response: Response, *, head_only: bool = False) -> None:
    """Send a response.

    Raises:
        ConnectionError: the client has gone.
    """
    fields = {
        "content-type": response.content_type,
        "content-length": str(len(response.body)),
        "cache-control": "no-store",
        "connection": "close" if response.closing else "keep-alive",
        **response.headers,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    reason = _REASONS.get(response.status, "Unknown")
    writer.write(f"HTTP/1.1 {response.status} {reason}\r\n{lines}\r\n".encode("latin-1"))
    if not head_only:
        writer.write(response.body)
    await writer.drain()
