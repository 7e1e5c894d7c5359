"""A controller's look at 10 million outcomes beside the bare query, and chains of up to 10,000 decisions.

    python bench/rollout.py [--tick | --history]

A look is the whole command, `promptops rollout tick`: start of the interpreter, git, policy, evidence, rules, and one
signed decision; the bare query is the one of bench/telemetry.py. CPU seconds of the process and its children. A chain
is read by `rollout history` and judged by `rollout verify`, every decision signed; the bar is on growth: time per
decision at 10,000 against that at 1,000. A bar that is missed makes the exit code 1.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from support import Repo

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]
BAR_TICK, BAR_GROWTH = 1.2, 1.5
SIZES = (100, 1_000, 10_000)
DAY = 86_400_000


def cpu_of(repo: Repo, *args: str, code: int | None = 0) -> float:
    """Return the CPU seconds of a command, its children included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    repo.promptops(*args, check=code)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def project(folder: Path) -> Repo:
    """A repository in which a rollout of the second of two releases can start."""
    import rolling
    from support import make_project, prompt

    repo = make_project(folder, solo=True)
    repo.write("promptops.yaml", 'version: 1\nenvironments: {prod: {stages: ["5%", "100%"]}}\n')
    repo.commit("Environments")
    for version in ("1.0.0", "1.1.0"):
        repo.write("prompts/support/reply.yaml", prompt(f"Version {version}.", version=version))
        repo.commit("Change")
        repo.promptops("release", "--no-canary", "by hand")
    rolling.ready(repo)
    return repo


def tick(folder: Path) -> bool:
    """Time one look at 10 million outcomes; return whether the bar holds."""
    import duckdb
    import rolling
    import telemetry

    repo = project(folder)
    common = {"window": "7d"}
    metrics = [
        {"name": "thumbs", "role": "guardrail", "direction": "higher", "margin": 0.1, **common},
        {"name": "score", "role": "ops", "direction": "lower", "aggregate": "sum", "missing": "zero", "limit": 1e9},
        {"name": "d1", "event": "exposure", "role": "guardrail", "direction": "higher", "margin": 0.1,
         "aggregate": "retention", "day": 1},
        {"name": "rate", "event": "thumbs", "role": "guardrail", "direction": "higher", "margin": 0.5,
         "aggregate": "ratio", "over": "exposure", "unit": "session", **common},
    ]  # fmt: skip
    rolling.planned(repo, metrics=metrics)
    one = rolling.started(repo)
    telemetry.START = (int(time.time() * 1000) // DAY - 16) * DAY
    data = folder / "data"
    data.mkdir()
    telemetry.make(str(data), 10)
    with duckdb.connect() as connection:
        source, target = data / "exposures.parquet", data / "own.parquet"
        # One rollout's id is as good as another's, but the chain has its own.
        connection.execute(
            f"COPY (SELECT * REPLACE ('{one}' AS rollout) FROM '{source}') TO '{target}' (FORMAT parquet)"
        )
        target.replace(source)
        floor = bare(telemetry, data, one)
    used = cpu_of(repo, "rollout", "tick", rolling.NAME, "--env", "prod", "--events", str(data), code=None)
    ratio = used / floor
    holds = ratio <= BAR_TICK
    verdict = f"bar {BAR_TICK} {'ok' if holds else 'MISSED'}; it did {rolling.newest(repo).action}"
    print(f"look at 10 M outcomes, whole command / bare query {used:8.1f} s {floor:6.1f} s  {ratio:5.2f} x  {verdict}")
    return holds


def bare(telemetry: Any, data: Path, rollout: str) -> float:
    """CPU seconds of the query that somebody would write by hand, in a process of its own."""
    files = [f"{data}/outcomes.parquet", f"{data}/exposures.parquet"]
    watermark = int(time.time() * 1000) - 900_000
    sql = telemetry.BARE.replace("'ramp'", f"'{rollout}'").format(
        files=files, watermark=watermark, week=7 * DAY, day=DAY
    )
    code = "import sys, duckdb; print(len(duckdb.connect().execute(sys.stdin.read()).fetchall()))"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], input=sql.encode(), check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def put(root: Path, kind: str, data: bytes) -> str:
    """Store an object as git does, without a process."""
    whole = f"{kind} {len(data)}\0".encode() + data
    oid = hashlib.sha1(whole, usedforsecurity=False).hexdigest()
    path = root / ".git/objects" / oid[:2] / oid[2:]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(zlib.compress(whole, 1))
    return oid


