"""One request to an endpoint through the openai client, and what can go wrong with it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import PromptopsError
from promptops.inference.endpoint import without_key
from promptops.inference.retry import AttemptError, refused

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx2

    from promptops.inference.endpoint import Endpoint

CONNECT_SECONDS = 15.0
_ERROR_BYTES = 64 * 1024
# Asked for as it is: a compressed body could grow a thousandfold behind the size limit.
_HEADERS: dict[str, Any] = {"Content-Type": "application/json", "Accept-Encoding": "identity"}


class Response(NamedTuple):
    """Bytes of a successful response."""

    content_type: str
    body: bytes


class Transport:
    """The openai client with its aiohttp transport, without its retries and its pydantic models.

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
        self._cast: type[httpx2.Response] = httpx2.Response
        self._stream: Any = openai.AsyncStream
        self._broken = (openai.APIConnectionError, httpx2.HTTPError, aiohttp.ClientError)
        http_client = openai.DefaultAioHttpClient(
            limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
            timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS),
            follow_redirects=False,
            # A proxy of the environment does not reach this machine's own loopback server.
            trust_env=not endpoint.free,
            event_hooks={"response": [self._check]},
        )
        self._headers = _HEADERS if endpoint.api_key else {**_HEADERS, "Authorization": openai.Omit()}
        self._client = openai.AsyncOpenAI(
            # Without a value the client would take a key that is meant for another endpoint out of the environment.
            api_key=endpoint.api_key or "unused",
            base_url=endpoint.base_url,
            max_retries=0,
            http_client=http_client,
        )

    async def post(self, body: bytes, model: str, timeout: float) -> Response:  # noqa: ASYNC109  the HTTP client keeps it itself
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
                response: httpx2.Response = await self._client.post(
                    "/chat/completions",
                    cast_to=self._cast,
                    content=body,
                    options={"headers": self._headers},
                    stream=True,
                    stream_cls=self._stream,
                )
                try:
                    content = await self._read(response, self._max_body)
                finally:
                    await response.aclose()
        except _StatusError as error:
            status, headers = error.response.status_code, error.response.headers
            raise refused(self._endpoint, status, headers, error.body, model=model, wall=self._wall()) from error
        except TimeoutError as error:
            raise AttemptError("timeout", f"no answer within {timeout:.0f} s", billed=True) from error
        except self._broken as error:
            raise _connection_failure(self._endpoint, error) from error
        if len(content) > self._max_body:
            raise AttemptError("malformed", f"the response is larger than {self._max_body} bytes", billed=True)
        # Any byte is a character of Latin-1, so the body comes back as it was.
        body = without_key(self._endpoint, content.decode("latin-1")).encode("latin-1")
        return Response(without_key(self._endpoint, response.headers.get("content-type", "")), body)

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()

    async def _check(self, response: httpx2.Response) -> None:
        """Stop at a status that is no success, before the client reads a body of any size."""
        if response.status_code >= 300:
            raise _StatusError(response, await self._read(response, _ERROR_BYTES))

    async def _read(self, response: httpx2.Response, most: int) -> bytes:
        """Return the body, or its beginning that is just longer than ``most``."""
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.aiter_bytes():
            chunks.append(chunk)
            size += len(chunk)
            if size > most:
                break
        return b"".join(chunks)


class _StatusError(Exception):
    def __init__(self, response: httpx2.Response, body: bytes) -> None:
        super().__init__(response.status_code)
        self.response = response
        self.body = body


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
