"""The endpoint itself: who may ask, how many at a time, and which sample a request is."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from promptops.errors import PromptopsError
from promptops.inference.reply import Failure, Reply
from promptops.inference.serving import chat, http
from promptops.inference.serving.http import HttpError, Request, Response
from promptops.registry import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from promptops.registry.configuration import Configuration

Ask: TypeAlias = Callable[[str, dict[str, Any]], Awaitable[Reply | Failure]]

CONNECTIONS = 128
UNDER_WAY = 64
_CHAT = "/v1/chat/completions"
_MODELS = "/v1/models"


class Samples:
    """Which sample of its kind each request is.

    Two equal requests of one run are two samples; the n-th request with one content is sample n, so that a run that is
    repeated after a crash asks for the same samples and pays for none twice. A number whose answer did not arrive goes
    to the next equal request: a client that tries again does not buy another sample.
    """

    def __init__(self) -> None:
        self._taken: dict[str, set[int]] = {}

    def take(self, digest: str) -> int:
        """Return the least number that no request of this content has."""
        taken = self._taken.setdefault(digest, set())
        number = next(number for number in range(len(taken) + 1) if number not in taken)
        taken.add(number)
        return number

    def give_back(self, digest: str, number: int) -> None:
        """Free a number again."""
        self._taken[digest].discard(number)


class Server:
    """An endpoint on 127.0.0.1 for one configuration; an async context manager.

    Args:
        configuration: what is served, whatever model and parameters a request asks for.
        ask: sends a request under a key that names its content and sample, and returns the answer.
        fixed: values of the prompt's variables that are the same for every request.
        name: what the model is called, and a part of every key.
        port: 0 takes a free one.

    Attributes:
        token: what a client must send as ``Authorization: Bearer``; random, and nowhere on disk.
        answered: requests that got a reply.
        refused: requests that got none, by HTTP status.
        fault: why no call can succeed any more, or None.
        out_of_budget: whether the budget has ended.

    Raises:
        UsageError: the prompt leaves more than one variable open.
        PromptopsError: the port cannot be taken.
    """

    def __init__(
        self,
        configuration: Configuration,
        ask: Ask,
        *,
        fixed: Mapping[str, Any] | None = None,
        name: str = "candidate",
        port: int = 0,
    ) -> None:
        self._configuration = configuration
        self._ask = ask
        self._fixed = dict(fixed or {})
        chat.open_variable(configuration, self._fixed)
        self.name = name
        self.token = secrets.token_urlsafe(32)
        self.answered = 0
        self.refused: dict[int, int] = {}
        self.fault: PromptopsError | None = None
        self.out_of_budget = False
        self._port = port
        self._samples = Samples()
        self._places = asyncio.Semaphore(UNDER_WAY)
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def base_url(self) -> str:
        """What a client takes as OPENAI_BASE_URL."""
        return f"http://127.0.0.1:{self._port}/v1"

    async def __aenter__(self) -> Self:
        try:
            self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port, limit=http.MAX_HEAD)
        except OSError as error:
            raise PromptopsError(
                f"cannot listen on 127.0.0.1:{self._port}: {error.strerror}", hint="choose another with --port, or 0"
            ) from error
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        # Transports close in the loop's next round.
        await asyncio.sleep(0)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._connections) >= CONNECTIONS:
            busy = HttpError(503, f"more than {CONNECTIONS} connections", kind="server_error", final=False)
            with contextlib.suppress(ConnectionError):
                await http.write(writer, busy.response())
            writer.close()
            return
        self._connections.add(task)
        try:
            with contextlib.suppress(ConnectionError):
                while await self._exchange(reader, writer):
                    pass
        except asyncio.CancelledError:
            # Ending is how a connection is closed here; whoever waits for the task must not see it fail. What a client
            # did not read is not waited for: the loop may end before.
            writer.transport.abort()
        finally:
            self._connections.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request and say whether another may follow."""
        request: Request | None = None
        try:
            request = await http.read(reader, writer)
            if request is None:
                return False
            self._admit(request)
            if request.path == _CHAT and request.method == "POST":
                return await self._complete(request, writer)
            response = self._look_up(request)
        except HttpError as error:
            self.refused[error.status] = self.refused.get(error.status, 0) + 1
            response = error.response()
        await http.write(writer, response)
        return not (response.closing or (request and request.closing))

    def _admit(self, request: Request) -> None:
        """Let in who has the token and speaks to this address: a page in a browser has neither."""
        hosts = {f"127.0.0.1:{self._port}", f"localhost:{self._port}"}
        if request.headers.get("host") not in hosts:
            raise HttpError(403, "this endpoint answers to its own address only", code="wrong_host", closing=True)
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        good = hmac.compare_digest(given.strip().encode("latin-1", "replace"), self.token.encode())
        if scheme.lower() != "bearer" or not good:
            raise HttpError(401, "the token of this run is missing or wrong", code="invalid_api_key", closing=True)

    def _look_up(self, request: Request) -> Response:
        model = {"id": self.name, "object": "model", "created": 0, "owned_by": "promptops"}
        if request.path in {_MODELS, f"{_MODELS}/{self.name}"} and request.method == "GET":
            value = {"object": "list", "data": [model]} if request.path == _MODELS else model
            return Response(200, http.encoded(value))
        if request.path in {_MODELS, _CHAT}:
            raise HttpError(405, f"{request.method} is no method of {request.path}")
        raise HttpError(404, f"only {_CHAT} and {_MODELS} are served here, not the path that was asked for")

    async def _complete(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        asked = chat.read(request.body, self._configuration, self._fixed)
        digest = asked.digest
        number = self._samples.take(digest)
        delivered = False
        try:
            async with self._places:
                reply = await self._answer(
                    canonical.dumps(["serve", self.name, digest, number]).decode(), asked.request
                )
            # A connection that broke meanwhile shows here or never.
            label = f"{digest[:16]}-{number}"
            ignored = {"x-promptops-ignored": ",".join(asked.ignored)[:500]} if _plain(asked.ignored) else {}
            if asked.stream:
                body = chat.events(reply, label, usage=asked.usage)
                response = Response(200, body, "text/event-stream", headers=ignored)
            else:
                response = Response(200, chat.completion(reply, label), headers=ignored)
            if writer.is_closing():
                raise ConnectionResetError
            await http.write(writer, response)
            delivered = True
        finally:
            if not delivered:
                self._samples.give_back(digest, number)
        self.answered += 1
        return not request.closing

    async def _answer(self, key: str, request: dict[str, Any]) -> Reply:
        try:
            answer = await self._ask(key, request)
        except PromptopsError as error:
            self.fault = self.fault or error
            raise HttpError(502, error.message, kind="upstream_error", code="unusable") from error
        if isinstance(answer, Reply):
            return answer
        if answer.kind == "budget":
            self.out_of_budget = True
            raise HttpError(429, answer.message, kind="insufficient_quota", code="insufficient_quota")
        # It was tried as often as is worth it already.
        raise HttpError(502, answer.message, kind="upstream_error", code=answer.kind)


def _plain(names: tuple[str, ...]) -> bool:
    """Say whether names may stand in a header."""
    return bool(names) and all(name.isascii() and name.isidentifier() for name in names)