def lengthen(repo: Repo, count: int) -> None:
    """Pause and resume the rollout until its chain has so many decisions, each signed."""
    import rolling

    from promptops.registry import canonical
    from promptops.release import live
    from promptops.repo import tagobject
    from promptops.repo.git import Git
    from promptops.trust import sshsig

    newest = rolling.newest(repo)
    value = json.loads(repo.git("cat-file", "blob", f"{newest.oid}:decision.json"))
    plan = bytes.fromhex(newest.files["plan.json"])
    # The committer that the key is of.
    os.environ["GIT_CONFIG_GLOBAL"] = repo.env()["GIT_CONFIG_GLOBAL"]
    with Git(str(repo.root)) as git:
        head = newest.oid
        for number in range(newest.sequence + 1, count + 1):
            action, state = ("pause", "paused") if value["rollout"]["state"] == "running" else ("resume", "running")
            value |= {"sequence": number, "previous": head, "action": action, "reason": f"step {number}"}
            value["rollout"] |= {"state": state, "evidence": None, "verdict": None, "reasons": [f"step {number}"]}
            blob = bytes.fromhex(put(repo.root, "blob", canonical.dumps(value)))
            tree = b"100644 decision.json\0" + blob + b"100644 plan.json\0" + plan
            payload = tagobject.commit_payload(git, put(repo.root, "tree", tree), head, b"step\n", time=newest.time)
            signature = sshsig.sign(payload, str(repo.key("alice")), sshsig.GIT)
            first, _, message = payload.partition(b"\n\n")
            folded = signature.rstrip(b"\n").replace(b"\n", b"\n ")
            head = put(repo.root, "commit", b"%b\ngpgsig %b\n\n%b" % (first, folded, message))
    for ref in (rolling.REF, live.rollout_ref("prod", rolling.NAME, value["rollout"]["id"])):
        repo.git("update-ref", ref, head)
    repo.git("repack", "-adq")


def history(folder: Path) -> bool:
    """Time reading and judging chains; return whether they grow with their length only."""
    import rolling

    repo = project(folder)
    rolling.started(repo)
    where = (rolling.NAME, "--env", "prod")
    per: dict[str, list[float]] = {"history": [], "verify": [], "snapshot": []}
    for size in SIZES:
        lengthen(repo, size)
        used = {
            "history": cpu_of(repo, "rollout", "history", *where, "--json"),
            "verify": cpu_of(repo, "rollout", "verify", *where),
            "snapshot": cpu_of(repo, "snapshot", "--env", "prod", "-o", str(folder / "snapshot.json")),
        }
        for name, seconds in used.items():
            per[name].append(seconds / size)
            print(f"{size:>7,} decisions, {name:<9}{seconds:9.2f} s  {seconds / size * 1e3:8.3f} ms each", flush=True)
    holds = True
    for name, each in per.items():
        growth = each[-1] / each[-2]
        holds &= growth <= BAR_GROWTH
        verdict = "ok" if growth <= BAR_GROWTH else "MISSED"
        print(f"{name}: a decision of 10,000 costs {growth:.2f} x one of 1,000  bar {BAR_GROWTH} {verdict}", flush=True)
    return holds


def main() -> int:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    wanted = [part for flag, part in (("--tick", tick), ("--history", history)) if flag in sys.argv] or [tick, history]
    holds = True
    for part in wanted:
        with tempfile.TemporaryDirectory(prefix="promptops-bench-") as folder:
            holds = part(Path(folder)) and holds
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
