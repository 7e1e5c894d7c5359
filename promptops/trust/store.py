"""Where requests and approvals are kept: content-addressed files, which anybody may carry."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from promptops.errors import InputError, RefusedError
from promptops.registry.governed import APPROVALS
from promptops.repo.source import WorktreeSource
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


def keep(git: Git, signed: Envelope) -> str:
    """Write an envelope into the work tree, unless one that says the same waits there to be committed; return its path.

    A command that was killed after it had written, and is run again, thereby leaves one file and not two.

    Raises:
        InputError: a symbolic link leads away from there.
    """
    listing = git.run("-C", git.root, "ls-files", "--others", "-z", "--", APPROVALS)
    for name in map(os.fsdecode, listing.split(b"\0")[:-1]):
        data = WorktreeSource(git.root).read(name)
        try:
            found = envelope.parse(data or b"")
        except InputError:
            continue
        if path(found) == name and _says(found) == _says(signed):
            return name
    return write(git.root, signed)


def _says(signed: Envelope) -> tuple[list[str], dict[str, Any] | None]:
    """Return the keys of an envelope, and its statement without the time at which it was made."""
    try:
        statement = signed.statement()
        predicate = {key: value for key, value in statement["predicate"].items() if key != "createdAt"}
        return [each.keyid for each in signed.signatures], {**statement, "predicate": predicate}
    except (RefusedError, TypeError, KeyError, AttributeError):
        return [], None


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
