"""Who wrote a commit, by its signature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.errors import RefusedError
from promptops.trust import sshsig

if TYPE_CHECKING:
    from collections.abc import Iterable

    from promptops.repo.git import Git
    from promptops.trust.policy import Trust

_HEADERS = (b"gpgsig ", b"gpgsig-sha256 ")


def authors(git: Git, trust: Trust, revisions: Iterable[str], paths: Iterable[str]) -> tuple[set[str], int]:
    """Return the people and bots who signed the commits that touch ``paths``, and how many commits nobody known signed.

    ``revisions`` are arguments of ``git rev-list`` such as ``base..head``; ``paths`` are relative to the root.
    """
    pathspecs = [f":(top,literal){path}" for path in paths]
    listing = git.text("rev-list", "--full-history", "--end-of-options", *revisions, "--", *pathspecs)
    names: set[str] = set()
    unknown = 0
    for data in git.objects(listing.split()).values():
        try:
            payload, signature = split(data)
            names.add(trust.verify(payload, signature, sshsig.GIT)[0])
        except RefusedError:
            unknown += 1
    return names, unknown


def split(commit: bytes) -> tuple[bytes, bytes]:
    """Split the raw bytes of a commit into what was signed and the armored SSH signature.

    Raises:
        RefusedError: there is not exactly one signature.
    """
    header, blank, message = commit.partition(b"\n\n")
    kept, signatures = [], list[list[bytes]]()
    inside = False
    for line in header.split(b"\n"):
        if line.startswith(_HEADERS):
            signatures.append([line.partition(b" ")[2]])
            inside = True
        elif inside and line.startswith(b" "):
            signatures[-1].append(line[1:])
        else:
            inside = False
            kept.append(line)
    if len(signatures) != 1:
        raise RefusedError("commit does not carry exactly one signature")
    return b"\n".join(kept) + blank + message, b"\n".join(signatures[0]) + b"\n"
