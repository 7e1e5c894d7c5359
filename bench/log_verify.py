"""``promptops log`` against ``gto show`` and ``git for-each-ref``; ``promptops verify`` against ``git verify-tag``.

    python bench/log_verify.py [--tags 1500] [--repeats 7]

Builds its repositories in a temporary directory. Each row is the least time over the repeats, in one run, beside the
bar as a ratio; exit code 1 when a bar is missed. Start-up counts: these are commands that people type.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

PROMPT = """\
version: "1.0.0"
model: gpt
variables:
  ticket: {type: string}
messages:
  - {role: user, content: "{{ ticket }}"}
"""
MODEL = "provider: openai\nid: mock\npinned: true\nendpoint: {base_url_env: A, api_key_env: B}\n"
PROJECT = "version: 1\ncanary: {minimum: 20, budget: {requests: 2000, seconds: 300}}\n"
SUITE = (
    "version: 1\nevaluators: {praise: {type: praise}}\n"
    "guardrails:\n"
    "  - {metric: expected, direction: higher, margin: 0.15, limit: 0.5}\n"
    "  - {metric: praise, direction: lower, margin: 0.15, limit: 0.5}\n"
    "cases:\n" + "".join(f"  - {{id: c{n}, input: Ask {n}, expect: {{contains: Paris}}}}\n" for n in range(20))
)


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


def released(folder: Path, env: dict[str, str], *, reviewed: bool = False) -> None:
    """Make a repository with one release, and a plain clone of it.

    Args:
        folder: gets the folders ``origin`` and ``clone``.
        env: the environment of commands.
        reviewed: whether two people review it and a canary passes it; else neither is asked for.
    """
    folder.mkdir(exist_ok=True)
    origin = folder / "origin"
    for name in ("a", "b"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    subprocess.run(["git", "init", "-q", "-b", "main", str(origin)], check=True)
    files = {"prompts/reply.yaml": PROMPT, "models/gpt.yaml": MODEL}
    if reviewed:
        files |= {
            "prompts/reply.yaml": PROMPT + "evals: [basic]\n",
            "evals/basic.yaml": SUITE,
            "promptops.yaml": PROJECT,
        }
    for path, text in files.items():
        (origin / path).parent.mkdir(exist_ok=True)
        (origin / path).write_text(text)

    def run(*command: str, by: str = "a", **more: str) -> None:
        who = {
            f"GIT_{role}_{what}": f"{by}@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        done = subprocess.run(
            command, cwd=origin, env=env | who | {"PROMPTOPS_SIGNING_KEY": str(folder / by)} | more,
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}: {done.stdout}{done.stderr}")

    def commit() -> None:
        run("git", "add", "-A")
        run("git", "commit", "-q", "--no-gpg-sign", "-m", "x")

    ours = (sys.executable, "-m", "promptops")
    people = [f"--person={name}={name}@example.org={folder / name}.pub" for name in ("a", "b")[: 1 + reviewed]]
    run(*ours, "policy", "init", "--repository", "bench", *people, *["--solo"] * (not reviewed))
    commit()
    if reviewed:
        run("git", "switch", "-q", "-c", "topic", "HEAD")
        (origin / "prompts/reply.yaml").write_text(files["prompts/reply.yaml"].replace("}}", "}}!"))
        commit()
        for step, by in (("request", "a"), ("approve", "b")):
            run(*ours, "review", step, by=by)
            commit()
        run("git", "switch", "-q", "main")
        run("git", "merge", "-q", "--ff-only", "topic")
        with served() as url:
            run(*ours, "release", A=url, B="x")
    else:
        run(*ours, "release", "--no-canary", "bench")
    subprocess.run(["git", "clone", "-q", str(origin), str(folder / "clone")], check=True)


@contextlib.contextmanager
def served() -> Iterator[str]:
    """Give the address of a server that answers every request with the same words."""
    command = [sys.executable, str(Path(__file__).with_name("runner.py")), "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        finally:
            server.kill()


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
        results = []
        for what, reviewed in (("reviewed and canaried", True), ("solo, no canary", False)):
            place = Path(name) / str(reviewed)
            released(place, env, reviewed=reviewed)
            verify = measure([*ours, "verify", "reply@1.0.0"], place / "clone", options.repeats, env)
            git = ["git", "-c", "gpg.ssh.allowedSignersFile=.promptops/allowed_signers"]
            stock = measure([*git, "verify-tag", "prompt/reply@v1.0.0"], place / "clone", options.repeats, env)
            results.append(row(f"verify, {what} / git verify-tag", verify, stock, 8))
    results += [
        row(f"log of {options.tags} tags / gto show", log, gto, 1 / 40),
        row(f"log of {options.tags} tags / git for-each-ref", log, refs, 6),
    ]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
