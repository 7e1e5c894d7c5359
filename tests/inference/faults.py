"""An OpenAI-compatible server that misbehaves to order and remembers what it was sent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from promptops.inference.endpoint import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "sk-test-0123456789abcdef"


class Seen(NamedTuple):
    """A request as the server saw it; ``at`` is monotonic seconds, ``under_way`` counts it too."""

    body: dict[str, Any]
    headers: dict[str, str]
    at: float
    under_way: int


@dataclass(frozen=True)
class Answer:
    """One scripted answer.

    ``delay`` seconds pass first; ``held`` waits for that event; ``cut_after`` bytes of the body are followed by a reset.
    ``raw`` takes the place of the whole response.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    delay: float = 0.0
    held: threading.Event | None = None
    cut_after: int | None = None
    raw: bytes | None = None


def completion(text: Any = "hello", *, model: str = "mock-1", usage: Any = (10, 5), **message: Any) -> bytes:
    """The body of a chat completion; ``usage`` None leaves the counts out."""
    value: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": model,
        "system_fingerprint": "fp-1",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": "stop"}
        ],
    }
    if usage is not None:
        value["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
    return json.dumps(value).encode()


def error(status: int, message: str = "no", code: str | None = None, **headers: str) -> Answer:
    """An error in OpenAI's form."""
    body = json.dumps({"error": {"message": message, "code": code, "type": "t"}}).encode()
    return Answer(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


OK = Answer(body=completion())


class FaultServer:
    """A context manager; ``script`` gets the 0-based number of a request and its body.

    Attributes:
        requests: what came in, in its order.
        peak: the most requests that were under way.
        full: for scripts to set and answers to be held by.
    """

    def __init__(self, script: Callable[[int, dict[str, Any]], Answer] | list[Answer] | None = None) -> None:
        answers = script if isinstance(script, list) else []
        self._script = (
            script if callable(script) else lambda number, _: answers[min(number, len(answers) - 1)] if answers else OK
        )
        self.requests: list[Seen] = []
        self.peak = 0
        self.full = threading.Event()
        self._under_way = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)

    def endpoint(self, **changes: Any) -> Endpoint:
        """How to reach it, with a key."""
        return Endpoint(**{"base_url": self.url, "api_key": KEY, "name": "mock", "api_key_env": "MOCK_KEY", **changes})

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._stop = asyncio.Event()
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        connections: set[asyncio.Task[None]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            connections.add(task)
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._exchange(reader, writer):
                    pass
            writer.close()
            connections.discard(task)

        server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=256)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = json.loads(await reader.readexactly(int(headers.get("content-length", 0))) or b"{}")
        self._under_way += 1
        self.peak = max(self.peak, self._under_way)
        number = len(self.requests)
        self.requests.append(Seen(body, headers, self._loop.time(), self._under_way))
        try:
            return await self._answer(self._script(number, body), writer)
        finally:
            self._under_way -= 1

    async def _answer(self, answer: Answer, writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(answer.delay)
        while answer.held is not None and not answer.held.is_set():  # noqa: ASYNC110  set in another thread
            await asyncio.sleep(0.01)
        if answer.raw is not None:
            writer.write(answer.raw)
            await writer.drain()
            return False
        fields = {"content-type": answer.content_type, "content-length": str(len(answer.body)), **answer.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        writer.write(f"HTTP/1.1 {answer.status} X\r\n{lines}\r\n".encode() + answer.body[: answer.cut_after])
        await writer.drain()
        if answer.cut_after is None:
            return True
        # Lingering for zero seconds turns the close into a reset.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        return False
