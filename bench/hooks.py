"""How long the hook and the full check take, as ratios to other programs in the same run.

    python bench/hooks.py [--quick]

Rows: the hook's process with one changed prompt among 10,000 against `python -c pass` and check-jsonschema, and among
100; the full check of 10,000 prompts cold against check-jsonschema on the same files, and warm. Programs take turns so
that a busy machine slows all of them; the least of all turns counts. Our cold check uses every core, so its row also
says how many it had and what the ratio of processor times is: a busy second core spoils the first ratio alone.

A bar that is missed makes the exit code 1.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

MODEL = """\
provider: openai
id: gpt-4o-2024-11-20
pinned: true
parameters: {temperature: {minimum: 0, maximum: 1}, unsupported: [top_k]}
"""
PROMPT = """\
# Prompt number NUMBER
version: "1.0.0"
description: First answer to a customer's ticket
owners: [support]
model: m
parameters:
  temperature: 0.3
  max_completion_tokens: 400
  seed: NUMBER
variables:
  ticket:
    type: string
    maxLength: 8000
    description: What the customer wrote
  product:
    type: string
  locale:
    type: string
    default: en
messages:
  - role: system
    content: |
      You are a support agent for {{ product }} in queue NUMBER.
      Answer in the language {{ locale }}.
      Be accurate, be brief, and never promise a refund.
      If you do not know, say so and offer to ask a colleague.
      Quote the part of the ticket that you answer.
  - role: user
    content: |
      The ticket:
      {{ ticket }}
output:
  type: json_schema
  name: answer
  schema:
    type: object
    properties:
      answer: {type: string}
      confidence: {type: number, minimum: 0, maximum: 1}
    required: [answer, confidence]
metadata:
  system: helpdesk
"""
CHANGED = "prompts/team0/p7.yaml"
SCHEMA = Path(__file__).resolve().parent.parent / "schemas" / "prompt.schema.json"


def repository(root: Path, prompts: int) -> Path:
    """A packed repository of ``prompts`` released drafts, with one legal change staged."""
    (root / "models").mkdir(parents=True)
    (root / "models/m.yaml").write_text(MODEL)
    (root / "promptops.yaml").write_text("version: 1\n")
    for number in range(prompts):
        path = root / f"prompts/team{number // 100}/p{number}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PROMPT.replace("NUMBER", str(number)))
    identity = (
        "-c",
        "gc.auto=0",
        "-c",
        "maintenance.auto=false",
        "-c",
        "user.name=bench",
        "-c",
        "user.email=bench@example.org",
        "-c",
        "commit.gpgsign=false",
    )
    tag = ("tag", "--no-sign", "-a", "-m", "bench", f"prompt/{CHANGED[8:-5]}@v1.0.0")
    for command in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "Start"), tag, ("gc", "-q")):
        subprocess.run(["git", *identity, *command], cwd=root, check=True)
    text = (root / CHANGED).read_text()
    (root / CHANGED).write_text(text.replace("be brief", "be very brief").replace("1.0.0", "1.0.1"))
    subprocess.run(["git", "add", "-A"], cwd=root, check=True)
    return root


# Compiled modules, as an installed program has them.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


class Taken(NamedTuple):
    """Seconds that a process took: by the clock, and of processors (its children's too)."""

    wall: float
    processor: float


def timed(command: list[str], cwd: Path) -> Taken:
    before, started = processor(), time.perf_counter()
    done = subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, check=False)
    taken = Taken(time.perf_counter() - started, processor() - before)
    if done.returncode:
        raise SystemExit(f"{command[:4]} failed: {done.stdout.decode()}{done.stderr.decode()}")
    return taken


def processor() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def best(commands: dict[str, tuple[list[str], Path]], turns: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(turns):
        for name, (command, cwd) in commands.items():
            times[name].append(timed(command, cwd).wall)
    return {name: min(taken) for name, taken in times.items()}


def row(what: str, value: float, bar: float, unit: str = "x", note: str = "") -> bool:
    """Print one row, and return whether its bar holds."""
    verdict = "ok" if value <= bar else "MISSED"
    print(f"{what:<58}{value:>10.2f} {unit:<3} bar {bar:.2f}  {verdict}{note and f'  ({note})'}", flush=True)
    return value <= bar


def hook_rows(large: Path, small: Path, promptops: list[str], checker: str, turns: int) -> list[bool]:
    files = ["--schemafile", str(SCHEMA), CHANGED]
    least = best(
        {
            "bare": ([sys.executable, "-c", "pass"], large),
            "large": ([*promptops, "check"], large),
            "small": ([*promptops, "check"], small),
            "other": ([checker, *files], large),
        },
        turns,
    )
    return [
        row("hook, 1 of 10,000 changed / python -c pass", least["large"] / least["bare"], 8),
        row("hook, 1 of 10,000 changed / check-jsonschema", least["large"] / least["other"], 1 / 3),
        row("hook, 10,000 prompts / 100 prompts", least["large"] / least["small"], 1.1),
    ]


def full_rows(large: Path, promptops: list[str], checker: str, turns: int) -> list[bool]:
    memory = large / ".git" / "promptops"
    files = [str(path.relative_to(large)) for path in sorted(large.glob("prompts/**/*.yaml"))]
    cold, other = [], []
    for _ in range(turns):
        shutil.rmtree(memory, ignore_errors=True)
        cold.append(timed([*promptops, "check", "--all"], large))
        other.append(timed([checker, "--schemafile", str(SCHEMA), *files], large))
    # A tuple's least is by the clock, so both ratios are of the same two runs.
    ours, theirs = min(cold), min(other)
    note = f"processor time {ours.processor / theirs.processor:.2f} x, {ours.processor / ours.wall:.1f} cores kept busy"
    wall = row("check --all of 10,000, cold / check-jsonschema", ours.wall / theirs.wall, 1 / 8, note=note)
    warm = best({"warm": ([*promptops, "check", "--all"], large)}, 10 * turns)["warm"]
    return [wall, row("check --all of 10,000, warm", warm * 1000, 100, "ms")]


def main() -> int:
    quick = "--quick" in sys.argv
    checker = shutil.which("check-jsonschema", path=str(Path(sys.executable).parent))
    if checker is None:
        raise SystemExit("check-jsonschema is not installed beside this Python: pip install -e '.[dev]'")
    promptops = [sys.executable, "-m", "promptops"]
    with tempfile.TemporaryDirectory() as folder:
        ENVIRONMENT["PYTHONPYCACHEPREFIX"] = str(Path(folder, "compiled"))
        large, small = repository(Path(folder, "large"), 10_000), repository(Path(folder, "small"), 100)
        held = hook_rows(large, small, promptops, checker, 5 if quick else 30)
        held += full_rows(large, promptops, checker, 1 if quick else 3)
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
