"""Where requests and approvals are kept: content-addressed files, which anybody may carry."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from promptops.errors import InputError
from promptops.registry.governed import APPROVALS
from promptops.trust import envelope, files

if TYPE_CHECKING:
    from promptops.repo.git import Git
    from promptops.trust.envelope import Envelope

REF = "refs/promptops/approvals"


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
    found: dict[str, str] = {}
    for spec, folder in ((commit, APPROVALS), (REF, "")):
        listing = git.try_run("ls-tree", "-r", "-z", "--full-tree", spec, *([folder] if folder else []))
        for line in listing.stdout.split(b"\0")[:-1]:
            meta, _, name = line.partition(b"\t")
            mode, kind, oid = meta.decode().split(" ")
            if kind == "blob" and mode.startswith("100") and name.endswith(b".json"):
                found[os.path.basename(os.fsdecode(name)).removesuffix(".json")] = oid
    blobs = git.objects(sorted(set(found.values())))
    envelopes = []
    for digest, oid in sorted(found.items()):
        try:
            parsed = envelope.parse(blobs[oid])
        except InputError:
            continue
        if parsed.digest == digest:
            envelopes.append(parsed)
    return envelopes
