"""Recorded traffic: JSON lines, each strict JSON with an id, a prompt and variables."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache

from oracle import ViolationError, require, require_place, same, strict_json

from promptops.errors import InputError
from promptops.evaluation import traffic

SPLIT = b"\n"
PIECES = (
    *[b'{"id": "a", "prompt": "p", "variables": {}}', b'"id": ', b'"prompt": ', b'"variables": ', b'"ID": "x", ', b'"id": "x", ', b'"p"', b'"q"', b'""'],
    *[b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\\ud800", b"\\u0000", b"\\n", b"\n", b"\r\n", b"\r", b" ", b"\t", b"\x0b", b"\x00", b"\xff", b"\xef\xbb\xbf"],
    *[b"NaN", b"Infinity", b"1e999", b"-0", b"0.1", b"9007199254740993", b"null", b"true", b"\xe2\x80\xa8", b"\xc2\x85", b"\xed\xa0\x80", b"-", b"--x", b"\x1b[2J"],
)  # fmt: skip


def target(data: bytes) -> None:
    """Choose from a folder that holds these lines."""
    path = os.path.join(_folder(), "a.jsonl")
    with open(path, "wb") as file:
        file.write(data)
    try:
        found = traffic.choose(_folder(), "p", share=0.5, minimum=2)
    except InputError as error:
        require_place(error, path, data.count(b"\n") + 1)
        require(error.line is not None, "a refusal without a line")
        raise
    try:
        lines = [strict_json(line) for line in data.split(b"\n") if line.strip()]
        mine = [value for value in lines if value["prompt"] == "p"]
        known = {value["id"]: value["variables"] for value in mine}
    except (ValueError, TypeError, KeyError) as error:
        raise ViolationError(f"accepted what is no recorded request: {error!r:.150}") from error
    require(found.total == len(mine) and (found.digest is None) == (not mine), "another number of requests")
    require(all(same(record.variables, known[record.id]) for record in found.records), "other variables")
    slots = {name: traffic.slot(name) for name in known}
    inside = {name for name, slot in slots.items() if slot < 2**31}
    wanted = inside | set(sorted(slots, key=lambda name: (slots[name], name))[: max(2, len(inside))])
    require({record.id for record in found.records} == wanted, "other requests are chosen")


@cache
def _folder() -> str:
    folder = tempfile.mkdtemp(prefix="promptops-fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
