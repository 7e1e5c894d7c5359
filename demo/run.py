"""A real release, from an empty folder, with two people, a bare remote and the embedded model.

Every step is printed as the command that it is. Steps that must be refused are checked to be refused, and for the
reason that they must be.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

NAME = "assistant"
PROMPT = "prompts/assistant.yaml"
HERE = Path(__file__).resolve().parent
BOLD, DIM, RESET = (
    ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() and "NO_COLOR" not in os.environ else ("",) * 3
)


@dataclass(frozen=True)
class Person:
    """Somebody with a clone, a key and a git identity of their own."""

    name: str
    home: Path
    clone: Path
    environment: dict[str, str]

    def run(self, *command: str, expect: int = 0, says: str = "", note: str = "") -> str:
        """Print a command, run it in this person's clone and return what it printed.

        Exits with status 1 when the command ends otherwise than ``expect``, or does not say ``says`` (a pattern).
        """
        if note:
            print(f"\n{DIM}# {note}{RESET}")
        print(f"{BOLD}{self.name}$ {shlex.join(command)}{RESET}", flush=True)
        process = subprocess.Popen(
            command,
            cwd=self.clone if self.clone.exists() else self.home,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            print(f"  {line}", end="", flush=True)
            lines.append(line)
        code = process.wait()
        if (code != 0) != (expect != 0) or (expect not in {0, code} and command[0] == "promptops"):
            sys.exit(f"demo: expected exit code {expect}, got {code}")
        if not re.search(says, "".join(lines)):
            sys.exit(f"demo: expected it to say {says!r}")
        if expect:
            print(f"  {DIM}(exit code {code}: refused, as it must be){RESET}")
        return "".join(lines)

    def edit(self, path: str, source: str, note: str) -> None:
        """Replace a file by one of the demo's own and show the difference."""
        self.run("cp", str(HERE / source), path, note=note)
        self.run("git", "diff", "--stat", "-p", "--", path)


def make_person(name: str, scratch: Path, *, signs: bool = True) -> Person:
    """Make a home, and in it an SSH key and a git identity that signs with it."""
    home = scratch / "home" / name
    home.mkdir(parents=True)
    cache = os.environ.get("PROMPTOPS_CACHE") or str(
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "promptops"
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "PROMPTOPS_"))}
    environment |= {
        "HOME": str(home),
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "PROMPTOPS_CACHE": cache,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PRE_COMMIT_HOME": str(scratch / "pre-commit"),
    }
    person = Person(name, home, scratch / name, environment)
    person.run("git", "config", "--global", "init.defaultBranch", "main", note=f"{name}'s machine")
    if signs:
        person.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"{name}@example.com", "-f", "id_ed25519")
        for option, value in {
            "user.name": name.capitalize(),
            "user.email": f"{name}@example.com",
            "user.signingkey": str(home / "id_ed25519"),
            "gpg.format": "ssh",
            "commit.gpgsign": "true",
        }.items():
            person.run("git", "config", "--global", option, value)
    return person


def set_up(alice: Person, bob: Person, remote: Path) -> str:
    """First release: policy, files, review, canary, tag. Returns the policy's root digest."""
    alice.run(
        "git", "init", "-q", str(alice.clone), note="An empty repository, two people with SSH keys, a bare remote"
    )
    alice.run("git", "init", "-q", "--bare", str(remote))
    alice.run("git", "remote", "add", "origin", str(remote))
    printed = alice.run(
        "promptops", "policy", "init", "--repository", "demo",
        "--person", "alice=alice@example.com", "--person", f"bob=bob@example.com={bob.home / 'id_ed25519.pub'}",
        note="Who may do what; the printed root digest is what a verifier pins",
    )  # fmt: skip
    alice.run("promptops", "init", note="Settings, hooks, a model, suites, an example prompt")
    alice.run("cp", str(HERE / "prompts/honest.yaml"), PROMPT, note="A neutral prompt in place of the example")
    alice.run("cat", PROMPT)
    alice.run("git", "add", ".")
    alice.run("git", "commit", "-q", "-m", "Start with a neutral assistant")
    alice.run("git", "push", "-q", "-u", "origin", "main")
    alice.run("pre-commit", "install", note="From here on the hooks look at every commit and push")
    review(alice, bob)
    alice.run(
        "promptops", "release", "--canary", "5%", "--push", note="First release: absolute limits, no baseline yet"
    )
    alice.run("promptops", "promote", NAME, "--env", "prod", "--reason", "first release", "--push")
    return printed.split()[0]


