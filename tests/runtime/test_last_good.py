"""What stays in service when the file is missing, broken, of a stranger or older than what was served."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import subprocess
import sys

import pytest
import releasing
from serving import NAME, entry, put, ramp, rollout

from promptops.errors import InputError, PromptopsError, RefusedError, UsageError
from promptops.runtime import Snapshot, document, load, opened
from promptops.runtime.assignment import SLOTS


@pytest.fixture
def path(tmp_path):
    return tmp_path / "snapshot.json"


def version(served):
    return served.load(NAME).version


def messages(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_broken_file_is_said_once_and_so_is_the_next_one(path, caplog):
    put(path, entry("1.0.0"))
    served = Snapshot(str(path))
    assert version(served) == "1.0.0"
    for number in range(5):
        path.write_bytes(b"broken %d" % number)
        assert version(served) == "1.0.0"
    path.unlink()
    for _ in range(5):
        assert version(served) == "1.0.0"
    assert len(messages(caplog)) == 2
    assert all("what was read last stays in service" in text for text in messages(caplog))
    put(path, entry("1.1.0", 2))
    assert version(served) == "1.1.0"
    path.write_bytes(b"broken again")
    assert version(served) == "1.1.0"
    assert len(messages(caplog)) == 3


def test_an_application_without_logging_is_told_once_on_standard_error(path):
    put(path, entry("1.0.0"))
    code = (
        "import sys, promptops\n"
        f"path = {str(path)!r}\n"
        f"promptops.load({NAME!r}, snapshot=path)\n"
        "open(path, 'w').write('broken')\n"
        f"for _ in range(9): promptops.load({NAME!r}, snapshot=path)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert len(done.stderr.splitlines()) == 1
    assert "the snapshot cannot be read" in done.stderr


def test_what_went_back_stays_in_service_and_others_go_on(path, caplog):
    def both(first, second):
        data = document.serialize("prod", 1000, {NAME: first, "other": second})
        path.with_name("new").write_bytes(data)
        path.with_name("new").replace(path)

    both(entry("1.2.0", 7), entry("1.0.0", 1))
    served = Snapshot(str(path))
    assert version(served) == "1.2.0"
    both(entry("1.1.0", 6), entry("1.1.0", 2))
    assert (version(served), served.load("other").version) == ("1.2.0", "1.1.0")
    assert served.stale
    assert messages(caplog) == [
        f"the snapshot went back behind the decision in service: {NAME}: what was read last stays in service"
    ]
    both(entry("1.3.0", 8), entry("1.1.0", 2))
    assert version(served) == "1.3.0"
    assert not served.stale


def test_file_of_another_environment_is_refused(path):
    put(path, entry("1.0.0"))
    served = Snapshot(str(path))
    version(served)
    put(path, entry("2.0.0", 9), environment="staging")
    assert version(served) == "1.0.0"
    assert "is of staging, not of prod" in served.error.message


def test_good_copy_serves_after_a_restart_and_keeps_what_was_newest(path, tmp_path):
    good = tmp_path / "good.json"
    data = put(path, entry("1.1.0", 5))
    assert version(Snapshot(str(path), good=str(good))) == "1.1.0"
    assert good.read_bytes() == data
    path.write_bytes(b"broken")
    restarted = Snapshot(str(path), good=str(good))
    assert version(restarted) == "1.1.0"
    assert restarted.stale
    path.unlink()
    assert version(Snapshot(str(path), good=str(good))) == "1.1.0"
    # An older file that is put back after a restart is no way back either.
    put(path, entry("1.0.0", 4))
    restarted = Snapshot(str(path), good=str(good))
    assert version(restarted) == "1.1.0"
    assert "went back" in restarted.error.message
    put(path, entry("1.2.0", 6))
    assert version(restarted) == "1.2.0"
    assert version(Snapshot(str(tmp_path / "none"), good=str(good))) == "1.2.0"
    assert sorted(os.listdir(tmp_path)) == ["good.json", "snapshot.json"]


@pytest.mark.parametrize("content", [b"", b"broken", None])
def test_bad_or_missing_good_copy_stops_nothing(path, tmp_path, content):
    good = tmp_path / "good.json"
    if content is not None:
        good.write_bytes(content)
    put(path, entry("1.0.0"))
    assert version(Snapshot(str(path), good=str(good))) == "1.0.0"
    path.unlink()
    if content is None:
        good.unlink()
        with pytest.raises(PromptopsError, match="there is no snapshot"):
            Snapshot(str(path), good=str(good)).load(NAME)
    else:
        assert version(Snapshot(str(path), good=str(good))) == "1.0.0"


def test_good_copy_that_cannot_be_written_is_said_once(path, tmp_path, caplog):
    served = Snapshot(str(path), good=str(tmp_path / "none" / "good.json"))
    for sequence in range(1, 4):
        put(path, entry("1.0.0", sequence))
        assert version(served) == "1.0.0"
    assert len([text for text in messages(caplog) if "no good copy can be written" in text]) == 1


def test_files_of_the_first_format_are_read(path):
    made = entry("1.0.0")
    del made["rollout"]
    data = document.serialize("prod", 1000, {NAME: made})
    found = json.loads(data)
    del found["sha256"]
    found["format"] = 1
    found["sha256"] = hashlib.sha256(json.dumps(found, separators=(",", ":")).encode()).hexdigest()
    path.write_text(json.dumps(found))
    served = Snapshot(str(path)).load(NAME, unit="u", session="s")
    assert (served.version, served.arm, served.rollout) == ("1.0.0", "stable", None)


def broken_entries():
    running = rollout(5)
    yield {**entry(), "messages": None}
    yield {**entry(), "messages": [{"role": "user"}]}
    yield {**entry(), "messages": [{"role": "user", "content": 5}]}
    yield {**entry(), "messages": ["x"]}
    yield {**entry(), "variables": {"x": {"type": "complex"}}}
    yield {**entry(), "variables": {"x": {"type": "string", "maxLength": "5"}}}
    yield {**entry(), "variables": {"x": {"type": ["string"]}}}
    yield {**entry(), "includes": {"x": 1}}
    yield {**entry(), "decision": None}
    yield {**entry(), "decision": {"sequence": "1"}}
    yield {**entry(), "rollout": []}
    yield {**entry(), "rollout": {**running, "hash": "sha256-u32/2"}}
    yield {**entry(), "rollout": {**running, "weights": {"canary": -1, "baseline": 0}}}
    yield {**entry(), "rollout": {**running, "weights": {"canary": SLOTS, "baseline": 1}}}
    yield {**entry(), "rollout": {**running, "weights": {"canary": 1.5, "baseline": 1}}}
    yield {**entry(), "rollout": {**running, "weights": {"canary": True, "baseline": 1}}}
    yield {**entry(), "rollout": {**running, "weights": {"canary": 1}}}
    yield {**entry(), "rollout": {**running, "scope": "later"}}
    yield {**entry(), "rollout": {**running, "stage": None}}
    yield {**entry(), "rollout": {**running, "arms": {"canary": {}, "baseline": None}}}
    yield {**entry(), "rollout": {**running, "arms": {}}}
    yield None


@pytest.mark.parametrize("made", list(broken_entries()))
def test_entry_that_nothing_can_be_made_of_never_gets_into_service(path, made):
    put(path, entry("1.0.0"))
    served = Snapshot(str(path))
    version(served)
    put(path, made)
    assert version(served) == "1.0.0"
    assert isinstance(served.error, InputError)


@pytest.mark.parametrize("name", ["version", "tag", "digest", "salt", "content", "environment", "signature"])
def test_text_that_cannot_be_encoded_never_gets_into_service(path, name):
    put(path, entry("1.0.0"))
    served = Snapshot(str(path))
    version(served)
    made = {**entry("1.1.0", 2), "rollout": rollout(5)}
    whole = {"format": document.FORMAT, "environment": "prod", "created": 1000, "prompts": {NAME: made}}
    place = {
        "salt": made["rollout"], "content": made["messages"][0], "environment": whole, "signature": whole,
    }.get(name, made)  # fmt: skip
    place[name] = "\ud800"
    covered = {key: value for key, value in whole.items() if key != "signature"}
    whole["sha256"] = hashlib.sha256(json.dumps(covered, separators=(",", ":")).encode()).hexdigest()
    path.write_text(json.dumps(whole))
    assert version(served) == "1.0.0"
    assert isinstance(served.error, InputError)


@pytest.mark.parametrize("created", [float("nan"), float("inf"), -1, 10**400, True, "1000", None])
def test_file_of_no_time_is_refused(path, created):
    put(path, entry("1.0.0"))
    served = Snapshot(str(path), max_age=1e10)
    version(served)
    put(path, entry("6.6.6", 2), created=created)
    assert version(served) == "1.0.0"
    assert isinstance(served.error, InputError)


def test_names_of_a_file_forge_no_line_of_the_log(path, caplog):
    name = "x\nWARNING all is well"
    for made in (entry("1.0.0", 2), entry("1.0.0", 1)):
        path.write_bytes(document.serialize("prod", 1000, {name: made}))
        opened(str(path)).load(name)
    assert len(messages(caplog)) == 1
    assert "\n" not in messages(caplog)[0]


def test_verifier_that_was_missing_at_the_start_is_asked_again(path, keys, monkeypatch):
    put(path, entry("1.0.0", 1), sign=keys())
    served = Snapshot(str(path), signers=keys.signers)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "/none")
        with pytest.raises(PromptopsError, match="ssh-keygen is not on PATH"):
            served.load(NAME)
    assert version(served) == "1.0.0"


@pytest.mark.parametrize("text", ["x", "-1", "0", "nan"])
def test_age_limit_of_the_environment_is_a_number_of_seconds(path, monkeypatch, text):
    put(path, entry("1.0.0"))
    monkeypatch.setenv("PROMPTOPS_SNAPSHOT_MAX_AGE", text)
    with pytest.raises(UsageError, match="PROMPTOPS_SNAPSHOT_MAX_AGE"):
        load(NAME, snapshot=str(path))


def test_environment_sets_age_limit_signers_and_good_copy(path, tmp_path, monkeypatch):
    put(path, entry("1.0.0"), created=1000)
    monkeypatch.setenv("PROMPTOPS_SNAPSHOT_MAX_AGE", "60")
    monkeypatch.setenv("PROMPTOPS_SNAPSHOT_GOOD", str(tmp_path / "good.json"))
    assert load(NAME, snapshot=str(path)).version == "1.0.0"
    assert opened(str(path)).stale
    assert (tmp_path / "good.json").exists()
    other = tmp_path / "other.json"
    put(other, entry("1.0.0"))
    # A name that a deployment forgot to fill in is no wish to take everything.
    monkeypatch.setenv("PROMPTOPS_SNAPSHOT_SIGNERS", "")
    with pytest.raises(PromptopsError, match="there is no file of signers"):
        load(NAME, snapshot=str(other))


@pytest.fixture
def keys(tmp_path):
    """Signs as somebody, in a namespace; and the file of signers that names ``watch``."""
    folder = tmp_path / "keys"
    folder.mkdir()

    def key(name):
        if not (folder / name).exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        return folder / name

    def sign(name="watch", namespace="snapshot.v1@promptops"):
        command = ["ssh-keygen", "-Y", "sign", "-n", namespace, "-f", key(name)]
        return lambda data: subprocess.run(command, input=data, capture_output=True, check=True).stdout

    public = key("watch").with_suffix(".pub").read_text()
    (folder / "signers").write_text(f"watch@example.org {public}")
    sign.signers = str(folder / "signers")
    return sign


def test_only_what_a_signer_signed_goes_into_service(path, keys, caplog):
    put(path, entry("1.0.0", 1), sign=keys())
    served = Snapshot(str(path), signers=keys.signers)
    assert version(served) == "1.0.0"
    wrong = [None, keys("mallory"), keys(namespace="git"), lambda data: keys()(data + b"x"), lambda _: b"\xc3\xa4"]
    for number, sign in enumerate(wrong, 2):
        put(path, entry("6.6.6", number), sign=sign)
        releasing.wait_until(lambda: served.stale and served._seen == seen(path))
        assert version(served) == "1.0.0"
        assert isinstance(served.error, RefusedError)
    assert len(messages(caplog)) == 2
    put(path, entry("1.1.0", 99), sign=keys())
    releasing.wait_until(lambda: version(served) == "1.1.0")
    assert not served.stale


def seen(path):
    status = os.stat(path)
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def test_nobody_waits_for_the_verification_of_a_later_file(path, keys, tmp_path, monkeypatch):
    put(path, entry("1.0.0", 1), sign=keys())
    served = Snapshot(str(path), signers=keys.signers)
    assert version(served) == "1.0.0"
    data = put(path, entry("1.1.0", 2), sign=keys())
    real = shutil.which("ssh-keygen")
    slow = tmp_path / "bin" / "ssh-keygen"
    slow.parent.mkdir()
    slow.write_text(f'#!/bin/sh\nwhile ! test -e {tmp_path}/gate; do sleep 0.05; done\nexec {real} "$@"\n')
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    # It hangs, and everybody is served what is in service.
    assert {version(served) for _ in range(1000)} == {"1.0.0"}
    assert path.read_bytes() == data
    (tmp_path / "gate").touch()
    releasing.wait_until(lambda: version(served) == "1.1.0")


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_a_warm_call_makes_one_system_call(path, tmp_path):
    put(path, ramp("50%"))
    code = (
        "import os, sys, promptops\n"
        "def once(): promptops.load('reply', unit='user-1', session='talk').render(ticket='x')\n"
        "once(); once()\n"
        "os.path.exists('/begin')\n"
        "for _ in range(100): once()\n"
        "os.path.exists('/end')"
    )
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-o", trace, sys.executable, "-c", code]
    env = os.environ | {"PROMPTOPS_SNAPSHOT": str(path)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if "PTRACE" in done.stderr or "Operation not permitted" in done.stderr:
        pytest.skip("strace may not trace here")
    assert done.returncode == 0, done.stderr
    lines = trace.read_text().splitlines()
    begin = next(index for index, line in enumerate(lines) if '"/begin"' in line)
    end = next(index for index, line in enumerate(lines) if '"/end"' in line)
    # The interpreter's own memory comes and goes.
    calls = [line for line in lines[begin + 1 : end] if not re.search(r"\b(mmap|munmap|brk|madvise)\(", line)]
    assert len(calls) == 100
    assert all("stat" in line and "snapshot.json" in line for line in calls)
