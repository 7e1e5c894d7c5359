"""Every fuzz target at length, on every processor.

    python fuzz/run.py [TARGET ...] [--inputs 1000000] [--seed 1] [--jobs 2]
    python fuzz/run.py TARGET --input FILE      # judge one input, with the traceback
    python fuzz/run.py TARGET --guided          # with atheris, where it is installed, until it is stopped

Exits with 1 when a promise was broken; the input then stands in fuzz/crashes/.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import targets
import worker

HERE = Path(__file__).resolve().parent
CRASHES = HERE / "crashes"
# A worker that says nothing for so long hangs where Python cannot stop it.
_SILENCE = 180.0
_TELL_EVERY = 30.0
_HEADS = ("target", "inputs", "accepted", "refused", "outcomes", "slowest ms", "memory MB", "violations")


@dataclass
class Total:
    """What became of the inputs of one target."""

    done: int = 0
    accepted: int = 0
    refused: int = 0
    violations: int = 0
    slowest: float = 0.0
    memory: int = 0
    outcomes: set[str] = field(default_factory=set)
    shards: int = 0

    def add(self, line: dict[str, Any]) -> None:
        """Add what a worker says at its end."""
        for name in ("done", "accepted", "refused", "violations"):
            setattr(self, name, getattr(self, name) + line[name])
        self.slowest = max(self.slowest, line["slowest"])
        self.memory = max(self.memory, line["memory"])
        self.outcomes |= set(line["outcomes"])
        self.shards += 1

    def row(self, name: str) -> tuple[str, ...]:
        """Return the cells of the table, as `_HEADS` names them."""
        counts = (self.done, self.accepted, self.refused, len(self.outcomes), round(self.slowest * 1000))
        return name, *(f"{count:,}" for count in (*counts, self.memory, self.violations))


def main(argv: list[str] | None = None) -> int:
    """Run what the command line asks for, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of: {', '.join(targets.NAMES)}")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="inputs of each target")
    parser.add_argument("--seed", default="1", help="another gives other inputs")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time")
    parser.add_argument("--crashes", default=str(CRASHES), help="folder for inputs that broke a promise")
    parser.add_argument("--input", help="judge this file only")
    parser.add_argument("--guided", action="store_true", help="let atheris choose the inputs")
    options = parser.parse_args(argv)
    names = options.targets or list(targets.NAMES)
    if unknown := set(names) - set(targets.NAMES):
        parser.error(f"no target is called {min(unknown)}; one of: {', '.join(targets.NAMES)}")
    if options.input:
        return _one(names[0], Path(options.input).read_bytes())
    if options.guided:
        return subprocess.run([sys.executable, str(HERE / "guided.py"), names[0]], check=False).returncode
    return _table(campaign(names, options))


def _one(name: str, data: bytes) -> int:
    try:
        targets.load(name).target(data)
    except worker.PromptopsError as error:
        print(f"refused: {error.message}")
    else:
        print("accepted")
    return 0


def campaign(names: list[str], options: argparse.Namespace) -> dict[str, Total]:
    """Feed every target, and return what became of the inputs."""
    totals = {name: Total() for name in names}
    progress = {(name, shard): 0 for name in names for shard in range(options.jobs)}
    lock = threading.Lock()
    said = dict.fromkeys(names, time.monotonic())

    def hear(name: str, shard: int, line: dict[str, Any]) -> None:
        with lock:
            if line["kind"] == "violation":
                print(
                    f"{name}: {line['error']}\n  reproduce: python fuzz/run.py {name} --input {line['path']}",
                    flush=True,
                )
            elif line["kind"] == "done":
                totals[name].add(line)
                if totals[name].shards == options.jobs:
                    pairs = zip(_HEADS[1:], totals[name].row(name)[1:], strict=True)
                    print(f"{name}: done, {', '.join(f'{head} {cell}' for head, cell in pairs)}", flush=True)
            progress[name, shard] = line.get("done", progress[name, shard])
            if line["kind"] != "violation" and time.monotonic() - said[name] > _TELL_EVERY:
                said[name] = time.monotonic()
                done = sum(count for (target, _), count in progress.items() if target == name)
                print(f"{name}: {done:,} of {options.inputs:,}", flush=True)

    def feed(name: str, shard: int) -> None:
        count = options.inputs // options.jobs + (shard < options.inputs % options.jobs)
        _shard(name, f"{options.seed}.{shard}", count, options.crashes, lambda line: hear(name, shard, line))

    with ThreadPoolExecutor(options.jobs) as pool:
        # A failure of a thread comes up here.
        list(pool.map(feed, *zip(*progress, strict=True)))
    return totals


def _shard(name: str, seed: str, count: int, crashes: str, hear: Any) -> None:
    """Run one worker to its end; what kills it or silences it is a violation of its last input."""
    command = [sys.executable, str(HERE / "worker.py"), name, seed, str(count), crashes]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(process.stdout, lines), daemon=True).start()
    why = ""
    last: dict[str, Any] = {"kind": "", "done": 0}
    while True:
        try:
            text = lines.get(timeout=_SILENCE)
        except queue.Empty:
            why = f"silent for {_SILENCE:g} s"
            process.kill()
            break
        if not text:
            break
        last = {"done": last["done"], **json.loads(text)}
        hear(last)
    code = process.wait()
    if last["kind"] != "done":
        current = os.path.join(crashes, f"current-{process.pid}")
        path = "?"
        if os.path.exists(current):
            path = worker.keep(crashes, name, worker.interrupted(current))
            os.unlink(current)
        hear({"kind": "violation", "path": path, "error": why or f"the process died: exit code {code}"})
        hear(
            {
                "kind": "done",
                "done": last["done"],
                "accepted": 0,
                "refused": 0,
                "violations": 1,
                "slowest": 0.0,
                "memory": 0,
                "outcomes": [],
            }
        )


def _listen(stream: Any, lines: queue.Queue[str]) -> None:
    with stream:
        for line in stream:
            lines.put(line)
    lines.put("")


def _table(totals: dict[str, Total]) -> int:
    rows = [total.row(name) for name, total in totals.items()]
    widths = [max(map(len, column)) for column in zip(_HEADS, *rows, strict=True)]
    for row in (_HEADS, *rows):
        print(
            "  ".join(
                text.ljust(width) if index == 0 else text.rjust(width)
                for index, (text, width) in enumerate(zip(row, widths, strict=True))
            )
        )
    return int(any(total.violations for total in totals.values()))


if __name__ == "__main__":
    sys.exit(main())
