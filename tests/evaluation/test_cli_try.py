from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import pytest
from inference.faults import KEY, Answer, FaultServer, completion, error

MODEL = "gpt-4o-2024-11-20"


@pytest.fixture
def server(monkeypatch):
    with FaultServer([Answer(body=completion("Your parcel is \x1b[2Jhere.", model=MODEL))]) as running:
        point_at(running, monkeypatch)
        yield running


def point_at(server, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def test_one_call_sends_the_rendered_request(registry, server):
    done = registry.cli("try", "reply", "--var", "ticket=Where is it?")
    assert done.code == 0
    (seen,) = server.requests
    assert seen.body["messages"][1] == {"role": "user", "content": "Where is it?"}
    assert (seen.body["temperature"], seen.body["max_completion_tokens"]) == (0.3, 100)
    assert done.out == "Your parcel is \\x1b[2Jhere.\n"
    assert f"{MODEL}, 10 + 5 tokens, no price" in done.err
    assert KEY not in done.out + done.err


def test_json_holds_reply_model_tokens_cost_and_latency(registry, server):
    registry.write("models/gpt.yaml", registry.read("models/gpt.yaml") + "price: {input: 2.0, output: 10.0}\n")
    told = json.loads(registry.cli("try", "reply", "--var", "ticket=x", "--json").out)
    assert told["text"] == "Your parcel is \x1b[2Jhere."
    assert told["cost"] == pytest.approx((10 * 2 + 5 * 10) / 1e6)
    assert (told["model"], told["expected"], told["prompt_tokens"], told["completion_tokens"]) == (MODEL, True, 10, 5)
    assert told["latency"] > 0
    assert told["digest"].startswith("sha256:")


def test_a_revision_is_sent_as_it_was(registry, server):
    registry.write("prompts/reply.yaml", registry.read("prompts/reply.yaml").replace("Answer the", "Ignore the"))
    registry.cli("try", "reply", "--var", "ticket=x", "--at", "HEAD")
    registry.cli("try", "reply", "--var", "ticket=x")
    sent = [seen.body["messages"][0]["content"] for seen in server.requests]
    assert sent == ["Answer the ticket.", "Ignore the ticket."]


def test_another_model_is_pointed_out(registry, monkeypatch):
    with FaultServer([Answer(body=completion("x", model="gpt-5"))]) as other:
        point_at(other, monkeypatch)
        done = registry.cli("try", "reply", "--var", "ticket=x")
    assert "warning: this is not the model that was asked for" in done.err


def test_a_server_that_does_not_answer_is_told_of(registry, monkeypatch):
    go_on = threading.Event()

    def held(_number, _body):
        go_on.wait(60)
        return Answer(body=completion("Late.", model=MODEL))

    with FaultServer(held) as stuck:
        point_at(stuck, monkeypatch)
        command = [sys.executable, "-m", "promptops", "try", "reply", "--var", "ticket=x"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, cwd=registry.root, env=dict(os.environ), text=True, **pipes) as process:
            told = process.stderr.readline()
            go_on.set()
            out, _ = process.communicate(timeout=60)
    assert told.startswith(f"waiting for the answer of {MODEL}: ")
    assert (process.returncode, out) == (0, "Late.\n")


def test_a_missing_variable_is_wrong_usage_and_costs_nothing(registry, server):
    done = registry.cli("try", "reply")
    assert (done.code, server.requests) == (2, [])
    assert "ticket" in done.err


def test_a_wrong_key_is_no_verdict(registry, monkeypatch):
    with FaultServer([error(401)]) as refusing:
        point_at(refusing, monkeypatch)
        done = registry.cli("try", "reply", "--var", "ticket=x")
    assert done.code == 3
    assert "OPENAI_API_KEY" in done.err
    assert KEY not in done.err
