"""One request to an endpoint as the openai client writes it, and what can go wrong with it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.request import getproxies

from promptops.errors import PromptopsError
from promptops.inference.endpoint import without_key
from promptops.inference.retry import AttemptError, refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    import aiohttp
    import httpx2
    import openai
    import yarl

    from promptops.inference.endpoint import Endpoint

PATH = "/chat/completions"
PROXIED = frozenset({"http", "https", "all"})
CONNECT_SECONDS = 15.0
_KEPT_SECONDS = 5.0
_ERROR_BYTES = 64 * 1024
# Asked for as it is: a compressed body could grow a thousandfold behind the size limit.
_HEADERS: dict[str, Any] = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
# What the session writes itself for each request.
_OWN = frozenset({"host", "content-length", "connection"})


class Response(NamedTuple):
    """Bytes of a successful response."""

    content_type: str
    body: bytes


class _Received(NamedTuple):
    """A response of any status; of a body that is too large only its beginning."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class _Sender(Protocol):
    """One way to an endpoint."""

    async def send(self, body: bytes) -> _Received:
        """Send one request."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class Transport:
    """Sends what the openai client writes, without its retries and its pydantic models.

    The client says where to and with which headers; the requests themselves go over an aiohttp session, because the
    layers between the two take several times the CPU of all the rest (``bench/runner.py``). Where the environment
    names a proxy, the client sends them itself.

    Args:
        endpoint: where to send.
        connections: how many may be open.
        max_body: bytes of a response at most.
        wall: seconds since the epoch, for HTTP dates.

    Raises:
        PromptopsError: the packages are not installed.
    """

    def __init__(self, endpoint: Endpoint, *, connections: int, max_body: int, wall: Callable[[], float]) -> None:
        try:
            import aiohttp
            import httpx2
            import openai
        except ImportError as error:
            raise PromptopsError(
                "sending requests needs the openai client with its aiohttp transport",
                hint="pip install 'promptops-git[release]'",
            ) from error
        self._endpoint = endpoint
        self._max_body = max_body
        self._wall = wall
        self._broken = (openai.APIConnectionError, httpx2.HTTPError, aiohttp.ClientError)
        # A proxy of the environment does not reach this machine's own loopback server.
        proxied = not endpoint.free and bool(PROXIED & getproxies().keys())
        self._sender: _Sender = (_Client if proxied else _Session)(endpoint, connections, max_body)

    async def post(self, body: bytes, model: str, timeout: float) -> Response:  # noqa: ASYNC109  the time is one attempt's
        """Send one chat completion request and return its answer.

        Args:
            body: the request's JSON.
            model: the model it asks for, for messages.
            timeout: seconds until the last byte.

        Raises:
            AttemptError: there is no successful answer.
        """
        try:
            async with asyncio.timeout(timeout):
                status, headers, content = await self._sender.send(body)
        # First: a connection that was not made in time is a TimeoutError too.
        except self._broken as error:
            raise _connection_failure(self._endpoint, error) from error
        except TimeoutError as error:
            raise AttemptError("timeout", f"no answer within {timeout:.0f} s", billed=True) from error
        except OSError as error:
            raise _connection_failure(self._endpoint, error) from error
        if status >= 300:
            raise refused(self._endpoint, status, headers, content, model=model, wall=self._wall())
        if len(content) > self._max_body:
            raise AttemptError("malformed", f"the response is larger than {self._max_body} bytes", billed=True)
        # Any byte is a character of Latin-1, so the body comes back as it was.
        body = without_key(self._endpoint, content.decode("latin-1")).encode("latin-1")
        return Response(without_key(self._endpoint, headers.get("content-type", "")), body)

    async def close(self) -> None:
        """Close every connection."""
        await self._sender.close()


class _Session:
    """An aiohttp session with the address and the headers that the openai client would send to and with."""

    def __init__(self, endpoint: Endpoint, connections: int, max_body: int) -> None:
        self._endpoint = endpoint
        self._connections = connections
        self._max_body = max_body
        self._opened: tuple[aiohttp.ClientSession, yarl.URL] | None = None

    async def send(self, body: bytes) -> _Received:
        if self._opened is None:
            request = await _written(self._endpoint)
            # Another request may have opened it meanwhile.
            self._opened = self._opened or self._open(request)
        session, url = self._opened
        async with session.post(url, data=body, allow_redirects=False) as response:
            most = _ERROR_BYTES if response.status >= 300 else self._max_body
            return _Received(response.status, response.headers, await _start(response.content.iter_any(), most))

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened[0].close()

    def _open(self, request: httpx2.Request) -> tuple[aiohttp.ClientSession, yarl.URL]:
        import aiohttp
        import httpx2
        import yarl

        url = yarl.URL(str(request.url), encoded=True)
        secure = httpx2.create_ssl_context(trust_env=not self._endpoint.free) if url.scheme == "https" else True
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=_KEPT_SECONDS, ssl=secure),
            headers={name: value for name, value in request.headers.items() if name.lower() not in _OWN},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )
        return session, url


class _Client:
    """The openai client with its aiohttp transport."""

    def __init__(self, endpoint: Endpoint, connections: int, max_body: int) -> None:
        import httpx2
        import openai

        self._max_body = max_body
        self._client = _openai(
            endpoint,
            openai.DefaultAioHttpClient(
                limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
                timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS),
                follow_redirects=False,
                event_hooks={"response": [self._check]},
            ),
        )
        self._headers = _headers(endpoint)
        # Asked for a plain response, the client returns one and no stream of events.
        self._stream: Any = openai.AsyncStream

    async def send(self, body: bytes) -> _Received:
        import httpx2

        try:
            response: httpx2.Response = await self._client.post(
                PATH,
                cast_to=httpx2.Response,
                content=body,
                options={"headers": self._headers},
                stream=True,
                stream_cls=self._stream,
            )
        except _StatusError as error:
            return error.received
        try:
            return _Received(
                response.status_code, response.headers, await _start(response.aiter_bytes(), self._max_body)
            )
        finally:
            await response.aclose()

    async def close(self) -> None:
        await self._client.close()

    async def _check(self, response: httpx2.Response) -> None:
        """Stop at a status that is no success, before the client reads a body of any size."""
        if response.status_code >= 300:
            content = await _start(response.aiter_bytes(), _ERROR_BYTES)
            raise _StatusError(_Received(response.status_code, response.headers, content))


class _StatusError(Exception):
    def __init__(self, received: _Received) -> None:
        super().__init__(received.status)
        self.received = received


def _openai(endpoint: Endpoint, http_client: httpx2.AsyncClient) -> openai.AsyncOpenAI:
    import openai

    return openai.AsyncOpenAI(
        # Without a value the client would take a key that is meant for another endpoint out of the environment.
        api_key=endpoint.api_key or "unused",
        base_url=endpoint.base_url,
        max_retries=0,
        http_client=http_client,
    )


def _headers(endpoint: Endpoint) -> dict[str, Any]:
    import openai

    return _HEADERS if endpoint.api_key else {**_HEADERS, "Authorization": openai.Omit()}


async def _written(endpoint: Endpoint) -> httpx2.Request:
    """Return a request as the openai client writes it; nothing is sent."""
    import httpx2

    seen: list[httpx2.Request] = []

    def keep(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200)

    async with _openai(endpoint, httpx2.AsyncClient(transport=httpx2.MockTransport(keep))) as client:
        await client.post(PATH, cast_to=httpx2.Response, content=b"{}", options={"headers": _headers(endpoint)})
    return seen[0]


async def _start(chunks: AsyncIterator[bytes], most: int) -> bytes:
    """Return a body, or its beginning that is just longer than ``most``."""
    found: list[bytes] = []
    size = 0
    async for chunk in chunks:
        found.append(chunk)
        size += len(chunk)
        if size > most:
            break
    return b"".join(found)


def _connection_failure(endpoint: Endpoint, error: BaseException) -> AttemptError:
    """Tell failures apart by their first cause: the layers above call a reset connection a time-out."""
    import aiohttp

    cause = error
    while cause.__cause__ is not None:
        if isinstance(cause, aiohttp.ClientError):
            break
        cause = cause.__cause__
    unsent = isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
    if isinstance(cause, TimeoutError):
        what = "no connection" if unsent else "no answer"
        return AttemptError("timeout", f"{endpoint.name}: {what} in time", billed=not unsent)
    what = "cannot connect" if unsent else "the connection broke"
    return AttemptError("connection", f"{endpoint.name}: {what} ({type(cause).__name__})", billed=not unsent)
