"""Planted secrets are in nothing that is written: output, evidence, journals, tags, crash logs, or any other file."""

from __future__ import annotations

import json
import subprocess
import tempfile

import pytest
from evaluation.canaries import STYLE, text_by
from inference.faults import KEY, Answer, FaultServer, completion, error
from releasing import PROMPT
from support import prompt

from promptops.cli import crash

PASSWORD = "pw-canary-fedcba9876543210"
URL = f"https://robot:{PASSWORD}@127.0.0.1:1/prompts.git"
PROJECT = "version: 1\ncanary: {minimum: 40, budget: {requests: 600}}\n"


def echoing(number, body):
    """Answer as a careless gateway does, which quotes the request's headers; now and then it fails first."""
    if number == 5:
        return error(500, f"upstream refused Authorization: Bearer {KEY}")
    said = json.loads(text_by(0.0)(number, body).body)["choices"][0]["message"]["content"]
    return Answer(body=completion(f"{said} (Authorization: Bearer {KEY})", model="gpt-4o-2024-11-20"))


@pytest.fixture
def planted(released, tmp_path):
    """A project ready to release with a canary, where every secret of the machine is a planted one."""
    released.write("promptops.yaml", PROJECT)
    released.write("evals/style.yaml", json.dumps(STYLE))
    released.write(PROMPT, prompt("Be brief, please.", version="1.2.0", extra="evals: [style]\n"))
    released.commit("Suite")
    released.git("remote", "add", "origin", URL)
    (tmp_path / "tmp").mkdir()
    released.extra_env.update(OPENAI_API_KEY=KEY, TMPDIR=str(tmp_path / "tmp"), XDG_CACHE_HOME=str(tmp_path / "cache"))
    return released


def secrets(repo) -> dict[str, bytes]:
    """What must not be found, by what it is."""
    lines = repo.key("alice").read_bytes().splitlines()
    return {"API key": KEY.encode(), "password of the remote": PASSWORD.encode(), "signing key": lines[2]}


def written(repo, tmp_path) -> dict[str, bytes]:
    """All files that commands could have written, and all objects of git, by name."""
    kept = {repo.root / ".git" / "config", *(repo.home / "keys").iterdir()}
    files = {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path not in kept}
    command = ["git", "-C", str(repo.root), "cat-file", "--batch-all-objects", "--batch"]
    files["objects of git"] = subprocess.run(command, capture_output=True, check=True).stdout
    return files


def test_nothing_that_is_written_holds_a_secret(planted, tmp_path):
    told = {}

    def run(*args, code):
        done = planted.promptops(*args, check=code)
        told[" ".join(args)] = (done.stdout + done.stderr).encode()

    for status in (401, 400):
        with FaultServer([error(status, f"bad key {KEY}")]) as server:
            planted.extra_env["OPENAI_BASE_URL"] = server.url
            run("try", "support/reply", "--var", f"ticket={status}", code=3)
    with FaultServer(echoing) as server:
        planted.extra_env["OPENAI_BASE_URL"] = server.url
        run("try", "support/reply", "--var", "ticket=x", code=0)
        run("try", "support/reply", "--var", "ticket=x", "--json", code=0)
        run("canary", "support/reply", "--base", "HEAD~1", code=None)
        run("release", "--push", code=3)
        run("release", "--json", code=0)
    planted.extra_env["OPENAI_BASE_URL"] = f"http://robot:{PASSWORD}@127.0.0.1:1/v1"
    run("try", "support/reply", "--var", "ticket=x", code=3)
    for args in (
        ("doctor",),
        ("status",),
        ("show", "support/reply@1.2.0"),
        ("verify", "support/reply@1.2.0", "--json"),
    ):
        run(*args, code=None)
    files = written(planted, tmp_path)
    assert any(name.endswith("replies.jsonl") for name in files)
    assert [name for name, data in files.items() if b"***" in data and name.endswith("replies.jsonl")]
    for what, secret in secrets(planted).items():
        found = [name for name, data in (told | files).items() if secret in data]
        assert not found, f"{what} in {found}"


def test_a_crash_log_holds_no_secret(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("HF_TOKEN", "hf-canary-0123456789")
    crash.report(ValueError(f"Illegal header value Bearer {KEY} for {URL} with hf-canary-0123456789"))
    (made,) = tmp_path.iterdir()
    text = made.read_text()
    assert "Illegal header value Bearer *** for https://***@127.0.0.1:1/prompts.git with ***" in text
    assert KEY not in text
    assert PASSWORD not in text
