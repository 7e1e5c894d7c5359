"""``promptops log`` against ``gto show`` and ``git for-each-ref``; ``promptops verify`` against ``git verify-tag``.

    python bench/log_verify.py [--tags 1500] [--repeats 7]

Builds its repositories in a temporary directory. Each row is the least time over the repeats, in one run, beside the
bar as a ratio; exit code 1 when a bar is missed. Start-up counts: these are commands that people type.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

PROMPT = """\
version: "1.0.0"
model: gpt
variables:
  ticket: {type: string}
messages:
  - {role: user, content: "{{ ticket }}"}
"""
MODEL = "provider: openai\nid: gpt-4o-2024-11-20\npinned: true\nendpoint: {base_url_env: A, api_key_env: B}\n"


class Cost(NamedTuple):
    """Seconds: on the clock, and of processor time over all processes."""

    wall: float
    cpu: float


def measure(command: list[str], folder: Path, repeats: int, env: dict[str, str]) -> Cost:
    best = Cost(float("inf"), float("inf"))
    for _ in range(repeats):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.perf_counter()
        subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True)
        wall = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        best = Cost(min(best.wall, wall), min(best.cpu, cpu))
    return best


def tagged(folder: Path, count: int) -> None:
    """Make a repository with ``count`` release tags of the size that real ones have, packed as after a clone."""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-C", str(folder)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True).stdout.strip()
    stream = b""
    for number in range(count):
        body = b"Release\n\n" + os.urandom(3000).hex().encode() + b"\n"
        name = b"prompt/team/p%d@v1.%d.0" % (number // 10, number % 10)
        stream += b"tag %b\nfrom %b\ntagger A <a@example.org> 1700000000 +0000\ndata %d\n%b\n" % (
            name, head, len(body), body,
        )  # fmt: skip
    subprocess.run([*git, "fast-import", "--quiet"], input=stream, check=True)
    subprocess.run([*git, "pack-refs", "--all"], check=True)


def released(folder: Path, env: dict[str, str]) -> None:
    """Make a repository with one release, in a plain clone."""
    key = folder / "key"
    origin = folder / "origin"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    settings = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "init", "-q", "-b", "main", str(origin)], check=True)
    (origin / "prompts").mkdir()
    (origin / "models").mkdir()
    (origin / "prompts/reply.yaml").write_text(PROMPT)
    (origin / "models/gpt.yaml").write_text(MODEL)
    run = [sys.executable, "-m", "promptops"]
    env = env | {"PROMPTOPS_SIGNING_KEY": str(key)}
    env |= {name: value for who in ("AUTHOR", "COMMITTER") for name, value in _identity(who).items()}
    person = f"--person=a=a@example.org={key}.pub"
    subprocess.run([*run, "policy", "init", "--solo", "--repository", "bench", person], cwd=origin, env=env, check=True)
    subprocess.run(["git", "-C", str(origin), "add", "-A"], check=True)
    subprocess.run(["git", "-C", str(origin), *settings, "commit", "-q", "-m", "x"], check=True)
    subprocess.run([*run, "release", "--no-canary", "bench"], cwd=origin, env=env, check=True)
    subprocess.run(["git", "clone", "-q", str(origin), str(folder / "clone")], check=True)


def _identity(who: str) -> dict[str, str]:
    return {f"GIT_{who}_NAME": "a", f"GIT_{who}_EMAIL": "a@example.org"}


def row(what: str, ours: Cost, theirs: Cost, bar: float) -> bool:
    good = ours.wall <= bar * theirs.wall
    print(
        f"{what:<44} {ours.wall * 1e3:8.1f} ms {theirs.wall * 1e3:8.1f} ms  ratio {ours.wall / theirs.wall:7.3f}"
        f" (cpu {ours.cpu / max(theirs.cpu, 1e-9):7.3f})  bar {bar:<6.3f} {'ok' if good else 'MISSED'}"
    )
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tags", type=int, default=1500)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    ours = [sys.executable, "-m", "promptops"]
    # Compiled modules, as an installed program has them.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as name:
        env["PYTHONPYCACHEPREFIX"] = str(Path(name) / "compiled")
        folder = Path(name) / "tags"
        folder.mkdir()
        tagged(folder, options.tags)
        log = measure([*ours, "log"], folder, options.repeats, env)
        refs = measure(["git", "for-each-ref", "--format=%(objectname) %(*objectname) %(taggerdate:unix) %(refname)"],
                       folder, options.repeats, env)  # fmt: skip
        gto = measure([str(Path(sys.executable).with_name("gto")), "show"], folder, 1, env)
        released(Path(name), env)
        clone = Path(name) / "clone"
        verify = measure([*ours, "verify", "reply@1.0.0"], clone, options.repeats, env)
        git = ["git", "-c", "gpg.ssh.allowedSignersFile=.promptops/allowed_signers"]
        stock = measure([*git, "verify-tag", "prompt/reply@v1.0.0"], clone, options.repeats, env)
    results = [
        row(f"log of {options.tags} tags / gto show", log, gto, 1 / 40),
        row(f"log of {options.tags} tags / git for-each-ref", log, refs, 6),
        row("verify of one release / git verify-tag", verify, stock, 8),
    ]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
