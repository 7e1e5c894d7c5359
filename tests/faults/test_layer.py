"""The layer misses nothing: what strace sees the process do is what the layer counts."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter

import pytest
from evaluation.canaries import text_by
from faulting import LAYER
from inference.faults import FaultServer

CALLS = {
    "open": "open", "openat": "open", "creat": "open", "write": "write", "pwrite64": "write", "writev": "write",
    "pwritev": "write", "sendfile": "write", "copy_file_range": "write", "rename": "rename", "renameat": "rename",
    "renameat2": "rename", "unlink": "unlink", "unlinkat": "unlink", "rmdir": "rmdir", "mkdir": "mkdir",
    "mkdirat": "mkdir", "link": "link", "linkat": "link", "symlink": "link", "symlinkat": "link", "fsync": "fsync",
    "fdatasync": "fsync", "truncate": "truncate", "ftruncate": "truncate", "fallocate": "write", "chmod": "chmod",
    "fchmod": "chmod", "fchmodat": "chmod", "flock": "flock", "vfork": "start", "fork": "start", "clone": "start",
    "clone3": "start", "connect": "connect", "sendto": "send", "sendmsg": "send", "recvfrom": "received",
    "recvmsg": "received",
}  # fmt: skip
LINE = re.compile(r"(\d+) +(\w+)\((.*)")
LAST = {"rename", "link"}


def threads(lines: list[str]) -> set[str]:
    """Ids of the first process of a trace and of its threads."""
    ours, making = {lines[0].split()[0]}, set()
    for line in lines:
        who = line.split()[0]
        if who in ours and ("CLONE_THREAD" in line or (who in making and "resumed" in line)):
            made = re.search(r"= (\d+)$", line)
            making = making | {who} if made is None else making - {who}
            ours |= {made[1]} if made else set()
    return ours


def seen(trace: str, watch: str, cwd: str) -> Counter[str]:
    """What the first process of a trace did to files below ``watch``, to other processes and over the network."""
    found: Counter[str] = Counter()
    lines = trace.splitlines()
    ours = threads(lines)
    for match in filter(None, map(LINE.match, lines)):
        if match[1] in ours and match[2] in CALLS:
            kind = kind_of(CALLS[match[2]], match[3], watch, cwd)
            found[kind or ""] += kind is not None
    return +found


def kind_of(kind: str, rest: str, watch: str, cwd: str) -> str | None:
    """The kind of a call by its arguments; None when it does not count."""
    if kind in ("connect", "send", "received"):
        nothing = kind == "received" and re.search(r"= (0|-1 .*)$", rest)
        return kind if ("AF_INET" in rest or "<TCP" in rest) and not nothing else None
    if kind == "start":
        return None if "CLONE_THREAD" in rest else kind
    if kind == "open" and not re.search(r"O_WRONLY|O_RDWR|O_CREAT", rest):
        return None
    opened = re.match(r"(\d+)<(.*?)>", rest)
    if opened and opened[2].startswith("pipe:"):
        # 2 is what it says on the way.
        return "to another" if kind == "write" and opened[1] != "2" else None
    names = [opened[2]] if opened else re.findall(r'"((?:[^"\\]|\\.)*)"', rest)
    path = os.path.join(cwd, names[-1 if kind in LAST else 0])
    if not path.startswith(watch):
        return None
    return "rmdir" if kind == "unlink" and "AT_REMOVEDIR" in rest else kind


def counted(points: list[str]) -> Counter[str]:
    found = Counter(point.split(" ")[0].partition("#")[0] for point in points if not point.startswith("write to "))
    found["to another"] = sum(point.startswith("write to ") for point in points)
    for ours in ("started", "exit"):
        del found[ours]
    return +found


def test_strace_sees_no_write_call_or_process_that_the_layer_does_not_count(canaried, tmp_path):
    strace = shutil.which("strace")
    if strace is None or subprocess.run([strace, "-o", os.devnull, "true"], check=False).returncode:
        pytest.skip("strace is not installed, or may not trace here")
    scene = canaried.copy(tmp_path / "scene")
    log, trace = tmp_path / "points", tmp_path / "trace"
    with FaultServer(text_by(0.0)) as server:
        env = scene.repo.env() | {
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(LAYER), os.environ.get("PYTHONPATH")])),
            "FAULT": json.dumps({"watch": str(scene.folder), "log": str(log)}),
            "OPENAI_BASE_URL": server.url,
            "OPENAI_API_KEY": "sk-x",
        }
        command = [strace, "-f", "-yy", "-o", str(trace), "-e", f"trace={','.join(f'?{name}' for name in CALLS)}"]
        command += [sys.executable, "-m", "promptops", "release", "--together", "--push"]
        done = subprocess.run(command, cwd=scene.repo.root, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = seen(trace.read_text(errors="replace"), str(scene.folder), str(scene.repo.root))
    assert expected == counted(log.read_text().splitlines())
    assert expected["write"] > 30
    assert expected["start"] > 50
