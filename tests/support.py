"""Real repositories, people with real SSH keys, and the real command line in its own process."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

MODEL = """\
provider: openai
id: gpt-4o-2024-11-20
reported_id: gpt-4o-2024-11-20
pinned: true
endpoint: {base_url_env: OPENAI_BASE_URL, api_key_env: OPENAI_API_KEY}
"""

PROMPT = """\
version: "1.0.0"
description: Answers a ticket
owners: [support]
model: gpt
parameters: {temperature: 0.3, max_completion_tokens: 100}
variables:
  ticket: {type: string, maxLength: 8000}
messages:
  - {role: system, content: "Answer the ticket."}
  - {role: user, content: "{{ ticket }}"}
"""


# Put before a program, it prints a line once asyncio has taken notice of a Ctrl-C: from then on nothing new is started.
TELL_INTERRUPT = """
import asyncio, os
notice = asyncio.Runner._on_sigint
def tell(*args, **kwargs):
    notice(*args, **kwargs)
    os.write(1, b"interrupted\\n")
asyncio.Runner._on_sigint = tell
"""


def interrupt_again(turn: int) -> str:
    """A program's beginning: with the first Ctrl-C, or so many turns of the event loop later, comes a second signal."""
    return f"""
import asyncio, os, signal
notice, once, turns = asyncio.Runner._on_sigint, asyncio.BaseEventLoop._run_once, []
def count():
    turns.append(1)
    if len(turns) == {turn} + 1:
        os.kill(os.getpid(), signal.SIGINT)
def noticed(*args, **kwargs):
    notice(*args, **kwargs)
    if not turns:
        count()
def run_once(loop):
    if turns:
        count()
    once(loop)
asyncio.Runner._on_sigint, asyncio.BaseEventLoop._run_once = noticed, run_once
"""


def until_told(process: subprocess.Popen[str]) -> None:
    """Read the output of a program with `TELL_INTERRUPT` until it has taken notice."""
    assert any(line == "interrupted\n" for line in process.stdout)


class Result(NamedTuple):
    """A finished command: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


@contextlib.contextmanager
def no_room(size: int = 1000):
    """Let no file grow beyond ``size`` bytes, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def changed(**keys: str) -> str:
    """`PROMPT` with top-level keys replaced by the given YAML, or removed where it is empty."""
    kept: list[str] = []
    skipping = False
    for line in PROMPT.splitlines():
        if not line.startswith(" "):
            skipping = line.split(":")[0] in keys
        if not skipping:
            kept.append(line)
    return "\n".join(kept + [f"{key}: {text}" for key, text in keys.items() if text]) + "\n"


def prompt(text="Answer the ticket.", *, version="1.0.0", model="gpt-4o", parameters="{temperature: 0}", extra=""):
    """A valid prompt file with one variable, ``ticket``."""
    return (
        f'version: "{version}"\n'
        f"description: Answer to a ticket\n"
        f"model: {model}\n"
        f"parameters: {parameters}\n"
        "variables:\n  ticket: {type: string}\n"
        "messages:\n"
        f"  - {{role: system, content: {text!r}}}\n"
        '  - {role: user, content: "{{ ticket }}"}\n' + extra
    )


