"""Hostile and broken repositories through the command line: one message, the right code, nothing written."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from support import MODEL, PROMPT, changed

MANY = "\n".join(
    f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 10) if number else 'x'}]" for number in range(9)
)
BAD_PROMPTS = {
    "broken": ("version: [\n", "not valid YAML"),
    "duplicate key": (PROMPT + 'version: "2.0.0"\n', "appears twice"),
    "two documents": (PROMPT + "---\n" + PROMPT, "more than one document"),
    "50 MB": ("a: x\n" * 10_000_000, "the limit is"),
    "latin-1": (PROMPT.replace("Answers", "Réponse").encode("latin-1"), "not UTF-8"),
    "utf-16": (PROMPT.encode("utf-16"), "not UTF-8"),
    "byte order mark": (b"\xef\xbb\xbf" + PROMPT.encode(), "byte order mark"),
    "alias bomb": (MANY + "\n", "aliases counted in full"),
    "deep": ("a: " + "[" * 5000 + "]" * 5000, "nested deeper"),
    "tag": (PROMPT.replace("gpt", "!!python/name:os.system gpt"), "tag"),
    "empty": ("", "empty"),
    "a list": ("- a\n", "object"),
    "bad version": (changed(version='"1.0"'), "semantic version"),
    "unquoted version": (changed(version="1.0"), "semantic version"),
    "missing model": (changed(model="nowhere"), "no model nowhere"),
    "escaping model": (changed(model="../secret"), "model"),
    "missing include": (changed(messages="[{role: user, content: \"{% include 'no.md' %}\"}]"), "does not exist"),
    "circle": (changed(messages="[{role: user, content: \"{% include 'a.md' %}\"}]"), "circle"),
    "escaping include": (
        changed(messages="[{role: user, content: \"{% include '../promptops.yaml' %}\"}]"),
        "plain path",
    ),
    "template": (changed(messages='[{role: user, content: "{% if %}"}]'), "template"),
    "digits": (changed(messages=f'[{{role: user, content: "{{{{ 1 + {"9" * 5000} }}}}"}}]'), "thousands of digits"),
    "unknown filter": (changed(messages='[{role: user, content: "{{ ticket|nope }}"}]'), "template"),
    "unknown key": (PROMPT + "modle: x\n", "modle"),
}


def state(repo) -> dict[str, bytes]:
    return {
        os.path.relpath(os.path.join(folder, name), repo.root): os.path.getmtime(os.path.join(folder, name))
        for folder, _, names in os.walk(repo.root)
        for name in names
    }


@pytest.mark.parametrize("name", BAD_PROMPTS)
def test_a_bad_prompt_is_one_message_everywhere(registry, name):
    content, words = BAD_PROMPTS[name]
    registry.write("prompts/a.md", "{% include 'a.md' %}")
    registry.write("prompts/bad.yaml", content)
    registry.git("add", "-A")
    before = state(registry)
    for args in (("digest", "bad"), ("show", "bad"), ("render", "bad", "--var", "ticket=x"), ("list",)):
        result = registry.cli(*args)
        assert result.code == 1, (args, result)
        assert words in result.err
        assert "prompts/" in result.err
        assert "Traceback" not in result.err
        assert "this is a bug" not in result.err
        assert len(result.err) < 1000
    assert state(registry) == before


@pytest.mark.parametrize("name", BAD_PROMPTS)
def test_a_bad_prompt_is_a_finding_for_check(registry, name):
    content, _ = BAD_PROMPTS[name]
    registry.write("prompts/a.md", "{% include 'a.md' %}")
    registry.write("prompts/bad.yaml", content)
    registry.git("add", "-A")
    result = registry.cli("check", "--all")
    assert result.code == 1, result
    assert "prompts/" in result.out
    assert "this is a bug" not in result.err


def test_crlf_is_no_difference(registry):
    before = registry.cli("digest").out
    registry.write("prompts/reply.yaml", PROMPT.replace("\n", "\r\n"))
    assert registry.cli("digest").out == before


def test_a_linked_prompt_is_refused(registry, tmp_path):
    (tmp_path / "outside.yaml").write_text(PROMPT)
    os.symlink(tmp_path / "outside.yaml", registry.root / "prompts" / "link.yaml")
    registry.git("add", "-A")
    for args in (("show", "link"), ("digest", "link"), ("list",), ("fmt",), ("check", "--all")):
        result = registry.cli(*args)
        assert result.code == 1, (args, result)
        assert "symbolic link" in result.err + result.out


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("", "empty"),
        ("provider: openai\n", "id"),
        (MODEL + "id: again\n", "twice"),
        (MODEL + "api_key: sk-123\n", "api_key"),
    ],
)
def test_a_bad_model_is_one_message(registry, model, words):
    registry.write("models/gpt.yaml", model)
    result = registry.cli("digest", "reply")
    assert (result.code, words in result.err, "models/gpt.yaml" in result.err) == (1, True, True)


@pytest.mark.parametrize(
    "text", ["version: 2\n", "version: 1\ncanary: {share: 5}\n", "version: 1\nnonsense: 1\n", "[", "- a\n"]
)
def test_a_bad_project_file_is_one_message(registry, text):
    registry.write("promptops.yaml", text)
    registry.git("add", "-A")
    result = registry.cli("check", "--all")
    assert result.code == 1
    assert "promptops.yaml" in result.out + result.err


READING = [("list",), ("digest",), ("status",), ("log",), ("check", "--all"), ("schema",)]


@pytest.mark.parametrize("args", READING, ids=" ".join)
def test_an_empty_repository(repo, args):
    result = repo.cli(*args)
    assert result.code in {0, 1, 3}, result
    assert "this is a bug" not in result.err


@pytest.mark.parametrize("args", READING, ids=" ".join)
def test_a_detached_head(registry, args):
    registry.git("checkout", "-q", "--detach")
    result = registry.cli(*args)
    assert result.code in {0, 1}, result
    assert "this is a bug" not in result.err


@pytest.mark.parametrize(
    "args",
    [
        ("show", "reply", "--at", "HEAD"),
        ("digest", "--at", "HEAD"),
        ("render", "reply", "--at", "HEAD", "--var", "ticket=x"),
    ],
    ids=" ".join,
)
def test_an_empty_or_missing_revision(repo, args):
    result = repo.cli(*args)
    assert result.code == 3
    assert "no commit yet" in result.err


@pytest.mark.parametrize(
    "args",
    [
        ("list",),
        ("digest",),
        ("show", "x"),
        ("render", "x"),
        ("fmt",),
        ("new", "model", "x"),
        ("check",),
        ("status",),
        ("log",),
        ("init",),
    ],
    ids=" ".join,
)
def test_outside_a_repository(tmp_path, monkeypatch, args):
    from support import invoke

    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    result = invoke(*args, cwd=tmp_path)
    assert result.code == 3, result
    assert "git init" in result.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("args", [("list",), ("digest",), ("fmt",)], ids=" ".join)
def test_a_bare_repository(registry, tmp_path, args):
    bare = registry.clone(tmp_path / "bare.git", "--bare")
    assert bare.cli(*args).code == 3
    if args != ("fmt",):
        assert bare.cli(*args, "--at", "main").code == 0


@pytest.mark.parametrize("args", [(), ("--all",), ("--staged",)], ids=" ".join)
def test_a_bare_repository_has_nothing_staged_to_check(registry, tmp_path, args):
    done = registry.clone(tmp_path / "bare.git", "--bare").cli("check", *args)
    assert done.code == 3
    assert "bare" in done.err


@pytest.mark.parametrize("day", ["soon", "2026-02-30", "12/31/2026", "\udcff"])
def test_a_day_that_no_calendar_has_is_wrong_usage(registry, day):
    done = registry.cli("check", "--today", day)
    assert (done.code, "is no date" in done.err) == (2, True)


def test_a_link_in_place_of_a_model_is_a_finding_beside_the_others(repo):
    repo.promptops("init", "--solo")
    repo.git("add", "-A")
    (repo.root / "models/m.yaml").symlink_to("local.yaml")
    repo.write("prompts/x.yaml", repo.read("prompts/assistant.yaml").replace("model: local", "model: m"))
    repo.write("prompts/bad.yaml", "a: [\n")
    repo.git("add", "-A")
    report = json.loads(repo.promptops("check", "--json", check=1).stdout)
    assert {("PO101", "prompts/bad.yaml"), ("PO102", "models/m.yaml")} <= {
        (each["rule"], each["path"]) for each in report["findings"]
    }


@pytest.mark.parametrize("model", ["local\nowners: [evil]", "", "..", "../../etc/passwd", "-x"])
def test_a_model_that_no_file_can_have_is_wrong_usage_of_new(repo, model):
    repo.promptops("init", "--solo")
    done = repo.promptops("new", "prompt", "q", f"--model={model}", check=2)
    assert "model name" in done.stderr
    assert not (repo.root / "prompts/q.yaml").exists()


@pytest.mark.parametrize("interval", ["inf", "nan", "0"])
def test_an_interval_has_an_end(repo, interval):
    repo.promptops("snapshot", "--env", "prod", "--watch", "--interval", interval, check=2)


def test_reviews_of_no_repository_are_not_clean(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "promptops", "check", "--reviewed"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "not inside a git repository" in done.stderr) == (3, True)


def test_without_an_identity_nothing_is_decided(repo):
    repo.promptops("init", "--solo")
    repo.commit("Start")
    repo.promptops("release", "--no-canary", "x")
    config = repo.home / "nobody.gitconfig"
    config.write_text("[user]\n\tuseConfigOnly = true\n")
    done = repo.promptops("withdraw", "assistant@1.0.0", "--reason", "x", check=3, GIT_CONFIG_GLOBAL=str(config))
    assert "git config user.name" in done.stderr
