"""A watch that follows a remote, and files that only their writer's key can have written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest
import releasing
import reviewing
from releasing import NEW, OLD, PROMPT
from support import prompt

from promptops.errors import PromptopsError
from promptops.release import following
from promptops.repo.git import Git
from promptops.runtime import Snapshot, document
from promptops.runtime.document import serialize

NAME = "support/reply"
LIVE = "refs/promptops/live/*:refs/promptops/live/*"


def promote(repo, version, *, command="promote"):
    named = [f"{NAME}@{version}"] if command == "promote" else [NAME, "--to", version]
    repo.promptops(command, *named, "--env", "prod", "--reason", "because")


@pytest.fixture(scope="session")
def _author(_solo, tmp_path_factory):
    made = reviewing.copy(_solo["released"], tmp_path_factory.mktemp("author"))
    promote(made, "1.0.0")
    subprocess.run(["git", "clone", "-q", "--mirror", made.root, made.root.parent / "hub.git"], check=True)
    return made


@pytest.fixture
def author(_author, tmp_path):
    """Where decisions are made; its origin is a bare repository that has everything."""
    copied = reviewing.copy(_author, tmp_path)
    shutil.copytree(_author.root.parent / "hub.git", tmp_path / "hub.git")
    copied.git("remote", "add", "origin", str(tmp_path / "hub.git"))
    return copied


def publish(repo):
    repo.git("push", "-q", "origin", "main", "refs/tags/prompt/*:refs/tags/prompt/*", LIVE)


@pytest.fixture
def watcher(author, tmp_path):
    """A plain clone of the hub, as a deployment makes it."""
    hub = author.root.parent / "hub.git"
    subprocess.run(["git", "clone", "-q", hub, tmp_path / "watcher"], check=True)
    subprocess.run(["git", "-C", tmp_path / "watcher", "fetch", "-q", "origin", LIVE], check=True)
    return type(author)(tmp_path / "watcher", author.home, author.people, author.extra_env)


def file_of(watcher):
    return watcher.root / "snapshot.json"


def write(watcher, *args, code=0):
    return watcher.promptops("snapshot", "--env", "prod", "-o", "snapshot.json", *args, check=code).stderr


@pytest.fixture
def watch(watcher):
    running = []

    def start(*args):
        words = ("snapshot", "--env", "prod", "-o", "snapshot.json", "--watch", "--interval", "0.1", *args)
        running.append(releasing.start(watcher, *words, stderr=subprocess.PIPE))
        return running[-1]

    yield start
    for process in running:
        process.terminate()
        process.communicate()


def test_watch_takes_decisions_and_releases_over_from_a_remote(author, watcher, watch):
    process = watch("--remote", "origin")
    assert "wrote 1 prompt" in process.stderr.readline()
    served = Snapshot(str(file_of(watcher)))
    assert served.load(NAME).version == "1.0.0"
    # A release that the clone has never seen.
    author.write(PROMPT, prompt("Be brief.", version="1.2.0"))
    author.commit("Brief")
    author.promptops("release", "--no-canary", "tested by hand")
    promote(author, "1.2.0")
    publish(author)
    assert "wrote 1 prompt" in process.stderr.readline()
    assert served.load(NAME).version == "1.2.0"
    promote(author, "1.0.0", command="rollback")
    publish(author)
    assert "wrote 1 prompt" in process.stderr.readline()
    assert served.load(NAME).version == "1.0.0"


def test_remote_that_is_gone_is_said_once_and_comes_back(author, watcher, watch):
    hub = author.root.parent / "hub.git"
    write(watcher, "--remote", "origin")
    prompts = json.loads(file_of(watcher).read_text())["prompts"]
    old = serialize("prod", 1000, prompts)
    hub.rename(author.root.parent / "away")
    file_of(watcher).write_bytes(old)
    process = watch("--remote", "origin")
    assert "cannot fetch from origin" in process.stderr.readline()
    assert "next: git ls-remote origin" in process.stderr.readline()
    # A file that vanishes meanwhile is written again, from what was verified; but its age is unknown.
    file_of(watcher).unlink()
    assert "wrote 1 prompt" in process.stderr.readline()
    assert Snapshot(str(file_of(watcher)), max_age=1e9).stale
    (author.root.parent / "away").rename(hub)
    assert "wrote 1 prompt" in process.stderr.readline()
    assert "all is well again" in process.stderr.readline()
    assert not Snapshot(str(file_of(watcher)), max_age=3600).stale


def test_without_its_remote_a_file_keeps_its_time(author, watcher):
    write(watcher, "--remote", "origin")
    prompts = json.loads(file_of(watcher).read_text())["prompts"]
    old = serialize("prod", 1000, prompts)
    file_of(watcher).write_bytes(old)
    (author.root.parent / "hub.git").rename(author.root.parent / "away")
    assert "cannot fetch" in write(watcher, "--remote", "origin", code=3)
    assert file_of(watcher).read_bytes() == old


def test_remote_may_be_a_url_and_its_password_is_not_shown(author, watcher):
    watcher.git("remote", "remove", "origin")
    promote(author, "1.1.0")
    publish(author)
    write(watcher, "--remote", str(author.root.parent / "hub.git"))
    assert Snapshot(str(file_of(watcher))).load(NAME).tag == NEW
    said = write(watcher, "--remote", "https://bob:secret@localhost:1/none", code=3)
    assert "cannot fetch from https://localhost:1/none" in said
    assert "secret" not in said


def test_remote_that_turns_a_decision_back_changes_nothing(author, watcher):
    promote(author, "1.1.0")
    promote(author, "1.0.0", command="rollback")
    publish(author)
    write(watcher, "--remote", "origin")
    served = file_of(watcher).read_bytes()
    hub = author.root.parent / "hub.git"
    ref = f"refs/promptops/live/prod/{NAME}/HEAD"
    subprocess.run(["git", "-C", hub, "update-ref", ref, f"{ref}~1"], check=True)
    assert "differs from what this clone had" in write(watcher, "--remote", "origin", code=1)
    assert file_of(watcher).read_bytes() == served


def test_remote_that_does_not_answer_is_given_up_with_all_that_was_started(watcher, tmp_path, monkeypatch):
    hanging = tmp_path / "ssh"
    hanging.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 1000\n")
    hanging.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(hanging))
    with Git(str(watcher.root), strict=True) as git, pytest.raises(PromptopsError, match="did not answer within 3 s"):
        following.fetch(git, "ssh://nowhere.example/x", "prod", patience=3)
    number = int((tmp_path / "pid").read_text())
    releasing.wait_until(lambda: not is_running(number))


def is_running(number):
    try:
        with open(f"/proc/{number}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_watch_that_was_killed_leaves_a_whole_file_and_the_next_goes_on(author, watcher, watch):
    process = watch("--remote", "origin")
    assert "wrote 1 prompt" in process.stderr.readline()
    process.kill()
    process.wait()
    assert Snapshot(str(file_of(watcher))).load(NAME).tag == OLD
    promote(author, "1.1.0")
    publish(author)
    assert "wrote 1 prompt" in watch("--remote", "origin").stderr.readline()
    assert Snapshot(str(file_of(watcher))).load(NAME).tag == NEW


def test_two_watches_of_one_file_never_turn_it_back(author, watcher, watch):
    for process in [watch("--remote", "origin"), watch("--remote", "origin")]:
        assert process.poll() is None
    releasing.wait_until(file_of(watcher).exists)
    served = Snapshot(str(file_of(watcher)))
    seen = [served.load(NAME).decision["sequence"]]
    for version in ("1.1.0", "1.0.0"):
        promote(author, version)
        publish(author)
        seen.append(seen[-1] + 1)

        def arrived(expected=seen[-1]):
            found = document.parse(file_of(watcher).read_bytes())["prompts"][NAME]["decision"]["sequence"]
            assert expected - 1 <= found <= expected
            return found == expected

        releasing.wait_until(arrived)
    assert served.load(NAME).decision["sequence"] == 3


@pytest.fixture
def signers(watcher):
    path = watcher.root.parent / "signers"
    path.write_text(f'watch namespaces="snapshot.v1@promptops" {watcher.public_key("watch")}\n')
    return str(path)


def test_signed_file_is_served_and_another_is_not(author, watcher, signers):
    key = str(watcher.key("watch"))
    write(watcher, "--sign", "--key", key)
    path = str(file_of(watcher))
    served = Snapshot(path, signers=signers)
    assert served.load(NAME).tag == OLD
    write(watcher, "--sign", "--key", str(watcher.key("mallory")))
    with pytest.raises(PromptopsError, match="its signature is of nobody in"):
        Snapshot(path, signers=signers).load(NAME)
    write(watcher)
    with pytest.raises(PromptopsError, match="it is not signed"):
        Snapshot(path, signers=signers).load(NAME)
    # Whoever does not ask for signatures reads all of them.
    assert Snapshot(path).load(NAME).tag == OLD


def test_nothing_is_kept_of_a_file_that_another_wrote(author, watcher, signers):
    key = str(watcher.key("watch"))
    write(watcher, "--sign", "--key", key)
    found = document.read(file_of(watcher).read_bytes())
    forged = json.loads(json.dumps(found.document["prompts"]))
    forged[NAME]["decision"]["sequence"] = 999
    forged[NAME]["messages"][0]["content"] = "Flatter."
    file_of(watcher).write_bytes(serialize("prod", found.document["created"], forged))
    write(watcher, "--sign", "--key", key)
    served = Snapshot(str(file_of(watcher)), signers=signers).load(NAME)
    assert (served.decision["sequence"], served.tag) == (1, OLD)


def test_signed_file_goes_to_standard_output_too(author, watcher, signers):
    key = str(watcher.key("watch"))
    done = watcher.promptops("snapshot", "--env", "prod", "--sign", "--key", key)
    file_of(watcher).write_text(done.stdout)
    assert Snapshot(str(file_of(watcher)), signers=signers).load(NAME).tag == OLD


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--key", "x"], 2, "--key is for --sign"),
        (["--sign", "--key", "/none"], 3, "there is no signing key"),
        (["--sign", "--key", "kms:hsm:2#x.pem"], 2, "name an SSH key"),
        (["--remote", "-x"], 3, "cannot fetch from -x"),
        (["--remote", "ext::sh -c true"], 3, "cannot fetch from ext::sh"),
    ],
)
def test_wrong_options_are_named_and_write_nothing(watcher, args, code, said):
    before = os.listdir(watcher.root)
    assert said in write(watcher, *args, code=code)
    if code == 2:
        assert os.listdir(watcher.root) == before
