"""doctor --repair: what killed runs leave, made for real, explained and mended; what may be somebody's is left alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
import releasing
from releasing import failed

from promptops.evaluation import evidence
from promptops.inference.journal import Journal
from promptops.inference.ledger import Usage
from promptops.inference.reply import Reply
from promptops.release import journal
from promptops.repo.git import Git

TAG = "prompt/support/reply@v1.0.0"
LEFT = {"promise", "lock", "journal", "files", "scratch", "unnamed tags", "leftovers"}


@pytest.fixture
def clone(solo, tmp_path):
    """A project whose remote is a bare clone; doctor finds nothing missing in it but hooks."""
    remote = tmp_path / "remote.git"
    solo.git("clone", "-q", "--bare", str(solo.root), str(remote))
    solo.git("remote", "add", "origin", str(remote))
    (tmp_path / "tmp").mkdir()
    solo.extra_env["TMPDIR"] = str(tmp_path / "tmp")
    return solo


def doctor(repo, *args, code=0):
    done = repo.promptops("doctor", "--json", *args, check=code)
    return [probe for probe in json.loads(done.stdout) if probe["name"] in LEFT]


def old(path, seconds=3600):
    os.utime(path, (time.time() - seconds,) * 2)


def test_nothing_is_left_where_nothing_was_cut_short(clone):
    before = clone.git("for-each-ref")
    assert [probe["state"] for probe in doctor(clone, "--repair")] == ["ok"]
    assert clone.git("for-each-ref") == before


def promise(repo, remote, oid=None):
    oid = oid or repo.git("rev-parse", "HEAD")
    with Git(str(repo.root)) as git:
        journal._write(journal._path(git), {"remote": remote, "updates": [[f"refs/tags/{TAG}", oid, None]]})
    return oid


def test_a_push_that_arrived_is_finished_here(clone):
    oid = promise(clone, "origin")
    clone.git("push", "-q", "origin", f"{oid}:refs/tags/{TAG}")
    (found,) = doctor(clone)
    assert (found["name"], found["state"]) == ("promise", "warn")
    assert f"refs/tags/{TAG}" in found["detail"]
    assert "promptops doctor --repair" in found["mend"]
    assert clone.git("tag", "--list") == ""
    (found,) = doctor(clone, "--repair")
    assert (found["state"], found["mend"]) == ("mended", "")
    assert clone.git("rev-parse", TAG) == oid
    assert [probe["name"] for probe in doctor(clone)] == ["leftovers"]


def test_a_push_that_never_arrived_is_forgotten(clone):
    promise(clone, "origin")
    (found,) = doctor(clone, "--repair")
    assert found["state"] == "mended"
    assert "nothing of it had counted" in found["detail"]
    assert clone.git("tag", "--list") == ""


def test_a_remote_that_does_not_answer_and_a_damaged_note_stay_with_the_next_step(clone, tmp_path):
    promise(clone, "origin")
    (tmp_path / "remote.git").rename(tmp_path / "gone.git")
    (found,) = doctor(clone, "--repair", code=1)
    assert found["state"] == "broken"
    assert "git ls-remote origin" in found["mend"]
    note = clone.root / ".git/promptops/pending.json"
    note.write_text("[]")
    (found,) = doctor(clone, code=1)
    assert "damaged" in found["detail"]
    assert str(note) in found["mend"]
    assert note.exists()


def test_an_old_lock_that_no_git_holds_is_removed_and_a_release_goes_on(clone):
    locks = [clone.root / ".git" / name for name in ("index.lock", f"refs/tags/{TAG}.lock", "packed-refs.lock")]
    for lock in locks:
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.write_text("")
        old(lock)
    assert "File exists" in clone.promptops("release", "--no-canary", "x", check=3).stdout
    assert {probe["state"] for probe in doctor(clone, code=1)} >= {"broken"}
    found = doctor(clone, "--repair")
    assert [probe["state"] for probe in found if probe["name"] == "lock"] == ["mended"] * 3
    assert not any(lock.exists() for lock in locks)
    clone.promptops("release", "--no-canary", "x")
    assert failed(clone, TAG, code=0) == set()


def test_a_young_lock_and_one_beside_a_running_git_stay(clone):
    lock = clone.root / ".git/index.lock"
    lock.write_text("")
    (found,) = doctor(clone, "--repair")
    assert (found["state"], lock.exists()) == ("warn", True)
    old(lock)
    # It waits for input, as a commit waits for an editor.
    with subprocess.Popen(["git", "cat-file", "--batch"], cwd=clone.root, stdin=subprocess.PIPE) as running:
        (found,) = doctor(clone, "--repair")
        assert str(running.pid) in found["detail"]
        assert (found["state"], lock.exists()) == ("warn", True)
        running.stdin.close()
    assert doctor(clone, "--repair")[0]["state"] == "mended"
    assert not lock.exists()


@pytest.fixture
def paid(clone):
    """The journal and the ledger of a run that got one reply."""
    with Git(str(clone.root)) as git:
        folder = os.path.join(evidence.default_root(git), "0" * 64)
    os.makedirs(folder)
    path = os.path.join(folder, "replies.jsonl")
    with Journal(path) as kept:
        number = kept.ledger.send(Usage(10, 0.5), 0.0, 60.0)
        kept.ledger.settle(number, Usage(4, 0.25), 1.0, 1.0)
        kept.add(Reply("a", "hello", "m"))
    return path, os.path.join(folder, "replies.spent.jsonl")


def read(path):
    with open(path, "rb") as file:
        return file.read()


def add(path, data):
    with open(path, "ab") as file:
        file.write(data)


@pytest.mark.parametrize("which", [{0}, {1}, {0, 1}])
def test_torn_replies_and_accounts_are_cut_off_and_whole_ones_are_kept(clone, paid, which):
    before = [read(path) for path in paid]
    for number in which:
        add(paid[number], b'{"key": "b", "te')
    (found,) = doctor(clone)
    assert (found["name"], found["state"]) == ("journal", "warn")
    assert [path in found["detail"] for path in paid] == [number in which for number in (0, 1)]
    assert found["detail"].count("16 bytes") == len(which)
    with Journal(paid[0] + ".other"):
        assert doctor(clone, "--repair")[0]["state"] == "mended"
    assert [read(path) for path in paid] == before
    assert doctor(clone)[0]["name"] == "leftovers"
    with Journal(paid[0]) as kept:
        assert kept.get("a").text == "hello"
        assert kept.ledger.spent[:3] == (1, 4, 0.25)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize(
    "line", [b"{}\n", b"[1]\n", b"\xff\xfe\n", b'{"settled":9,"at":1,"tokens":1,"cost":1,"ratio":1}\n']
)
def test_a_line_of_something_else_is_named_and_left_to_people(clone, paid, number, line):
    add(paid[number], line + b"torn")
    before = [read(path) for path in paid]
    for options in ((), ("--repair",)):
        (found,) = doctor(clone, *options, code=1)
        assert (found["name"], found["state"]) == ("journal", "broken")
        assert f"{paid[number]}, line {2 if number == 0 else 4}" in found["detail"]
        assert "away to start again" in found["mend"]
    assert [read(path) for path in paid] == before


def test_a_ledger_that_cannot_be_read_is_named(clone, paid):
    os.unlink(paid[1])
    os.mkdir(paid[1])
    (found,) = doctor(clone, "--repair", code=1)
    assert (found["state"], paid[1] in found["detail"]) == ("broken", True)


def test_a_journal_that_a_run_holds_is_left_alone(clone):
    with Git(str(clone.root)) as git:
        folder = os.path.join(evidence.default_root(git), "0" * 64)
    os.makedirs(folder)
    with Journal(os.path.join(folder, "replies.jsonl")) as kept:
        with open(kept.path, "ab") as file:
            file.write(b"half")
        (found,) = doctor(clone, "--repair", code=1)
        assert (found["state"], "another run" in found["detail"]) == ("broken", True)
        assert os.path.getsize(kept.path) == 4


def test_our_unfinished_files_go_and_those_of_others_stay(clone, tmp_path):
    ours = [
        clone.write(".git/promptops/.promptops-new-0123456789abcdef", "half"),
        clone.write("prompts/.promptops-new-fedcba9876543210", "half"),
    ]
    theirs = [clone.write("prompts/.promptops-new-notours", "x"), clone.write(".git/promptops/passed", "")]
    young = clone.write(".git/promptops/.promptops-new-0000000000000000", "being written")
    scratch = tmp_path / "tmp" / f"promptops-{'0' * 32}"
    fresh = tmp_path / "tmp" / f"promptops-{'1' * 32}"
    crash = tmp_path / "tmp" / "promptops-crash-abc.md"
    preview = tmp_path / "tmp" / "promptops-preview-abc_1234"
    for folder in (scratch, fresh, preview):
        folder.mkdir()
        (folder / "signers").write_text("x")
    crash.write_text("report")
    for path in (*ours, *theirs, crash):
        old(path)
    for folder in (scratch, preview):
        old(folder, 2 * 24 * 3600)
    assert {probe["name"]: probe["state"] for probe in doctor(clone)} == {"files": "warn", "scratch": "warn"}
    assert {probe["name"]: probe["state"] for probe in doctor(clone, "--repair")} == {
        "files": "mended",
        "scratch": "mended",
    }
    assert not any(path.exists() for path in (*ours, scratch, preview))
    assert all(path.exists() for path in (*theirs, young, fresh, crash))


def test_signed_tags_without_a_ref_are_explained_and_kept(clone):
    clone.promptops("release", "--no-canary", "x")
    oid = clone.git("rev-parse", TAG)
    clone.git("tag", "-d", TAG)
    (found,) = doctor(clone, "--repair")
    assert (found["name"], found["state"]) == ("unnamed tags", "ok")
    assert TAG in found["detail"]
    assert clone.git("cat-file", "-t", oid) == "tag"


def test_people_are_told_in_words(clone):
    promise(clone, None)
    done = clone.promptops("doctor", "--repair")
    line = next(line for line in done.stdout.splitlines() if line.startswith("mended"))
    assert f"refs/tags/{TAG}; they are here now" in line
    assert releasing.failed(clone, TAG) != set()


def test_a_release_that_runs_is_not_disturbed(clone):
    promise(clone, None)
    holder = (
        "import sys\nfrom promptops.release import journal\nfrom promptops.repo.git import Git\n"
        "with journal.exclusive(Git()):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder], cwd=clone.root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout.readline() == "held\n"
        (found,) = doctor(clone, "--repair", code=1)
        assert f"process {running.pid}" in found["detail"]
        running.stdin.close()
    assert doctor(clone, "--repair")[0]["state"] == "mended"
