"""A command, every fault that its undisturbed run shows to be possible, and what must hold after each of them."""

from __future__ import annotations

import json
import re
import shutil
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from faulting import ALL, Scene, killed

from promptops.trust import envelope

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from subprocess import CompletedProcess

    from inference.faults import FaultServer

POLICY = ".promptops/policy.yaml"
NOTE = ".git/promptops/pending.json"


@dataclass(frozen=True)
class Command:
    """A command to be killed in a scene, by whom, and whether a second run has nothing to do."""

    scene: str
    args: tuple[str, ...]
    by: str = "alice"
    paid: bool = False


DECIDE = ("--env", "prod", "--reason", "it flatters", "--push")
LOOK = ("--env", "prod", "--events", "../events", "--push")
COMMANDS = {
    "bump": Command("serving", ("bump",)),
    "approve": Command("reviewable", ("review", "approve", "-m", "fine"), "bob"),
    "request": Command("reviewable", ("review", "request", "-m", "again")),
    "rollback": Command("serving", ("rollback", "support/reply", *DECIDE)),
    "promote": Command("serving", ("promote", "support/reply@1.1.0", *DECIDE)),
    "withdraw": Command("serving", ("withdraw", "support/reply@1.2.0", "--reason", "it flatters", "--push")),
    "attest": Command("serving", ("attest", "support/reply@1.2.0", "--reason", "key lost", "--push")),
    "start": Command("planned", ("rollout", "start", "support/reply", *DECIDE)),
    "tick": Command("rolling_", ("rollout", "tick", "support/reply", *LOOK)),
    "roll back": Command("rolling_", ("rollout", "rollback", "support/reply", *DECIDE)),
    "init": Command("fresh", ("init",)),
    "policy init": Command("fresh", ("policy", "init")),
    "sign": Command("unsigned", ("policy", "sign")),
    "release": Command("canaried", ("release", "--together", "--push"), paid=True),
}


def said(data: bytes) -> Any:
    """What an envelope says, whenever it was said."""
    statement = json.loads(envelope.parse(data).payload)
    statement["predicate"].pop("createdAt", None)
    return statement


def normal(scene: Scene) -> dict[str, Any]:
    """What is here and on the remote, without what differs from run to run: times, and ids that depend on them."""
    files = {}
    for path, data in scene.files().items():
        signed = path.startswith((".promptops/approvals/", ".promptops/policy.d/"))
        files[json.dumps(said(data), sort_keys=True) if signed else path] = data if not signed else None
    return {"files": files, "here": pointed(scene.repo), "there": pointed(scene.remote)}


def pointed(repo) -> dict[str, Any]:
    """What each ref stands for: a tag for its commit, a live ref for its decisions."""
    form = "%(refname) %(objecttype) %(objectname) %(*objectname)"
    found = {}
    for line in repo.git("for-each-ref", f"--format={form}").splitlines():
        ref, kind, oid, *peeled = line.split()
        found[ref] = (kind, peeled or oid)
        if ref.startswith(("refs/promptops/live/", "refs/promptops/rollouts/")):
            decision = json.loads(repo.git("cat-file", "blob", f"{oid}:decision.json"))
            found[ref] = [decision[key] for key in ("action", "sequence", "left", "reason")] + [
                decision["release"]["tag"]
            ]
    return found


def journals(scene: Scene) -> dict[str, list[bytes]]:
    """The whole lines of every journal of paid replies."""
    paths = scene.repo.root.glob(".git/promptops/evidence/*/replies.jsonl")
    return {path.parent.name: path.read_bytes().split(b"\n")[:-1] for path in paths}


def check_whole(before: dict[str, Any], now: dict[str, Any], after: dict[str, Any]) -> None:
    """Assert that nothing is half: of the refs that move all or none moved, and each file is the old or the new one."""
    moved = {}
    for place in ("here", "there"):
        unit = {ref for ref in after[place] if after[place][ref] != before[place].get(ref)}
        states = {now[place].get(ref) == after[place][ref] for ref in unit}
        assert len(states) <= 1, (place, now[place])
        rest = {ref: value for ref, value in now[place].items() if ref not in unit}
        assert rest == {ref: value for ref, value in before[place].items() if ref not in unit}
        assert unit <= {ref for ref in unit if now[place].get(ref) in (before[place].get(ref), after[place][ref])}
        moved[place] = bool(unit) and states == {True}
    if any(after["there"][ref] != before["there"].get(ref) for ref in after["there"]):
        assert moved["there"] or not moved["here"], "it counts here before it is on the remote"
    for path, data in now["files"].items():
        assert data in (before["files"].get(path, b"?"), after["files"].get(path, b"?")), path
    assert set(before["files"]) <= set(now["files"])
    if POLICY in now["files"] and POLICY not in before["files"]:
        assert {path for path in after["files"] if path.startswith(".promptops/")} <= now["files"].keys(), (
            "half a policy"
        )


