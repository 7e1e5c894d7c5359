from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from promptops.errors import PromptopsError
from promptops.inference import local
from promptops.inference.endpoint import resolve

LOCAL = {"provider": "local", "id": "SmolLM2-135M-Instruct"}


def promptops(*args, **env):
    return subprocess.run(
        [sys.executable, "-m", "promptops", "model", *args],
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def until(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.05)


def test_a_missing_runtime_says_which_extra_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    monkeypatch.setattr(local, "_server", None)
    with pytest.raises(PromptopsError) as caught, local.serving():
        pass
    assert caught.value.hint == "pip install 'promptops-git[local]'"


def test_missing_weights_say_how_to_get_them(monkeypatch, tmp_path):
    pytest.importorskip("xllamacpp", reason="the embedded model's runtime is not installed")
    monkeypatch.setattr(local, "_server", None)
    monkeypatch.setenv("PROMPTOPS_CACHE", str(tmp_path))
    with pytest.raises(PromptopsError) as caught, local.serving():
        pass
    assert caught.value.hint == "promptops model fetch"


def test_an_address_where_nothing_answers_is_refused():
    with pytest.raises(PromptopsError, match="PROMPTOPS_LOCAL_URL") as caught:
        resolve(LOCAL, {"PROMPTOPS_LOCAL_URL": "http://127.0.0.1:9/v1"})
    assert "promptops model serve" in caught.value.hint


def test_status_says_what_is_missing(tmp_path):
    done = promptops("status", PROMPTOPS_CACHE=str(tmp_path))
    assert done.returncode == 0
    assert "promptops model fetch" in done.stdout
    assert json.loads(promptops("status", "--json", PROMPTOPS_CACHE=str(tmp_path)).stdout)["weights"] is None


@pytest.mark.model
def test_nested_contexts_and_resolving_share_one_server(embedded):
    with local.serving() as outer, local.serving() as inner:
        assert outer is inner is embedded
    until(lambda: local.healthy(embedded.base_url))
    assert resolve(LOCAL, {}) is embedded


@pytest.mark.model
def test_a_shared_server_is_used_and_shown(embedded):
    environ = {"PROMPTOPS_LOCAL_URL": embedded.base_url + "/"}
    assert resolve(LOCAL, environ).base_url == embedded.base_url
    assert resolve(LOCAL, environ).free
    assert json.loads(promptops("status", "--json", **environ).stdout)["server"] == embedded.base_url


@pytest.mark.model
def test_a_port_that_is_taken_is_an_error_and_leaves_nothing(embedded, monkeypatch, capfd):
    monkeypatch.setattr(local, "_server", None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(PromptopsError, match="did not start"), local.serving(port=taken.getsockname()[1]):
            pass
    assert local._server is None
    capfd.readouterr()


@pytest.mark.model
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_no_server_outlives_the_command_that_started_it(embedded, sent):
    command = [sys.executable, "-m", "promptops", "model", "serve", "--parallel", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline().strip()
        name, url = line.removeprefix("export ").split("=")
        assert name == "PROMPTOPS_LOCAL_URL"
        until(lambda: local.healthy(url))
        process.send_signal(sent)
        process.communicate(timeout=120)
    assert process.returncode == (0 if sent == signal.SIGINT else -9)
    until(lambda: not local.healthy(url))


PROGRAM = """
import time
from promptops.inference import local
with local.serving(1) as endpoint:
    try:
        print(endpoint.base_url, flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print(local.healthy(endpoint.base_url), flush=True)
"""


@pytest.mark.model
def test_ctrl_c_at_the_terminal_leaves_the_server_to_those_who_still_collect(embedded):
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True, process_group=0
    ) as process:
        url = process.stdout.readline().strip()
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout.readline().strip() == "True"
    assert process.returncode == 0
    until(lambda: not local.healthy(url))