@dataclass(frozen=True)
class Repo:
    """One repository and the people who work in it.

    Each person has an SSH key, a git configuration that signs commits with it, and an e-mail address
    ``<name>@example.org`` that is also the key's principal.
    """

    root: Path
    home: Path
    people: tuple[str, ...]
    extra_env: dict[str, str] = field(default_factory=dict)

    def key(self, name: str) -> Path:
        """Path of a person's private key, made on first use; the public key stands beside it."""
        path = self.home / "keys" / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"{name}@example.org", "-f", str(path)],
                check=True,
                stdin=subprocess.DEVNULL,
            )
        return path

    def public_key(self, name: str) -> str:
        """A person's public key as ``ssh-ed25519 AAAA...``, without the comment."""
        return " ".join(Path(f"{self.key(name)}.pub").read_text().split()[:2])

    def env(self, by: str = "alice") -> dict[str, str]:
        """The whole environment of a process that ``by`` starts: nothing of the real user's comes in."""
        config = self.home / f"{by}.gitconfig"
        if not config.exists():
            config.write_text(
                f"[user]\n\tname = {by}\n\temail = {by}@example.org\n\tsigningkey = {self.key(by)}\n"
                "[gpg]\n\tformat = ssh\n[commit]\n\tgpgsign = true\n[init]\n\tdefaultBranch = main\n"
                '[advice]\n\tdetachedHead = false\n[protocol "file"]\n\tallow = always\n'
            )
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "NO_COLOR": "1",
            "GIT_CONFIG_GLOBAL": str(config),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "PROMPTOPS_SIGNING_KEY": str(self.key(by)),
            # Where the package under test and the embedded model are.
            **{name: os.environ[name] for name in ("PYTHONPATH", "PROMPTOPS_CACHE") if name in os.environ},
            **self.extra_env,
        }

    def git(self, *args: str, by: str = "alice", check: int | None = 0, stdin: str | None = None) -> str:
        """Run git and return its output without the final newline; ``check`` is the expected exit code or None."""
        return self._run(["git", *args], by, check, stdin).stdout.rstrip("\n")

    def promptops(
        self, *args: str, by: str = "alice", check: int | None = 0, stdin: str | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the command line in its own process; ``check`` is the expected exit code or None for any."""
        return self._run([sys.executable, "-m", "promptops", *args], by, check, stdin, env)

    def _run(self, command, by, check, stdin, env=None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.env(by) | (env or {}),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            check=False,
        )
        if check is not None and done.returncode != check:
            raise AssertionError(
                f"{' '.join(map(str, command))}\nexit code {done.returncode}, not {check}\n{done.stdout}\n{done.stderr}"
            )
        return done

    def write(self, path: str, text: str | bytes) -> Path:
        """Write a file below the root, folders included."""
        full = self.root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_bytes(text if isinstance(text, bytes) else text.encode())
        return full

    def read(self, path: str) -> str:
        """Return the text of a file, line ends as they are."""
        return (self.root / path).read_bytes().decode()

    def cli(self, *args: str) -> Result:
        """Run the command line inside this process as nobody in particular: fast, for what needs no identity."""
        return invoke(*args, cwd=self.root)

    def commit(self, message: str = "Change", by: str = "alice", *, sign: bool = True) -> str:
        """Stage everything, commit, and return the commit's id."""
        self.git("add", "-A", by=by)
        self.git("commit", "-q", "--allow-empty", "-m", message, *([] if sign else ["--no-gpg-sign"]), by=by)
        return self.git("rev-parse", "HEAD", by=by)

    def clone(self, directory: Path, *args: str) -> Repo:
        """A plain clone with the same people."""
        subprocess.run(
            ["git", "clone", "-q", *args, str(self.root), str(directory)],
            env=self.env(),
            check=True,
            capture_output=True,
        )
        return Repo(directory, self.home, self.people, self.extra_env)


def make_repo(tmp_path: Path, people: tuple[str, ...] = ("alice", "bob"), *, ids: str = "sha1") -> Repo:
    """An empty repository on the branch ``main``, and keys for ``people``; ``ids`` is git's object format."""
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    root = tmp_path / "repo"
    root.mkdir()
    repo = Repo(root, home, people)
    for name in people:
        repo.key(name)
    repo.git("init", "-q", "-b", "main", f"--object-format={ids}")
    return repo


def make_project(
    tmp_path: Path,
    people: tuple[str, ...] = ("alice", "bob"),
    *,
    solo: bool = False,
    policy: str | None = None,
    ids: str = "sha1",
) -> Repo:
    """A repository with a signed policy, a model and the prompt ``support/reply`` 1.0.0, committed on ``main``.

    Args:
        solo: the policy asks for no approvals.
        policy: text of ``policy.yaml`` instead of the one that ``policy init`` writes.
        ids: git's object format, ``sha1`` or ``sha256``.
    """
    repo = make_repo(tmp_path, people, ids=ids)
    arguments = [f"--person={name}={name}@example.org={repo.key(name)}.pub" for name in people]
    repo.promptops("policy", "init", "--repository", "git+https://example.org/prompts", *arguments, *["--solo"] * solo)
    if policy is not None:
        repo.write(".promptops/policy.yaml", policy)
        repo.promptops("policy", "sign")
    repo.write("promptops.yaml", "version: 1\n")
    repo.write("models/gpt-4o.yaml", MODEL)
    repo.write("prompts/support/reply.yaml", prompt())
    repo.commit("Start")
    return repo


def make_registry(tmp_path: Path, **prompts: str) -> Repo:
    """A repository with the model ``gpt`` and ``prompts`` (text by name; by default `PROMPT` as ``reply``), no policy."""
    repo = make_repo(tmp_path)
    repo.write("promptops.yaml", "version: 1\n")
    repo.write("models/gpt.yaml", MODEL)
    for name, text in (prompts or {"reply": PROMPT}).items():
        repo.write(f"prompts/{name}.yaml", text)
    repo.commit("Start")
    return repo


def invoke(*args: str, cwd: Path) -> Result:
    """Run ``promptops ARGS`` in ``cwd`` inside this process; everything but start-up is real."""
    from promptops.cli import main

    out, err, before = io.StringIO(), io.StringIO(), Path.cwd()
    os.chdir(cwd)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main(list(args))
    except SystemExit as stop:
        return Result(int(stop.code or 0), out.getvalue(), err.getvalue())
    finally:
        os.chdir(before)
    raise AssertionError("main returned instead of exiting")
