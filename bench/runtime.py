"""What `promptops.load` and `render` cost an application, beside the least that could do the same.

    python bench/runtime.py [--calls 20000]

Processor time of one call, the least of seven rounds in which all rows take turns. The floor is one stat of the file,
one SHA-256 of salt and unit, and `str.replace` in a list of two messages; Jinja2 renders the same two templates,
compiled before. A bar that is missed makes the exit code 1.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

from promptops.runtime import Snapshot, document, load
from promptops.runtime.assignment import weight

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 7
SYSTEM = "You are a support agent for {{ product }}.\nAnswer briefly, and never promise a refund.\n" * 4
USER = "The ticket:\n{{ ticket }}"
VALUES = {"product": "a shop", "ticket": "My parcel has not arrived, and the page says that it has. " * 5}
BODY = {
    "version": "1.0.0",
    "tag": "prompt/reply@v1.0.0",
    "digest": "sha256:" + "0" * 64,
    "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": USER}],
    "includes": {},
    "variables": {"product": {"type": "string"}, "ticket": {"type": "string", "maxLength": 8000}},
    "arguments": {"model": "gpt-4o-2024-11-20", "temperature": 0.3, "seed": 1},
}
ENTRY = {
    **BODY,
    "decision": {"commit": "0" * 40, "sequence": 3, "action": "advance"},
    "rollout": {
        "id": "3f9a0c71d2be",
        "stage": 1,
        "salt": "3f9a0c71d2be",
        "hash": "sha256-u32/1",
        "weights": {"canary": weight("5%"), "baseline": weight("5%")},
        "scope": "immediate",
        "arms": {"canary": {**BODY, "version": "1.1.0", "digest": "sha256:" + "1" * 64}, "baseline": None},
    },
}


def written(path: Path, prompts: int) -> str:
    entries = {f"team/prompt-{number}": copy.deepcopy(ENTRY) for number in range(prompts)}
    path.write_bytes(document.serialize("prod", int(time.time()), entries))
    return str(path)


def floor(path: str) -> Callable[[], object]:
    def call() -> object:
        os.stat(path)
        hashlib.sha256(b"3f9a0c71d2be\0user-17").digest()
        system = SYSTEM.replace("{{ product }}", VALUES["product"])
        user = USER.replace("{{ ticket }}", VALUES["ticket"])
        return {
            **BODY["arguments"],
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
        }

    return call


def jinja() -> Callable[[], object]:
    templates = [jinja2.Template(text) for text in (SYSTEM, USER)]
    return lambda: [each.render(VALUES) for each in templates]


def least(rows: dict[str, Callable[[], object]], calls: int) -> dict[str, float]:
    """Microseconds of processor time per call."""
    best = dict.fromkeys(rows, float("inf"))
    for _ in range(ROUNDS):
        for name, call in rows.items():
            start = time.process_time()
            for _ in range(calls):
                call()
            best[name] = min(best[name], (time.process_time() - start) / calls * 1e6)
    return best


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20_000)
    calls = parser.parse_args().calls
    with tempfile.TemporaryDirectory() as folder:
        small, large = written(Path(folder, "small.json"), 10), written(Path(folder, "large.json"), 10_000)

        def ask(path: str, **who: str) -> Callable[[], object]:
            return lambda: load("team/prompt-7", snapshot=path, **who).render(**VALUES)

        who = {"unit": "user-17", "session": "conversation-99"}
        rows = {
            "floor": floor(small),
            "jinja": jinja(),
            "plain": ask(small),
            "unit": ask(small, **who),
            "large": ask(large, **who),
        }
        for call in rows.values():
            call()
        best = least(rows, calls)
        start = time.process_time()
        Snapshot(large).load("team/prompt-7")
        reading = time.process_time() - start
        size = os.path.getsize(large) / 1e6
    print(f"  floor: stat, SHA-256, str.replace              {best['floor']:6.2f} us")
    print(f"  Jinja2, the two templates alone                {best['jinja']:6.2f} us")
    held = True
    for name, text in (
        ("plain", "no unit"),
        ("unit", "unit and session in a rollout"),
        ("large", "the same of 10,000"),
    ):
        good = best[name] <= 20
        held &= good
        print(
            f"  load + render, {text:31s} {best[name]:6.2f} us  {'holds' if good else 'MISSED'}: <= 20 us;"
            f" {best[name] / best['floor']:.1f} x floor, {best[name] / best['jinja']:.1f} x Jinja2"
        )
    growth = best["large"] / best["unit"]
    verdict = "holds" if growth <= 1.25 else "MISSED"
    print(f"  10,000 prompts beside 10                        {growth:6.2f} x  {verdict}: <= 1.25 x")
    print(
        f"  reading a new file of 10,000 prompts, {size:.0f} MB   {reading:6.2f} s of processor time, once per change"
    )
    return 0 if held and growth <= 1.25 else 1


if __name__ == "__main__":
    sys.exit(main())
