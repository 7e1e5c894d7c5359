"""The server's hook on pushes of 1, 100 and 5,000 commits, against the same pushes without it.

    python bench/receive.py [--repeats 3]

Each push goes into a fresh copy of a bare repository. A row shows the whole push with and without the hook, least time
over the repeats; the bar is on what the hook adds, as a multiple of what it adds to a push of one commit, so that it is
seen to judge a push as one change and not commit by commit. Exit code 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import log_verify

SIZES = (1, 100, 5000)
BAR = 3.0


def commits(clone: Path, count: int) -> str:
    """Put ``count`` commits on top of main as a branch, and return its name."""
    tip = subprocess.run(["git", "rev-parse", "main"], cwd=clone, check=True, capture_output=True, text=True).stdout
    stream = [f"reset refs/heads/n{count}\nfrom {tip}\n"]
    for number in range(count):
        text = f"{count} {number}"
        stream.append(
            f"commit refs/heads/n{count}\ncommitter A <a@example.org> {1800000000 + number} +0000\ndata 1\nx\n"
            f"M 100644 inline notes.txt\ndata {len(text)}\n{text}\n"
        )
    subprocess.run(["git", "fast-import", "--quiet"], cwd=clone, input="".join(stream).encode(), check=True)
    return f"n{count}"


def push(clone: Path, server: Path, branch: str, repeats: int, env: dict[str, str]) -> float:
    """Return the least seconds of a push of ``branch`` to main, each into a fresh copy of ``server``."""
    best = float("inf")
    for _ in range(repeats):
        copy = server.with_name("copy.git")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(server, copy)
        start = time.perf_counter()
        subprocess.run(["git", "push", "-q", str(copy), f"{branch}:main"], cwd=clone, env=env, check=True)
        best = min(best, time.perf_counter() - start)
    return best


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as name:
        env["PYTHONPYCACHEPREFIX"] = str(Path(name) / "compiled")
        log_verify.released(Path(name), env)
        clone, plain, hooked = (Path(name) / part for part in ("clone", "plain.git", "hooked.git"))
        for server in (plain, hooked):
            subprocess.run(["git", "clone", "-q", "--bare", str(clone), str(server)], check=True)
        install = [sys.executable, "-m", "promptops", "-C", str(hooked), "hook", "install", "--server"]
        subprocess.run(install, check=True, capture_output=True, env=env)
        added: list[float] = []
        for count in SIZES:
            branch = commits(clone, count)
            ours, floor = push(clone, hooked, branch, repeats, env), push(clone, plain, branch, repeats, env)
            added.append(ours - floor)
            good = added[-1] <= BAR * added[0]
            print(
                f"push of {count:>5} commits, hook / no hook {ours * 1e3:12.1f} ms {floor * 1e3:8.1f} ms"
                f"  added {added[-1] / added[0]:6.3f} x that of one  bar {BAR:.3f} {'ok' if good else 'MISSED'}"
            )
    return 0 if all(each <= BAR * added[0] for each in added) else 1


if __name__ == "__main__":
    sys.exit(main())
