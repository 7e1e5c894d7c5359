from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request

import pytest
from evaluation.canaries import MODEL
from inference.faults import KEY, Answer, FaultServer, completion

ASK = """\
import json, os, sys, urllib.request
def ask(prefix=""):
    body = json.dumps({"messages": [{"role": "user", "content": "Where is it?"}]}).encode()
    headers = {"Authorization": "Bearer " + os.environ[prefix + "OPENAI_API_KEY"], "Content-Type": "application/json"}
    request = urllib.request.Request(os.environ[prefix + "OPENAI_BASE_URL"] + "/chat/completions", body, headers)
    return json.load(urllib.request.urlopen(request))["choices"][0]["message"]["content"]
print(ask(), *map(ask, sys.argv[1:]))
"""


@pytest.fixture
def server(monkeypatch):
    def script(_number, body):
        return Answer(body=completion(body["messages"][0]["content"][:12], model=MODEL))

    with FaultServer(script) as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        yield running


def served(repo, *args, **options):
    command = [sys.executable, "-m", "promptops", "serve", "reply", *args]
    return subprocess.run(command, cwd=repo.root, capture_output=True, text=True, timeout=120, check=False, **options)


def test_a_command_asks_both_arms_and_a_second_run_pays_nothing(registry, server, tmp_path):
    first = registry.read("prompts/reply.yaml")
    registry.write("prompts/reply.yaml", first.replace("content: ", "content: New ", 1))
    script = tmp_path / "ask.py"
    script.write_text(ASK)
    done = served(registry, "--baseline", "HEAD", "--", sys.executable, str(script), "BASELINE_")
    assert done.returncode == 0, done.stderr
    new, old = done.stdout.rstrip("\n")[:12], done.stdout.rstrip("\n")[-12:]
    assert new != old
    assert new.startswith("New ")
    asked = len(server.requests)
    assert asked == 2
    again = served(registry, "--baseline", "HEAD", "--", sys.executable, str(script), "BASELINE_")
    assert again.stdout == done.stdout
    assert len(server.requests) == asked


def test_a_command_sees_the_token_and_no_key_and_its_failure_is_told(registry, server):
    code = f"import os, sys; sys.exit(3 if {KEY!r} in str(os.environ) else 7)"
    done = served(registry, "--", sys.executable, "-c", code)
    assert done.returncode == 1
    code = f"import os, sys; sys.exit(0 if {KEY!r} not in str(os.environ) else 1)"
    assert served(registry, "--", sys.executable, "-c", code).returncode == 0
    assert server.requests == []


def test_without_a_command_it_prints_how_to_reach_it_and_ends_when_told(registry, server):
    command = [sys.executable, "-m", "promptops", "serve", "reply"]
    with subprocess.Popen(command, cwd=registry.root, stdout=subprocess.PIPE, text=True) as process:
        exports = dict(process.stdout.readline().strip().removeprefix("export ").split("=", 1) for _ in range(2))
        request = urllib.request.Request(
            exports["OPENAI_BASE_URL"] + "/models", headers={"Authorization": f"Bearer {exports['OPENAI_API_KEY']}"}
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            models = json.load(response)
        process.send_signal(signal.SIGINT)
        code = process.wait(60)
    assert ([model["id"] for model in models["data"]], code, server.requests) == (["candidate"], 0, [])
    assert exports["OPENAI_API_KEY"] not in str(os.environ)


def test_what_cannot_be_served_is_said(registry, server):
    assert registry.cli("serve", "other").code in {1, 2, 3}
    missing = registry.cli("serve", "reply", "--", "no-such-program-here")
    assert (missing.code, "cannot start no-such-program-here" in missing.err) == (3, True)
    wrong = registry.cli("serve", "reply", "--var", "mood=calm", "--", "true")
    assert (wrong.code, "has no variable mood" in wrong.err) == (2, True)
    assert server.requests == []
