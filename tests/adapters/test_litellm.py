"""The hook in the real proxy of LiteLLM, which has an environment of its own: it is large, and wants other versions.

``make test-litellm`` installs it and runs this; `test_gateway` holds what needs no LiteLLM.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from inference.faults import Answer, FaultServer, completion, error
from serving import NAME, put, ramp
from witness import events, unit_of

import promptops

BINARY = os.environ.get("PROMPTOPS_LITELLM", "")
MODEL = f"promptops/{NAME}"
KEY = "sk-" + "0123456789abcdef" * 4
OWN = ramp("30%")
pytestmark = pytest.mark.skipif(not BINARY, reason="PROMPTOPS_LITELLM names no litellm; make test-litellm")


def echo(_number, body):
    """Say back what was asked; stream if that was asked for."""
    asked = body["messages"][-1]["content"]
    if "fail" in asked:
        return error(400)
    if not body.get("stream"):
        return Answer(body=completion(json.dumps(body["messages"])))
    chunk = {"id": "chatcmpl-2", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    parts = [{**chunk, "choices": [{"index": 0, "delta": {"role": "assistant", "content": asked}, "finish_reason": None}]},
             {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]  # fmt: skip
    text = "".join(f"data: {json.dumps(part)}\n\n" for part in parts) + "data: [DONE]\n\n"
    return Answer(body=text.encode(), content_type="text/event-stream")


class Proxy(NamedTuple):
    """A running proxy."""

    client: httpx.Client
    folder: Path

    def ask(self, unit, told=None, **more):
        """Send one chat request of a client that knows nothing of promptops but names."""
        told = {"variables": {"ticket": "It broke"}} if told is None else told
        body = {"model": MODEL, "messages": [], "user": unit, "metadata": {"promptops": json.dumps(told)}, **more}
        return self.client.post("/v1/chat/completions", json=body)

    def wait(self, count):
        """The events, once there are so many: LiteLLM logs in the background."""
        limit = time.monotonic() + 120
        while len(events(self.folder)) < count:
            assert time.monotonic() < limit
            time.sleep(0.05)
        return events(self.folder)


@pytest.fixture
def proxy(tmp_path):
    put(tmp_path / "snapshot.json", OWN)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    env = {
        **os.environ,
        "PYTHONPATH": str(Path(promptops.__file__).parents[1]),
        "PROMPTOPS_SNAPSHOT": str(tmp_path / "snapshot.json"),
        "PROMPTOPS_EVENTS": str(tmp_path / "events"),
        # Its list of prices is on the network otherwise.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MASTER_KEY": KEY,
    }
    auth = {"Authorization": f"Bearer {KEY}"}
    with FaultServer(echo) as server:
        backend = {"model": "openai/m", "api_base": server.url, "api_key": "sk-test", "max_retries": 0}
        config = {
            "model_list": [{"model_name": "m", "litellm_params": backend}],
            "litellm_settings": {"callbacks": ["promptops.adapters.litellm.hook"], "num_retries": 0},
        }
        (tmp_path / "config.yaml").write_text(json.dumps(config))
        log = (tmp_path / "log").open("w")
        command = [BINARY, "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port)]
        process = subprocess.Popen(command, env=env, cwd=tmp_path, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            with httpx.Client(
                base_url=f"http://127.0.0.1:{port}", timeout=120, trust_env=False, headers=auth
            ) as client:
                limit = time.monotonic() + 240
                while True:
                    try:
                        if client.get("/health/liveliness").status_code == 200:
                            break
                    except httpx.TransportError:
                        time.sleep(0.2)
                    assert process.poll() is None, (tmp_path / "log").read_text()
                    assert time.monotonic() < limit, (tmp_path / "log").read_text()
                yield Proxy(client, tmp_path / "events")
        finally:
            process.terminate()
            process.wait(120)
            log.close()


def test_clients_get_prompts_split_and_events_from_the_gateway(proxy):
    recorded = 0
    for arm, version in (("canary", "1.1.0"), ("baseline", "1.0.0"), ("stable", "1.0.0")):
        later = [{"role": "user", "content": "And now?"}]
        answer = proxy.ask(unit_of(arm, OWN), {"variables": {"ticket": "It broke"}, "session": arm}, messages=later)
        assert answer.status_code == 200, answer.text
        assert [each["content"] for each in json.loads(answer.json()["choices"][0]["message"]["content"])] == [
            f"{version}: It broke",
            "And now?",
        ]
        assert (answer.headers["x-promptops-arm"], answer.headers["x-promptops-version"]) == (arm, version)
        recorded += 3
        exposure, *outcomes = proxy.wait(recorded)[-3:]
        assert (exposure["type"], exposure["arm"]) == ("exposure", arm)
        assert {each["name"] for each in outcomes} == {"error", "seconds"}
        assert {each["response_id"] for each in outcomes} == {answer.json()["id"]}
        assert {(each["unit"], each["session"]) for each in outcomes} == {(exposure["unit"], exposure["session"])}

    streamed = proxy.ask(unit_of("canary", OWN), stream=True)
    assert "1.1.0: It broke" in streamed.text
    assert streamed.headers["x-promptops-arm"] == "canary"
    recorded += 3
    assert proxy.wait(recorded)[-3]["type"] == "exposure"

    failed = proxy.ask("u", {"variables": {"ticket": "fail"}})
    assert failed.status_code == 400
    recorded += 2
    assert [each.get("value") for each in proxy.wait(recorded)[-2:]] == [None, 1]

    about = {"outcome": {"name": "thumbs", "value": 1, "source": "user"}, "opportunity": "thumbs", "session": "s"}
    thanks = proxy.ask(unit_of("canary", OWN), about)
    assert thanks.status_code == 200
    assert thanks.json()["choices"][0]["message"]["content"].endswith("recorded")
    recorded += 2
    assert [each["type"] for each in proxy.wait(recorded)[-2:]] == ["opportunity", "outcome"]

    for bad, code, said in (
        (proxy.ask("u", temperature=1), 400, "temperature"),
        (proxy.ask("u", {"variables": {}}), 400, "needs the variable ticket"),
        (proxy.ask("u", model="promptops/no/such"), 503, "serves no prompt"),
    ):
        assert (bad.status_code, said in bad.text) == (code, True), bad.text
    plain = proxy.client.post(
        "/v1/chat/completions", json={"model": "m", "messages": [{"role": "user", "content": "x"}]}
    )
    assert plain.status_code == 200
    assert "x-promptops-arm" not in plain.headers
    assert len(events(proxy.folder)) == recorded
