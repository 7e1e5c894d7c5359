"""Both ways to an endpoint: over a session of our own, and through the openai client where there is a proxy."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from inference.faults import KEY, OK, Answer, FaultServer, completion, error

from promptops.inference.retry import AttemptError
from promptops.inference.transport import Transport

BODY = b'{"model":"mock-1","messages":[]}'
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
# Nobody answers there: only a proxy can.
ELSEWHERE = "http://api.example.invalid/v1"


@pytest.fixture(params=["session", "proxy"])
def way(request, monkeypatch):
    """Send one request to what the server scripts, directly or with the server as the proxy of the environment."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

    def send(server, *, most=4096, **changes):
        endpoint = server.endpoint(**changes)
        if request.param == "proxy":
            monkeypatch.setenv("http_proxy", server.url.removesuffix("/v1"))
            endpoint = replace(endpoint, base_url=ELSEWHERE)

        async def once():
            transport = Transport(endpoint, connections=2, max_body=most, wall=lambda: 0.0)
            try:
                return await transport.post(BODY, "mock-1", 30.0)
            finally:
                await transport.close()

        return asyncio.run(once())

    return send


def test_a_request_is_what_the_openai_client_writes(way):
    with FaultServer() as server:
        found = way(server)
    assert found.body == completion()
    assert found.content_type == "application/json"
    (seen,) = server.requests
    assert seen.body == {"model": "mock-1", "messages": []}
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.headers["accept-encoding"] == "identity"
    assert seen.headers["content-length"] == str(len(BODY))
    assert "openai" in seen.headers["user-agent"].lower()


def test_the_organization_of_the_environment_is_told(way, monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    with FaultServer() as server:
        way(server)
    assert server.requests[0].headers["openai-organization"] == "org-1"


def test_without_a_key_no_authorization_is_sent(way, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-somebody-elses")
    with FaultServer() as server:
        way(server, api_key=None)
    assert "authorization" not in server.requests[0].headers


def test_a_refusal_says_what_the_server_said_and_how_long_to_wait(way):
    with FaultServer([error(429, "slow down", retry_after="7")]) as server, pytest.raises(AttemptError) as caught:
        way(server)
    assert (caught.value.kind, caught.value.retry_after, caught.value.billed) == ("rate_limit", 7.0, False)
    assert "slow down" in caught.value.message


def test_a_redirect_is_not_followed_with_the_key(way):
    moved = Answer(307, b"", {"location": "http://elsewhere.invalid/v1/chat/completions"})
    with FaultServer([moved]) as server, pytest.raises(AttemptError, match="HTTP 307"):
        way(server)
    assert len(server.requests) == 1


def test_of_a_body_that_is_too_large_only_the_beginning_is_read(way):
    with FaultServer([Answer(body=completion("x" * 100_000))]) as server, pytest.raises(AttemptError) as caught:
        way(server)
    assert (caught.value.kind, caught.value.billed) == ("malformed", True)
    assert "larger than 4096 bytes" in caught.value.message


def test_a_connection_that_breaks_in_the_body_may_have_been_billed(way):
    with FaultServer([replace(OK, cut_after=20)]) as server, pytest.raises(AttemptError) as caught:
        way(server)
    assert (caught.value.kind, caught.value.billed) == ("connection", True)


def test_a_key_that_the_server_sends_back_is_cut_out(way):
    with FaultServer([Answer(body=completion(f"your key is {KEY}"))]) as server:
        found = way(server)
    assert KEY.encode() not in found.body
    assert b"your key is ***" in found.body


def test_cookies_of_a_server_are_not_kept(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with FaultServer([replace(OK, headers={"set-cookie": "a=1"}), OK]) as server:

        async def twice():
            transport = Transport(server.endpoint(), connections=1, max_body=4096, wall=lambda: 0.0)
            await transport.post(BODY, "mock-1", 30.0)
            await transport.post(BODY, "mock-1", 30.0)
            await transport.close()

        asyncio.run(twice())
    assert "cookie" not in server.requests[1].headers
