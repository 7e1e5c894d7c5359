from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import openai
import pytest
from inference.faults import KEY, OK, Answer, FaultServer, completion, error
from support import changed

from promptops.errors import PromptopsError, UsageError
from promptops.inference.budget import Budget
from promptops.inference.client import Client
from promptops.inference.journal import Journal
from promptops.inference.reply import Call
from promptops.inference.retry import RetryPolicy
from promptops.inference.serving import http
from promptops.inference.serving.server import CONNECTIONS, Server
from promptops.registry.registry import Registry
from promptops.repo.source import WorktreeSource

ONCE = RetryPolicy(attempts=1)
HELLO = [{"role": "user", "content": "Where is it?"}]
SYSTEM = "Answer the ticket."
MESSAGES = f'[{{role: system, content: "{SYSTEM}"}}, {{role: user, content: "Ticket: {{{{ ticket }}}}"}}]'


@pytest.fixture
def configured(registry):
    """Make a configuration of a prompt file."""

    def make(text=None):
        registry.write("prompts/reply.yaml", text or changed(messages=MESSAGES))
        return Registry(WorktreeSource(str(registry.root))).configuration("reply")

    return make


@asynccontextmanager
async def serving(configuration, upstream, *, journal=None, budget=None, **options):
    """Serve through a client, as a run does."""
    async with Client(upstream.endpoint(), retry=ONCE, journal=journal, budget=budget) as client:

        async def ask(key, request):
            return await client.reply(Call(key, request))

        async with Server(configuration, ask, **options) as server:
            yield server


@asynccontextmanager
async def asking(server, **options):
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key=server.token, **options) as client:
        yield client


