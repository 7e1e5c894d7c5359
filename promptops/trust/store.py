"""Where requests and approvals are kept: content-addressed files, which anybody may carry."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from promptops.errors import InputError
from promptops.registry.governed import APPROVALS
from promptops.trust import envelope, files

if TYPE_CHECKING:
    from promptops.repo.git import Git
    from promptops.trust.envelope import Envelope

REF = "refs/promptops/approvals"
_ADDRESS = re.compile(rb"(?:.*/)?([0-9a-f]{64})\.json")


def path(signed: Envelope) -> str:
    """Return the one path of an envelope."""
    return f"{APPROVALS}{signed.digest[:2]}/{signed.digest}.json"


def write(root: str, signed: Envelope) -> str:
    """Write an envelope into a work tree and return its path relative to ``root``.

    Raises:
        InputError: a symbolic link leads away from there.
    """
    name = path(signed)
    files.write(root, name, signed.to_bytes())
    return name


def read(git: Git, commit: str) -> list[Envelope]:
    """Return the envelopes in a commit's tree and on `REF`, in order of their digests; nothing is verified.

    What is no envelope, or lies at an address that is not its own, is nothing: anybody may put files there.
    """
    found: set[tuple[str, str]] = set()
    for spec, folder in ((commit, APPROVALS), (REF, "")):
        listing = git.try_run("ls-tree", "-r", "-z", "--full-tree", spec, *([folder] if folder else []))
        for line in listing.stdout.split(b"\0")[:-1]:
            meta, _, name = line.partition(b"\t")
            mode, kind, oid = meta.decode().split(" ")
            address = _ADDRESS.fullmatch(name.removeprefix(folder.encode()))
            if kind == "blob" and mode.startswith("100") and address:
                found.add((address[1].decode(), oid))
    blobs = git.objects(sorted({oid for _, oid in found}))
    envelopes: dict[str, Envelope] = {}
    for digest, oid in sorted(found):
        try:
            parsed = envelope.parse(blobs[oid])
        except InputError:
            continue
        if parsed.digest == digest:
            envelopes[digest] = parsed
    return list(envelopes.values())


def digests(git: Git, commit: str) -> frozenset[str]:
    """Return the digests of the envelopes in a commit's tree by their addresses; nothing is read."""
    listing = git.try_run("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit, APPROVALS).stdout
    names = (_ADDRESS.fullmatch(name.removeprefix(APPROVALS.encode())) for name in listing.split(b"\0")[:-1])
    return frozenset(name[1].decode() for name in names if name)
