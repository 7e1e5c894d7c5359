"""Commands on a machine that breaks at a chosen point: a scene to copy, the real process, and what must hold after it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support import Repo

if TYPE_CHECKING:
    from collections.abc import Sequence

LAYER = Path(__file__).parent / "faultlayer"
# All points instead of a sample: make faults.
ALL = bool(os.environ.get("PROMPTOPS_ALL_FAULTS"))


@dataclass(frozen=True)
class Scene:
    """A folder with ``repo``, perhaps ``remote.git``, and ``tmp`` for scratch files; everything in it may be copied."""

    folder: Path
    home: Path
    people: tuple[str, ...]

    @property
    def repo(self) -> Repo:
        """The clone in which commands run."""
        return Repo(self.folder / "repo", self.home, self.people, {"TMPDIR": str(self.folder / "tmp")})

    @property
    def remote(self) -> Repo:
        """The bare repository that it pushes to."""
        return Repo(self.folder / "remote.git", self.home, self.people)

    def copy(self, folder: Path) -> Scene:
        """The same state once more."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Scene(folder, self.home, self.people)

    def start(self, *args: str, by: str = "alice", fault: dict[str, Any] | None = None, **env: str) -> subprocess.Popen:
        """Start the command line in a process group of its own, with a fault when one is given."""
        given = self.repo.env(by) | {"PYTHONDONTWRITEBYTECODE": "1"} | env
        if fault is not None:
            given["FAULT"] = json.dumps({"watch": str(self.folder), **fault})
            given["PYTHONPATH"] = os.pathsep.join(filter(None, [str(LAYER), given.get("PYTHONPATH")]))
        return subprocess.Popen(
            [sys.executable, "-m", "promptops", *args],
            cwd=self.repo.root,
            env=given,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *args: str, **keys: Any) -> subprocess.CompletedProcess[str]:
        """The same, until it and every process that it left behind has ended."""
        return finished(self.start(*args, **keys))

    def points(self, *args: str, **keys: Any) -> tuple[list[str], subprocess.CompletedProcess[str]]:
        """Run undisturbed and return every point in order, and how the command ended."""
        log = self.folder.parent / f"{self.folder.name}.points"
        done = self.run(*args, fault={"log": str(log)}, **keys)
        found = log.read_text().splitlines()
        log.unlink()
        return found, done

    def refs(self) -> dict[str, str]:
        """Every ref here."""
        return _refs(self.repo)

    def remote_refs(self) -> dict[str, str]:
        """Every ref there."""
        return _refs(self.remote)

    def files(self) -> dict[str, bytes]:
        """Every file of the work tree."""
        root = self.repo.root
        paths = [path for path in root.rglob("*") if path.is_file() and ".git" not in path.relative_to(root).parts]
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}

    def check_objects(self) -> None:
        """Assert that git finds both repositories whole."""
        for repo in (self.repo, self.remote):
            if repo.root.exists():
                repo.git("fsck", "--no-dangling", "--no-progress")


def _refs(repo: Repo) -> dict[str, str]:
    if not repo.root.exists():
        return {}
    lines = repo.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    return dict(line.split(" ") for line in lines)


def finished(running: subprocess.Popen) -> subprocess.CompletedProcess[str]:
    """Wait for a command and for every process that it left behind, and return how it ended."""
    try:
        out, err = running.communicate(timeout=200)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
        raise
    _wait_for_group(running.pid)
    return subprocess.CompletedProcess(running.args, running.returncode, out, err)


def _wait_for_group(group: int) -> None:
    """Wait until no process of a group runs; one that has ended and that nobody asks for does not."""
    limit = time.monotonic() + 60
    while _runs(group):
        assert time.monotonic() < limit, group
        time.sleep(0.005)


def _runs(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    for process in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            # After the name in brackets: state, parent, group.
            state, _, its_group = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                return True
    return False


# What needs room on a disk.
_GROWING = ("open ", "write ", "mkdir ", "link ", "fsync ")


def faults_of(points: Sequence[str], kinds: Sequence[str]) -> list[dict[str, str]]:
    """Every fault of these kinds that the points allow: a kill at each, a torn write and a full disk where it fits."""
    fits = {"kill": lambda _: True, "torn": lambda point: point.startswith(("write ", "send#"))}
    fits["full"] = lambda point: point.startswith(_GROWING) and not point.startswith("write to ")
    return [{"at": point, "do": kind} for point in points for kind in kinds if fits[kind](point)]


def killed(done: subprocess.CompletedProcess[str]) -> bool:
    """Whether the process ended by kill -9."""
    return done.returncode == -signal.SIGKILL