class Trial:
    """One command with the faults that its undisturbed run shows to be possible."""

    def __init__(self, command: Command, scene: Scene, folder: Path, server: FaultServer) -> None:
        self.command, self.scene, self.folder, self.server = command, scene, folder, server
        self.proven: list[Any] = []
        self.before = normal(scene)
        whole = scene.copy(folder / "whole")
        self.points, done = whole.points(*command.args, by=command.by, **self.env("first"))
        assert done.returncode == 0, done.stderr
        self.after, self.paid = normal(whole), journals(whole)
        self.sent = self.sent_by("first")
        assert self.after != self.before
        # What a run says that has nothing left to do: the code of a repetition of the whole.
        self.again = self.run(whole, "second").returncode
        self.twice = normal(whole)

    def env(self, key: str) -> dict[str, str]:
        """The endpoint, with a key that tells runs apart."""
        return {"OPENAI_BASE_URL": self.server.url, "OPENAI_API_KEY": self.key(key)} if self.command.paid else {}

    def key(self, key: str) -> str:
        """An API key of this trial alone: others use the same server."""
        return f"sk-{self.folder.name}-{key}"

    def run(self, scene: Scene, key: str, **keys: Any) -> CompletedProcess[str]:
        return scene.run(*self.command.args, by=self.command.by, **keys, **self.env(key))

    def sent_by(self, key: str) -> int:
        """How many requests the server saw under a key."""
        return sum(seen.headers.get("authorization") == f"Bearer {self.key(key)}" for seen in self.server.requests)

    def check(self, number: int, fault: dict[str, str]) -> None:
        """Break the command off at one point, look at what is left, and run it again."""
        scene = self.scene.copy(self.folder / str(number))
        done = self.run(scene, f"killed-{number}", fault=fault)
        now, kept = normal(scene), journals(scene)
        if fault["do"] == "full":
            # Some writes are for speed only; without them all else must still be done.
            assert done.returncode == (0 if now == self.after else 3), done
            assert "this is a bug" not in done.stderr
        else:
            assert killed(done), f"the point was not reached: {done}"
        check_whole(self.before, now, self.after)
        self.check_sent(number, kept)
        owed, reported = (scene.repo.root / NOTE).exists(), bool(done.stdout)
        left = everything(scene) if ALL else sorted(residue(scene))
        state = (now, kept.keys(), [len(lines) for lines in kept.values()], left, reported)
        if state in self.proven:
            # A run begins from it as it did before.
            shutil.rmtree(scene.folder)
            return
        scene.check_objects()
        done = self.run(scene, f"again-{number}")
        complete = now == self.after
        # It had said what it did and settled it: to run it again is to do it again.
        settled = complete and reported and not owed
        assert done.returncode == (self.again if complete and not owed else 0), done
        assert normal(scene) == (self.twice if settled else self.after)
        assert not (scene.repo.root / NOTE).exists()
        self.check_paid(number, kept, journals(scene))
        self.proven.append(state)
        shutil.rmtree(scene.folder)

    def check_sent(self, number: int, kept: dict[str, list[bytes]]) -> None:
        """Assert that every reply but the one on its way at the kill was kept."""
        known = sum(map(len, kept.values()))
        assert known <= self.sent_by(f"killed-{number}") <= known + 1

    def check_paid(self, number: int, kept: dict[str, list[bytes]], now: dict[str, list[bytes]]) -> None:
        """Assert that no reply was lost or paid twice: at most the one on its way at the kill is paid for nothing."""
        for name, lines in kept.items():
            assert now[name][: len(lines)] == lines
        for lines in now.values():
            keys = [json.loads(line)["key"] for line in lines]
            assert len(keys) == len(set(keys))
        known = sum(map(len, kept.values()))
        second = self.sent_by(f"again-{number}")
        # Fewer where what was kept decides: an undisturbed run has more on its way by then.
        assert second <= self.sent - known
        assert sum(map(len, now.values())) == known + second


def residue(scene: Scene) -> Iterator[str]:
    """Names of what a killed process left below our own folder."""
    for path in (scene.repo.root / ".git/promptops").rglob("*"):
        yield re.sub("[0-9a-f]{16}", "*", path.name)


_VOLATILE = re.compile(rb"[0-9a-f]{16,64}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z?|[0-9]{10}")
_MEASURED = re.compile(rb'"(latency|run|at|seconds)":[-+.e0-9]+')


def everything(scene: Scene) -> list[tuple[str, bytes]]:
    """Every file of a scene as far as it does not follow from when a run took place."""
    found = []
    for path in sorted(path for path in scene.folder.rglob("*") if path.is_file()):
        name, data = path.relative_to(scene.folder).as_posix(), path.read_bytes()
        if re.search(r"/objects/[0-9a-f]{2}/", name):
            # Its time and its signature stand in it; it begins with its kind and its length.
            data = zlib.decompressobj().decompress(data, 32).partition(b"\0")[0]
        elif name.endswith("/.git/index"):
            data = str(len(data)).encode()
        elif name.startswith("repo/") and (".git/" in name or "/.promptops/" in name):
            data = _MEASURED.sub(b"", _VOLATILE.sub(b"*", data))
        found.append((re.sub("[0-9a-f]{16,64}|(?<=/objects/)[0-9a-f]{2}/[0-9a-f]*", "*", name), data))
    return sorted(found)
