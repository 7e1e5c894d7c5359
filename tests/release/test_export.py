from __future__ import annotations

import json

import pytest
from openfeature.contrib.tools.flagd.core import FlagdCore
from releasing import NEW, start, wait_until

from promptops.adapters import flagd

NAME = "support/reply"


def export(repo, code=0):
    path = repo.root / "prompts.flagd.json"
    done = repo.promptops("export", "flagd", "--env", "prod", "-o", str(path), check=code)
    return path, done.stderr


@pytest.fixture
def serving(released):
    for release in (f"{NAME}@1.0.0", NAME):
        released.promptops("promote", release, "--env", "prod", "--reason", "because")
    return released


def version(path):
    core = FlagdCore()
    core.set_flags(path.read_text())
    found = core.resolve_object_value(NAME, {})
    return found.value["version"], found.flag_metadata["decision"]


def test_flags_follow_promotion_and_rollback(serving):
    path, _ = export(serving)
    assert version(path) == ("1.1.0", 2)
    serving.promptops("rollback", NAME, "--env", "prod", "--reason", "because")
    path, _ = export(serving)
    assert version(path) == ("1.0.0", 3)


def test_watch_follows_a_remote(serving, tmp_path):
    hub = tmp_path / "hub.git"
    serving.git("clone", "-q", "--mirror", ".", str(hub))
    edge = serving.clone(tmp_path / "edge")
    path = tmp_path / "flags.json"
    options = ("--env", "prod", "-o", str(path), "--remote", str(hub), "--watch", "--interval", "0.2")
    watch = start(edge, "export", "flagd", *options)
    try:
        wait_until(path.exists)
        assert version(path) == ("1.1.0", 2)
        serving.promptops("rollback", NAME, "--env", "prod", "--reason", "because", "--push", "--remote", str(hub))
        wait_until(lambda: version(path) == ("1.0.0", 3))
    finally:
        watch.terminate()
        watch.wait(120)


def test_release_that_does_not_verify_keeps_the_flag(serving):
    path, _ = export(serving)
    before = path.read_bytes()
    serving.promptops("withdraw", NEW, "--reason", "flatters")
    _, said = export(serving, code=1)
    assert "withdrawn" in said
    assert path.read_bytes() == before


def test_place_that_is_no_file_is_refused(serving):
    done = serving.promptops("export", "flagd", "--env", "prod", "-o", "missing/flags.json", check=3)
    assert "its folder is missing" in done.stderr
    done = serving.promptops("export", "flagd", "--env", "prod", "-o", ".", check=3)
    assert "no regular file" in done.stderr


def test_flag_holds_what_a_snapshot_holds(serving):
    serving.promptops("snapshot", "--env", "prod", "-o", "snapshot.json")
    entry = json.loads(serving.read("snapshot.json"))["prompts"]
    path, _ = export(serving)
    assert path.read_bytes() == flagd.serialize("prod", entry)
