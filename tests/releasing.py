"""Releases under attack: taking tag objects apart and putting them together again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from promptops.release import bundle, stored
from promptops.repo import tagobject
from promptops.repo.git import Git
from promptops.trust import envelope, sshsig

if TYPE_CHECKING:
    from collections.abc import Callable

    from support import Repo

PROMPT = "prompts/support/reply.yaml"
OLD, NEW = "prompt/support/reply@v1.0.0", "prompt/support/reply@v1.1.0"
PROJECT = 'version: 1\nenvironments: {staging: {}, prod: {stages: ["1%", "100%"]}}\n'


def raw(repo: Repo, tag: str = NEW) -> bytes:
    """The bytes of a tag object."""
    return subprocess.run(["git", "-C", repo.root, "cat-file", "tag", tag], check=True, capture_output=True).stdout


def put(repo: Repo, data: bytes, tag: str = NEW) -> None:
    """Point a tag at an object of these bytes, which git would not have made."""
    command = ["git", "-C", repo.root, "hash-object", "-t", "tag", "-w", "--literally", "--stdin"]
    oid = subprocess.run(command, input=data, check=True, capture_output=True).stdout.decode().strip()
    # update-ref would refuse an object that git itself cannot parse.
    (repo.root / ".git/refs/tags" / tag).write_text(oid + "\n")


def signed(repo: Repo, payload: bytes, by: str = "alice") -> bytes:
    """A tag object with a git signature."""
    return payload + sshsig.sign(payload, str(repo.key(by)), sshsig.GIT)


def rewrite(
    repo: Repo, change: Callable[[dict], object], *, tag: str = NEW, by: str = "alice", drop: int | None = None
) -> None:
    """Change the manifest of a release and sign everything again as ``by``, as a releaser gone bad would."""
    parsed = tagobject.parse_tag(raw(repo, tag))
    first, *others = lines(parsed.message)
    statement = first.statement()
    change(statement["predicate"])
    statement["subject"][1]["digest"]["sha256"] = statement["predicate"]["configuration"].removeprefix("sha256:")
    statement["subject"][0]["digest"]["gitCommit"] = statement["predicate"]["commit"]
    if drop is not None:
        del others[drop]
    again = envelope.sign(statement, str(repo.key(by)), sshsig.RELEASE)
    head = parsed.payload[: len(parsed.payload) - len(parsed.message)]
    put(repo, signed(repo, head + bundle.embed("Release", [again, *others]), by), tag)


def lines(message: bytes) -> list[envelope.Envelope]:
    """The envelopes in a tag's message, in order."""
    return [envelope.parse(row + b"\n") for row in bundle.extract(message).splitlines()]


def checks(repo: Repo, tag: str = NEW, *args: str, code: int = 1) -> dict[str, dict]:
    """Verify a release, expect the exit code, and return the checks by name."""
    done = repo.cli("verify", tag, "--json", *args)
    assert done.code == code, done
    return {check["name"]: check for check in json.loads(done.out)["checks"]}


def failed(repo: Repo, tag: str = NEW, *args: str, code: int = 1) -> set[str]:
    """The names of the checks that do not hold."""
    return {name for name, check in checks(repo, tag, *args, code=code).items() if not check["ok"]}


def manifest_of(repo: Repo, tag: str = NEW):
    """The manifest of a release, unverified."""
    with Git(str(repo.root)) as git:
        return stored.read(git, tag).manifest


def start(
    repo: Repo, *args: str, by: str = "alice", stderr: int = subprocess.DEVNULL, **env: str
) -> subprocess.Popen[str]:
    """Start the command line as ``by`` without waiting for it."""
    return subprocess.Popen(
        [sys.executable, "-m", "promptops", *args],
        cwd=repo.root,
        env=repo.env(by) | env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        text=True,
    )


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that another process brings about."""
    limit = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)