async def raw(server, text, body=b""):
    """Send bytes as they are and return status and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.base_url.split(":")[2].split("/")[0]))
    writer.write(text.encode("latin-1") + body)
    async with asyncio.timeout(60):
        answer = await reader.read()
    writer.close()
    head, _, content = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(content)


def head(server, line="POST /v1/chat/completions HTTP/1.1", *, host=None, token=None, length=None, more=""):
    host = host or server.base_url.split("/")[2]
    sized = "" if length is None else f"Content-Length: {length}\r\n"
    token = server.token if token is None else token
    return f"{line}\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n{sized}{more}\r\n"


def test_the_configuration_answers_whatever_the_harness_asks_for(configured):
    async def run(upstream):
        async with serving(configured(), upstream, name="candidate") as server, asking(server) as client:
            listed = await client.models.list()
            got = await client.chat.completions.with_raw_response.create(
                model="another", messages=HELLO, temperature=1.9, max_tokens=7
            )
            return [model.id for model in listed.data], got.parse(), got.headers["x-promptops-ignored"]

    with FaultServer([Answer(body=completion("On Monday."))]) as upstream:
        models, got, ignored = asyncio.run(run(upstream))
    assert models == ["candidate"]
    assert (got.choices[0].message.content, got.model, got.usage.total_tokens) == ("On Monday.", "mock-1", 15)
    assert ignored == "max_tokens,temperature"
    sent = upstream.requests[0].body
    assert sent["messages"] == [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": "Ticket: Where is it?"},
    ]
    assert sent["model"] != "another"
    assert sent["temperature"] != 1.9
    assert "max_tokens" not in sent


def test_later_messages_are_turns_and_instructions_stand_before_the_first_words(configured):
    turns = [
        {"role": "system", "content": "Answer with A or B."},
        {"role": "user", "content": [{"type": "text", "text": "A or B?"}]},
        {"role": "assistant", "content": "A"},
        {"role": "user", "content": "Are you sure?"},
    ]

    async def run(upstream):
        async with serving(configured(), upstream) as server, asking(server) as client:
            await client.chat.completions.create(model="m", messages=turns)

    with FaultServer() as upstream:
        asyncio.run(run(upstream))
    assert upstream.requests[0].body["messages"] == [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": "Ticket: Answer with A or B.\n\nA or B?"},
        {"role": "assistant", "content": "A"},
        {"role": "user", "content": "Are you sure?"},
    ]


def test_a_prompt_without_variables_gets_the_words_after_its_own(configured):
    text = changed(variables="{}", messages=f'[{{role: system, content: "{SYSTEM}"}}]')

    async def run(upstream):
        async with serving(configured(text), upstream) as server, asking(server) as client:
            await client.chat.completions.create(model="m", messages=HELLO)

    with FaultServer() as upstream:
        asyncio.run(run(upstream))
    assert upstream.requests[0].body["messages"] == [{"role": "system", "content": SYSTEM}, *HELLO]


def test_one_variable_is_filled_and_the_others_are_fixed(configured):
    two = changed(
        variables="{ticket: {type: string}, tone: {type: string}}",
        messages='[{role: user, content: "{{ tone }}: {{ ticket }}"}]',
    )

    async def run(upstream):
        async with (
            serving(configured(two), upstream, fixed={"tone": "calm"}) as server,
            asking(server) as client,
        ):
            await client.chat.completions.create(model="m", messages=HELLO)

    with FaultServer() as upstream:
        asyncio.run(run(upstream))
        assert upstream.requests[0].body["messages"] == [{"role": "user", "content": "calm: Where is it?"}]
        with pytest.raises(UsageError, match="leaves 2 variables open: ticket, tone"):
            Server(configured(two), None)
        with pytest.raises(UsageError, match="has no variable mood"):
            Server(configured(two), None, fixed={"mood": "calm"})


def test_a_stream_ends_and_counts_tokens(configured):
    async def run(upstream):
        async with serving(configured(), upstream) as server, asking(server) as client:
            stream = await client.chat.completions.create(
                model="m", messages=HELLO, stream=True, stream_options={"include_usage": True}
            )
            return [chunk async for chunk in stream]

    with FaultServer([Answer(body=completion("On Monday."))]) as upstream:
        chunks = asyncio.run(run(upstream))
    said = [choice for chunk in chunks for choice in chunk.choices]
    assert "".join(choice.delta.content or "" for choice in said) == "On Monday."
    assert said[-1].finish_reason == "stop"
    assert chunks[-1].usage.completion_tokens == 5


def test_tool_calls_of_the_configuration_come_back(configured):
    calls = [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
    answers = [Answer(body=completion(None, tool_calls=calls)), OK]
    turns = [
        *HELLO,
        {"role": "assistant", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "ok"},
    ]

    async def run(upstream):
        async with serving(configured(), upstream) as server, asking(server) as client:
            got = await client.chat.completions.create(model="m", messages=HELLO)
            await client.chat.completions.create(model="m", messages=turns)
            return got.choices[0].message.tool_calls[0].function.name

    with FaultServer(answers) as upstream:
        assert asyncio.run(run(upstream)) == "look"
        assert upstream.requests[1].body["messages"][2:] == turns[1:]


def test_equal_requests_are_two_samples_and_a_second_run_pays_for_neither(configured, tmp_path):
    async def run(upstream, count):
        with Journal(tmp_path / "replies.jsonl") as journal:
            async with serving(configured(), upstream, journal=journal) as server, asking(server) as client:
                asked = [client.chat.completions.create(model="m", messages=HELLO) for _ in range(count)]
                return sorted(got.choices[0].message.content for got in await asyncio.gather(*asked))

    def script(number, _body):
        return Answer(body=completion(f"answer {number}"))

    with FaultServer(script) as upstream:
        first = asyncio.run(run(upstream, 2))
        assert first == ["answer 0", "answer 1"]
        assert asyncio.run(run(upstream, 2)) == first
        assert len(upstream.requests) == 2
        assert asyncio.run(run(upstream, 3)) == [*first, "answer 2"]


def test_a_retry_of_what_failed_is_the_same_sample(configured, tmp_path):
    async def run(upstream):
        with Journal(tmp_path / "replies.jsonl") as journal:
            async with serving(configured(), upstream, journal=journal) as server, asking(server) as client:
                with pytest.raises(openai.APIStatusError) as caught:
                    await client.chat.completions.create(model="m", messages=HELLO)
                await client.chat.completions.create(model="m", messages=HELLO)
                return caught.value, [json.loads(reply.key)[3] for reply in journal.replies()]

    with FaultServer([error(400, "odd"), OK]) as upstream:
        failed, samples = asyncio.run(run(upstream))
    assert (failed.status_code, failed.type, samples) == (502, "upstream_error", [0])
    # It was not sent again: the endpoint had tried as often as is worth it.
    assert len(upstream.requests) == 2


def test_the_end_of_the_budget_is_429_and_is_not_tried_again(configured):
    async def run(upstream):
        budget = Budget(requests=1)
        async with serving(configured(), upstream, budget=budget) as server, asking(server) as client:
            await client.chat.completions.create(model="m", messages=HELLO)
            with pytest.raises(openai.RateLimitError) as caught:
                await client.chat.completions.create(model="m", messages=HELLO)
            return caught.value, server.out_of_budget, server.refused

    with FaultServer() as upstream:
        failed, out, refused = asyncio.run(run(upstream))
    assert (failed.code, out, refused) == ("insufficient_quota", True, {429: 1})
    assert "budget of requests" in failed.message


def test_a_wrong_upstream_key_is_told_once_and_shown_to_nobody(configured):
    async def run(upstream):
        async with serving(configured(), upstream) as server, asking(server) as client:
            with pytest.raises(openai.APIStatusError) as caught:
                await client.chat.completions.create(model="m", messages=HELLO)
            return caught.value, server.fault

    with FaultServer([error(401, f"no such key {KEY}")]) as upstream:
        failed, fault = asyncio.run(run(upstream))
    assert failed.status_code == 502
    assert isinstance(fault, PromptopsError)
    assert KEY not in failed.message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "no JSON"),
        (b"[]", "no JSON object"),
        (b'{"messages": 3}', "no list"),
        (b'{"messages": []}', "must be the user's"),
        (b'{"messages": [{"role": "assistant", "content": "x"}]}', "must be the user's"),
        (b'{"messages": [{"role": "user"}]}', "no content"),
        (b'{"messages": [{"role": "boss", "content": "x"}]}', "role other than"),
        (b'{"messages": [{"role": ["user"], "content": "x"}]}', "role other than"),
        (b'{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}', "else than text"),
        (b'{"messages": [{"role": "user", "content": "x"}], "n": 2}', "one choice"),
        (b'{"messages": [{"role": "user", "content": "x"}], "stream": "x"}', "`stream` is true or false"),
        (b'{"messages": [{"role": "user", "content": "x"}], "stream": 1.5}', "`stream` is true or false"),
        (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', "cannot be rendered"),
        (b"[" * 100000, "no JSON"),
    ],
)
def test_what_is_no_chat_completion_request_is_refused(configured, body, message):
    async def run(upstream):
        async with serving(configured(), upstream) as server:
            return await raw(server, head(server, length=len(body)), body)

    with FaultServer() as upstream:
        status, answer = asyncio.run(run(upstream))
    assert status == 400
    assert message in answer["error"]["message"]
    assert upstream.requests == []


def test_who_may_ask(configured):
    async def run(upstream):
        async with serving(configured(), upstream) as server:
            get = "GET /v1/models HTTP/1.1"
            return [
                await raw(server, head(server, get)),
                await raw(server, head(server, get, token="guess")),
                await raw(server, head(server, get, host="attacker.example")),
                await raw(server, f"{get}\r\nHost: {server.base_url.split('/')[2]}\r\n\r\n"),
                await raw(server, head(server, get, host=f"localhost:{server.base_url.split(':')[2].split('/')[0]}")),
                await raw(server, head(server, "GET /v1/chat/completions HTTP/1.1")),
                await raw(server, head(server, "POST /v1/responses HTTP/1.1")),
            ], server.token

    with FaultServer() as upstream:
        answers, token = asyncio.run(run(upstream))
        other, another = asyncio.run(run(upstream))
    assert [status for status, _ in answers] == [200, 401, 403, 401, 200, 405, 404]
    assert answers[1][1]["error"]["code"] == "invalid_api_key"
    assert token not in json.dumps([answer for _, answer in answers])
    assert another != token
    assert len(other) == len(answers)


def test_what_http_may_not_be(configured):
    async def run(upstream):
        async with serving(configured(), upstream) as server:
            return [
                await raw(server, head(server, length=http.MAX_BODY + 1)),
                await raw(server, head(server, length=http.MAX_BODY + 1), b"x" * (http.MAX_BODY + 1)),
                await raw(server, head(server, length="ten")),
                await raw(server, head(server, length=2, more="Content-Length: 3\r\n")),
                await raw(server, head(server, more="Transfer-Encoding: chunked\r\n")),
                await raw(server, head(server, "nonsense")),
                await raw(server, head(server, more="broken\r\n")),
                await raw(server, head(server, more=f"X: {'x' * http.MAX_HEAD}\r\n")),
            ]

    with FaultServer() as upstream:
        assert [status for status, _ in asyncio.run(run(upstream))] == [413, 413, 400, 400, 411, 400, 400, 431]


def test_connections_beyond_the_bound_are_turned_away(configured):
    async def run(upstream):
        async with serving(configured(), upstream) as server:
            port = int(server.base_url.split(":")[2].split("/")[0])
            opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CONNECTIONS)]
            status, answer = await raw(server, "")
            for _, writer in opened:
                writer.close()
            return status, answer["error"]["type"]

    with FaultServer() as upstream:
        assert asyncio.run(run(upstream)) == (503, "server_error")


def test_a_port_that_is_taken_is_said(configured):
    async def run(upstream):
        async with serving(configured(), upstream) as server:
            port = int(server.base_url.split(":")[2].split("/")[0])
            async with Server(configured(), None, port=port):
                raise AssertionError("two servers on one port")

    with FaultServer() as upstream, pytest.raises(PromptopsError, match="cannot listen"):
        asyncio.run(run(upstream))
