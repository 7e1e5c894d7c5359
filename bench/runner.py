"""CPU per request of asking as a canary does at 64 in flight, beside its floor and other people's runners.

    python bench/runner.py

The server answers after 50 ms in a process of its own. Ours, the openai client as it comes and bare aiohttp are timed
in this process after import and warm-up: CPU seconds, user and system, by request, least of three rounds. Runners with
a command line are timed by what 200 cases cost more than one.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from promptops.registry.configuration import Configuration

IN_FLIGHT = 64
# A whole number of the canary's windows, for both arms.
REQUESTS = 1024
CASES = 200
ROUNDS = 3
DELAY = 0.05
Row = tuple[str, str, str]

BODY = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "mock",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "It is Paris."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 60, "completion_tokens": 5, "total_tokens": 65},
    }
).encode()
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
REQUEST: dict[str, Any] = {
    "model": "mock",
    "messages": [
        {"role": "system", "content": "You are a support agent. Answer in one or two short sentences. " * 4},
        {"role": "user", "content": "What is the capital of France?"},
    ],
    "temperature": 0.3,
    "max_completion_tokens": 50,
}

PROMPTFOO = """\
prompts: ["What is the capital of {{{{country}}}}?"]
providers: [{{id: "openai:chat:mock", config: {{apiBaseUrl: "{url}", apiKey: x}}}}]
tests: [{tests}]
"""
INSPECT = """\
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
@task
def bench(n=1):
    return Task(dataset=[Sample(input=f"Capital of country {i}?", target="Paris") for i in range(n)], scorer=includes())
