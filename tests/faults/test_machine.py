"""A network that goes away, a disk that is really full, a clock that is wrong."""

from __future__ import annotations

import os
import signal
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
import releasing
from evaluation.canaries import text_by
from faulting import ALL, Scene, finished
from faults.trials import NOTE, check_whole, journals, normal
from inference.faults import Answer, FaultServer
from support import prompt

HOUR, YEAR = 3600, 365 * 24 * 3600
RELEASE = ("release", "--together", "--push")
NO_CANARY = (*RELEASE, "--no-canary", "by hand")
TAG = "prompt/support/reply@v1.1.0"


def endpoint(server: FaultServer) -> dict[str, str]:
    return {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "sk-x"}


def after(scene: Scene, folder, *args, **env) -> dict:
    """What an undisturbed run makes of a scene."""
    whole = scene.copy(folder / "whole")
    done = whole.run(*args, **env)
    assert done.returncode == 0, done.stderr
    return normal(whole)


def paused(scene: Scene, point: str, *args: str):
    """Start a command, and return it once it has stopped at a point."""
    running = scene.start(*args, fault={"at": point, "do": "pause"})
    assert os.WIFSTOPPED(os.waitpid(running.pid, os.WUNTRACED)[1]), point
    return running


def go_on(running: subprocess.Popen) -> subprocess.CompletedProcess[str]:
    """Let a paused command run to its end."""
    os.kill(running.pid, signal.SIGCONT)
    return finished(running)


@pytest.mark.parametrize(("point", "counts"), [("start git push#1", False), ("start git update-ref#1", True)])
def test_remote_that_goes_away_before_and_after_the_push(canaried, tmp_path, point, counts):
    scene = canaried.copy(tmp_path / "scene")
    before, whole = normal(scene), after(scene, tmp_path, *NO_CANARY)
    running = paused(scene, point, *NO_CANARY)
    scene.remote.root.rename(tmp_path / "unplugged")
    done = go_on(running)
    (tmp_path / "unplugged").rename(scene.remote.root)
    assert done.returncode == (0 if counts else 3), done
    assert counts or "git ls-remote origin" in done.stdout
    check_whole(before, normal(scene), whole)
    assert scene.run(*NO_CANARY).returncode == 0
    assert normal(scene) == whole


def test_push_that_arrived_although_its_answer_did_not(canaried, tmp_path):
    scene = canaried.copy(tmp_path / "scene")
    before, whole = normal(scene), after(scene, tmp_path, *NO_CANARY)
    hook = scene.remote.root / "hooks/post-receive"
    hook.write_text("#!/bin/sh\nkill -9 $PPID\n")
    hook.chmod(0o755)
    done = scene.run(*NO_CANARY)
    hook.unlink()
    assert done.returncode == 3, done
    assert (scene.repo.root / NOTE).exists()
    check_whole(before, normal(scene), whole)
    assert "finished an interrupted release" in scene.run(*NO_CANARY).stderr
    assert normal(scene) == whole


def test_model_server_that_goes_away_is_paid_once_for_each_reply(canaried, tmp_path):
    scene = canaried.copy(tmp_path / "scene")
    before, answer = normal(scene), text_by(0.0)
    with FaultServer(answer) as server:
        whole = after(scene, tmp_path, *RELEASE, **endpoint(server))
        sent = len(server.requests)
    with FaultServer(lambda number, body: answer(number, body) if number < 5 else Answer(raw=b"")) as server:
        done = scene.run(*RELEASE, fault={"hurry": True}, **endpoint(server))
        assert done.returncode == 3, done
        assert "does not answer" in done.stdout
    assert normal(scene) == before
    kept = journals(scene)
    assert sum(map(len, kept.values())) == 5
    with FaultServer(answer) as server:
        assert scene.run(*RELEASE, **endpoint(server)).returncode == 0
        assert len(server.requests) <= sent - 5
    assert all(journals(scene)[name][: len(lines)] == lines for name, lines in kept.items())
    assert normal(scene) == whole


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a megabyte or so."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("kilobytes", range(0, 64, 4) if ALL else (0, 28, 40))
def test_full_file_system_under_git_and_us(canaried, tmp_path, small_disk, kilobytes):
    scene = canaried.copy(small_disk / "scene")
    before, whole = normal(scene), after(canaried, tmp_path, *NO_CANARY)
    filler = small_disk / "filler"
    space = os.statvfs(small_disk)
    with filler.open("wb") as file:
        file.write(b"x" * max(0, space.f_bavail * space.f_frsize - kilobytes * 1024))
    done = scene.run(*NO_CANARY)
    now = normal(scene)
    check_whole(before, now, whole)
    assert done.returncode in ((0,) if now == whole else (1, 3)), done
    assert "this is a bug" not in done.stderr
    filler.unlink()
    scene.check_objects()
    assert scene.run(*NO_CANARY).returncode == 0
    assert normal(scene) == whole