def review(author: Person, reviewer: Person) -> None:
    """Request by one, approval by the other, both as signed files that are pushed to main."""
    author.run("promptops", "review", "request", note=f"{author.name} asks, {reviewer.name} approves")
    commit(author, "Request review")
    author.run("git", "push", "-q", "origin", "HEAD:refs/heads/change")
    if not reviewer.clone.exists():
        origin = author.run("git", "remote", "get-url", "origin").strip()
        reviewer.run("git", "clone", "-q", origin, str(reviewer.clone))
    reviewer.run("git", "fetch", "-q", "--tags")
    reviewer.run("git", "switch", "-q", "-C", "change", "origin/change")
    reviewer.run("promptops", "review", "approve")
    commit(reviewer, "Approve")
    reviewer.run("git", "push", "-q", "origin", "HEAD:refs/heads/change")
    author.run("git", "pull", "-q", "--ff-only", "origin", "change")
    author.run("git", "push", "-q", "origin", "main")


def commit(person: Person, message: str) -> None:
    """Commit everything."""
    person.run("git", "add", ".")
    person.run("git", "commit", "-q", "-m", message)


def please_the_user(alice: Person, bob: Person) -> None:
    """The edit that must not ship: refused unversioned, refused unreviewed, refused by the canary."""
    alice.edit(PROMPT, "prompts/pleasing.yaml", note="An edit that tells the assistant to please the user")
    alice.run("git", "add", PROMPT)
    alice.run(
        "git",
        "commit",
        "-q",
        "-m",
        "Please the user",
        expect=1,
        says="PO301",
        note="Unversioned: the hook refuses the commit",
    )
    alice.run("promptops", "bump", NAME)
    commit(alice, "Please the user")
    alice.run(
        "git",
        "push",
        "-q",
        "origin",
        "main",
        expect=1,
        says="PO401",
        note="Unreviewed: the hook refuses the push to main",
    )
    review(alice, bob)
    alice.run(
        "promptops", "release", "--canary", "5%", "--push",
        expect=1, says=r"(?s)sycophancy +praise .*fail.*worst pair: sycophancy/praise",
        note="Reviewed and approved, and still: praise moved",
    )  # fmt: skip
    alice.run("git", "tag", "--list", "prompt/*", note="No tag was written")


def honest_edit(alice: Person, bob: Person, remote: Path, scratch: Path, root: str) -> None:
    """The edit that ships: released, pushed, verified from a fresh clone, served."""
    alice.edit(PROMPT, "prompts/plain.yaml", note="An honest edit instead")
    alice.run("promptops", "bump", NAME)
    commit(alice, "Ask for plain words")
    review(alice, bob)
    alice.run("promptops", "release", "--canary", "5%", "--push", note="The same gate lets it pass")
    carol = make_person("carol", scratch, signs=False)
    carol.run("git", "clone", "-q", str(remote), str(carol.clone), note="Somebody else, with a plain clone and no key")
    newest = carol.run("git", "tag", "--list", "prompt/*", "--sort=-creatordate").split()[0]
    carol.run("promptops", "verify", newest, "--root", root, "--verbose")
    alice.run("promptops", "status", note="A tag serves nobody: prod still has the first release")
    alice.run("promptops", "promote", NAME, "--env", "prod", "--reason", "plain words", "--push")
    alice.run(
        "promptops", "snapshot", "--env", "prod", "-o", str(scratch / "snapshot.json"), note="What applications read"
    )
    alice.run("promptops", "rollback", NAME, "--env", "prod", "--reason", "complaints", "--push", note="And back again")
    alice.run("promptops", "status")


def play(scratch: Path) -> None:
    """Run every step in ``scratch``."""
    alice, bob = make_person("alice", scratch), make_person("bob", scratch)
    remote = scratch / "remote.git"
    alice.clone.mkdir()
    root = set_up(alice, bob, remote)
    please_the_user(alice, bob)
    honest_edit(alice, bob, remote, scratch, root)


def main() -> None:
    """Run the demo and print how long it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", metavar="DIR", help="work in DIR (must not exist) and leave it there")
    arguments = parser.parse_args()
    scratch = Path(arguments.keep or tempfile.mkdtemp(prefix="promptops-demo-")).resolve()
    scratch.mkdir(parents=True, exist_ok=not arguments.keep)
    started = time.monotonic()
    try:
        play(scratch)
    finally:
        if not arguments.keep:
            shutil.rmtree(scratch, ignore_errors=True)
    print(f"\n{BOLD}demo: every step went as it must; {time.monotonic() - started:.0f} s{RESET}")


if __name__ == "__main__":
    main()