"""


class Slow(asyncio.Protocol):
    """Answers every request after the delay, on kept connections."""

    def __init__(self) -> None:
        self._received = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
            if len(self._received) < end + 4 + length:
                return
            self._received = self._received[end + 4 + length :]
            asyncio.get_running_loop().call_later(DELAY, self._transport.write, RESPONSE)


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Slow, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def least(once: Callable[[], Awaitable[None]]) -> float:
    """Return the least CPU seconds of the rounds."""
    await once()
    best = float("inf")
    for _ in range(ROUNDS):
        before = time.process_time()
        await once()
        best = min(best, time.process_time() - before)
    return best


def workers(send: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[None]]:
    async def once() -> None:
        left = iter(range(REQUESTS))

        async def work() -> None:
            for _ in left:
                await send()

        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))

    return once


def configuration(folder: str) -> Configuration:
    """Return a prompt that makes `REQUEST` of a question, and its model."""
    from promptops.registry.registry import Registry
    from promptops.repo.source import WorktreeSource

    system, user = REQUEST["messages"]
    files = {
        "prompts/answer.yaml": {
            "version": "1.0.0",
            "description": "Answers a question",
            "model": "mock",
            "parameters": {name: REQUEST[name] for name in ("temperature", "max_completion_tokens")},
            "variables": {"question": {"type": "string"}},
            "messages": [system, {**user, "content": "{{ question }}"}],
        },
        "models/mock.yaml": {
            "provider": "openai",
            "id": "mock",
            "reported_id": "mock",
            "pinned": True,
            "endpoint": {"base_url_env": "BENCH_URL", "api_key_env": "BENCH_KEY"},
            "price": {"input": 1, "output": 2},
        },
    }
    for path, value in files.items():
        full = os.path.join(folder, path)
        os.makedirs(os.path.dirname(full))
        with open(full, "w", encoding="utf-8") as file:
            json.dump(value, file)
    return Registry(WorktreeSource(folder)).configuration("answer")


async def ours(url: str) -> float:
    """Return the CPU seconds of asking as a canary does: both arms of every case, in order, budget and journal kept."""
    from promptops.evaluation import arms, sampling
    from promptops.evaluation.canary import ask_pair
    from promptops.evaluation.exam import Exam
    from promptops.evaluation.runner import WINDOW, in_order
    from promptops.evaluation.suite import parse
    from promptops.evaluation.tally import BASELINE, CANDIDATE
    from promptops.inference.budget import Budget
    from promptops.inference.journal import Journal
    from promptops.inference.reply import Reply

    question = {"input": REQUEST["messages"][1]["content"], "expect": {"contains": "Paris"}}
    suite = {
        "version": 1,
        "guardrails": [{"metric": "expected", "direction": "higher"}],
        "cases": [{"id": str(number), **question} for number in range(CASES)],
    }
    exam = Exam([parse("bench", suite)])
    order = sampling.Order("00" * 32, exam.pools())
    environ = {"BENCH_URL": url, "BENCH_KEY": "x"}
    with tempfile.TemporaryDirectory() as folder, Journal(os.path.join(folder, "journal")) as journal:
        both = dict.fromkeys((BASELINE, CANDIDATE), configuration(folder))
        async with arms.opened(both, budget=Budget(usd=1000.0), journal=journal, environ=environ) as opened:

            async def once() -> None:
                windows = iter(range(REQUESTS // len(both) // WINDOW))
                answered = 0
                asked = in_order(
                    order,
                    lambda draw: ask_pair(exam, draw, opened),
                    lambda: exam.pools() if next(windows, None) is not None else (),
                )
                async for _, pair in asked:
                    answered += sum(isinstance(reply, Reply) for reply in pair.replies.values())
                if answered != REQUESTS:
                    raise SystemExit(f"{answered} of {REQUESTS} requests were answered")

            seconds = await least(once)
            peak = opened[CANDIDATE].client.stats.peak
            if peak != IN_FLIGHT:
                raise SystemExit(f"{peak} in flight, not {IN_FLIGHT}")
            return seconds


async def sdk(url: str, *, aiohttp: bool) -> float:
    import openai

    http_client = openai.DefaultAioHttpClient() if aiohttp else None
    async with openai.AsyncOpenAI(base_url=url, api_key="x", max_retries=0, http_client=http_client) as client:
        return await least(workers(lambda: client.chat.completions.create(**REQUEST)))


async def bare(url: str) -> float:
    import aiohttp

    async with aiohttp.ClientSession() as session:

        async def send() -> None:
            async with session.post(url + "/chat/completions", data=json.dumps(REQUEST).encode()) as response:
                json.loads(await response.read())

        return await least(workers(send))


def children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def marginal(run: Callable[[int], list[str]], folder: str, environ: dict[str, str], fine: set[int]) -> float | str:
    """Return the CPU seconds per case that 200 cases cost more than one, or why there are none."""
    spent = []
    for cases in (1, CASES):
        before = children()
        done = subprocess.run(
            run(cases), cwd=folder, env=os.environ | environ, capture_output=True, text=True, check=False
        )
        if done.returncode not in fine:
            return f"failed: {(done.stderr or done.stdout).strip()[-200:]}"
        spent.append(children() - before)
    return (spent[1] - spent[0]) / (CASES - 1)


def promptfoo(url: str, program: str) -> float | str:
    with tempfile.TemporaryDirectory() as folder:

        def command(cases: int) -> list[str]:
            path = os.path.join(folder, f"{cases}.yaml")
            tests = ", ".join(
                f'{{vars: {{country: "no. {i}"}}, assert: [{{type: contains, value: Paris}}]}}' for i in range(cases)
            )
            with open(path, "w", encoding="utf-8") as file:
                file.write(PROMPTFOO.format(url=url, tests=tests))
            flags = ["--no-cache", "--no-table", "--no-progress-bar", "--no-write", "-j", str(IN_FLIGHT)]
            return [program, "eval", "-c", path, *flags]

        environ = {"HOME": folder, "PROMPTFOO_CONFIG_DIR": folder}
        environ |= dict.fromkeys(
            ["PROMPTFOO_DISABLE_TELEMETRY", "PROMPTFOO_DISABLE_UPDATE", "PROMPTFOO_DISABLE_REMOTE_GENERATION"], "1"
        )
        return marginal(command, folder, environ, {0})


def inspect(url: str, program: str) -> float | str:
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "bench.py"), "w", encoding="utf-8") as file:
            file.write(INSPECT)

        def command(cases: int) -> list[str]:
            flags = ["--max-connections", str(IN_FLIGHT), "--display", "none", "--log-dir", "logs"]
            return [program, "eval", "bench.py", "-T", f"n={cases}", "--model", "openai-api/mock/mock", *flags]

        return marginal(command, folder, {"HOME": folder, "MOCK_BASE_URL": url, "MOCK_API_KEY": "x"}, {0})


def run() -> list[Row]:
    """Return rows of what, CPU milliseconds per request, and a note."""
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
            own = asyncio.run(ours(url)) / REQUESTS
            rows = [("promptops canary, budget and journal", f"{own * 1e3:.2f}", "bar: 2 ms")]
            for name, seconds in (
                ("openai client, aiohttp transport", asyncio.run(sdk(url, aiohttp=True))),
                ("openai client as it comes", asyncio.run(sdk(url, aiohttp=False))),
                ("bare aiohttp (floor)", asyncio.run(bare(url))),
            ):
                rows.append((name, f"{seconds / REQUESTS * 1e3:.2f}", f"{seconds / REQUESTS / own:.1f} x ours"))
            for name, measure in (("promptfoo", promptfoo), ("inspect", inspect)):
                rows.append(row(name, measure, url, own))
            return rows
        finally:
            server.kill()


def row(name: str, measure: Callable[[str, str], float | str], url: str, own: float) -> Row:
    program = shutil.which(name)
    if program is None:
        return (name, "-", "NOT MEASURED: not installed; make bench-peers")
    seconds = measure(url, program)
    if isinstance(seconds, str):
        return (name, "-", seconds)
    return (name, f"{seconds * 1e3:.2f}", f"{seconds / own:.1f} x ours; bar: 10 x")


def main() -> int:
    if "--serve" in sys.argv:
        asyncio.run(serve())
        return 0
    print(f"CPU ms per request, {IN_FLIGHT} in flight, server answers after {DELAY * 1e3:.0f} ms")
    rows = run()
    for name, milliseconds, note in rows:
        print(f"{name:40}{milliseconds:>10}  {note}")
    own = float(rows[0][1])
    peers = [float(cost) for name, cost, _ in rows if name in {"promptfoo", "inspect"} and cost != "-"]
    # A peer that fails to run is no peer that was beaten.
    return 0 if own <= 2 and len(peers) == 2 and all(cost >= 10 * own for cost in peers) else 1


if __name__ == "__main__":
    sys.exit(main())