@pytest.mark.parametrize("seconds", [-YEAR, -HOUR, HOUR, YEAR] if ALL else [-HOUR, YEAR])
def test_releases_and_decisions_made_by_a_wrong_clock_hold_and_are_followed(canaried, tmp_path, seconds):
    scene = canaried.copy(tmp_path / "scene")
    wrong = {"fault": {"clock": seconds}}
    assert scene.run("promote", "support/reply@1.0.0", "--env", "prod", "--reason", "x").returncode == 0
    assert scene.run("release", "support/reply", "--no-canary", "x", **wrong).returncode == 0
    created = releasing.manifest_of(scene.repo, TAG).created
    assert (created > releasing.manifest_of(scene.repo, "prompt/support/reply@v1.0.0").created) == (seconds > 0)
    assert scene.run("promote", "support/reply", "--env", "prod", "--reason", "x", **wrong).returncode == 0
    assert releasing.failed(scene.repo, TAG, code=0) == set()
    # The clock is right again, so that time went back or leapt.
    assert scene.run("rollback", "support/reply", "--env", "prod", "--reason", "y").returncode == 0
    scene.repo.write(releasing.PROMPT, prompt("Again.", version="1.2.0"))
    scene.repo.commit("Next")
    assert scene.run("release", "support/reply", "--no-canary", "x").returncode == 0
    assert releasing.failed(scene.repo, "prompt/support/reply@v1.2.0", code=0) == set()
    live = normal(scene)["here"]["refs/promptops/live/prod/support/reply/HEAD"]
    assert live == ["rollback", 3, TAG, "y", "prompt/support/reply@v1.0.0"]


def test_approval_that_ends_is_over_a_year_later_and_not_an_hour_later(reviewable, tmp_path):
    scene = reviewable.copy(tmp_path / "scene")
    ends = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    assert scene.run("review", "approve", "--expires", ends, by="bob").returncode == 0
    scene.repo.commit("Approve", by="bob")
    for seconds, code in ((HOUR, 0), (-HOUR, 0), (YEAR, 1)):
        done = scene.run("review", "verify", fault={"clock": seconds})
        assert done.returncode == code, (seconds, done)
    assert "expired" in done.stdout
    scene.repo.git("switch", "-q", "main")
    scene.repo.git("merge", "-q", "--no-ff", "topic", "-m", "Merge")
    done = scene.run("release", "--no-canary", "x", fault={"clock": YEAR})
    assert (done.returncode, "expired" in done.stdout) == (1, True), done
    assert scene.run("release", "--no-canary", "x").returncode == 0


def test_replies_that_a_wrong_clock_paid_for_are_not_paid_again(canaried, tmp_path):
    scene = canaried.copy(tmp_path / "scene")
    with FaultServer(text_by(0.0)) as server:
        whole = after(scene, tmp_path, *RELEASE, **endpoint(server))
        sent = len(server.requests)
        fault = {"clock": YEAR, "at": "received#9", "do": "kill"}
        done = scene.run(*RELEASE, fault=fault, **endpoint(server))
        assert done.returncode == -signal.SIGKILL
        known = sum(map(len, journals(scene).values()))
        first = len(server.requests) - sent
        assert known <= first <= known + 1
        assert scene.run(*RELEASE, **endpoint(server)).returncode == 0
        assert len(server.requests) <= 2 * sent + first - known
    assert normal(scene) == whole
