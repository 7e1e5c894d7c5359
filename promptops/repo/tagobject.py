"""Tag and commit objects as bytes: written exactly as git writes them, read more strictly than git reads them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from promptops.errors import PromptopsError, RefusedError

if TYPE_CHECKING:
    from promptops.repo.git import Git

BEGIN_SIGNATURE = b"-----BEGIN SSH SIGNATURE-----\n"
END_SIGNATURE = b"-----END SSH SIGNATURE-----\n"
# Any armour that some git could take for a signature.
_ARMOUR = re.compile(rb"^-----BEGIN (?:SSH SIGNATURE|PGP SIGNATURE|PGP MESSAGE|SIGNED MESSAGE)-----", re.MULTILINE)
_OID = re.compile(rb"(?:[0-9a-f]{40}|[0-9a-f]{64})")
_SIGNED = (b"gpgsig ", b"gpgsig-sha256 ")
_TYPES = frozenset({"commit", "tree", "blob", "tag"})
# What git-check-ref-format(1) allows below refs/tags/, and no dash first: a name is never an option.
_NAME = re.compile(rb"(?![./-])(?!.*(?:\.\.|@\{|//|/\.|\.lock(?:/|\Z)|[./]\Z))[^\x00-\x20~^:?*\[\\\x7f]+")
# Eleven digits last until the year 5138; a date beyond the year 9999 could not be computed with. git takes no zero
# before other digits.
_IDENT = re.compile(rb"[^<>\n\0]* <[^<>\n\0]*> (0|[1-9][0-9]{0,10}) [+-][0-9]{4}")


class TagObject(NamedTuple):
    """An annotated tag.

    Attributes:
        target: id of the tagged object.
        kind: its type.
        name: tag name, without ``refs/tags/``.
        time: seconds since 1970 as the tagger states them.
        message: text before the signature.
        payload: the signed bytes: everything before the signature.
        signature: the armoured SSH signature; empty for an unsigned tag.
    """

    target: str
    kind: str
    name: str
    time: int
    message: bytes
    payload: bytes
    signature: bytes


class CommitObject(NamedTuple):
    """A commit with at most one parent.

    Attributes:
        tree: id of its tree.
        parent: id of its parent, or None.
        time: seconds since 1970 as the committer states them.
        payload: the signed bytes: the commit without its signature header.
        signature: the armoured SSH signature; empty for an unsigned commit.
    """

    tree: str
    parent: str | None
    time: int
    payload: bytes
    signature: bytes


def tag_payload(git: Git, target: str, kind: str, name: str, message: bytes) -> bytes:
    """Return the bytes of an unsigned tag object by the configured committer, ready to be signed.

    Args:
        git: the repository, for the tagger's identity and the time.
        target: full id of the object to tag.
        kind: its type (``commit`` or ``tag``).
        name: tag name, without ``refs/tags/``.
        message: text, ending in a newline.
    """
    tagger = _identity(git)
    return b"object %b\ntype %b\ntag %b\ntagger %b\n\n%b" % (
        target.encode(), kind.encode(), name.encode(), tagger, message,
    )  # fmt: skip


def _identity(git: Git, time: int | None = None) -> bytes:
    dated = {"GIT_COMMITTER_DATE": f"@{time} +0000"} if time is not None else None
    done = git.try_run("var", "GIT_COMMITTER_IDENT", env=dated)
    if done.returncode:
        hint = "git config user.name NAME && git config user.email ADDRESS"
        raise PromptopsError("git does not know who you are", hint=hint)
    return done.stdout.strip()


def write_tag(git: Git, data: bytes) -> str:
    """Store a tag object that no ref points to yet, and return its id; git checks its form and its target.

    Raises:
        GitError: git refuses the object.
    """
    return git.run("mktag", stdin=data).decode().strip()


def parse_tag(data: bytes) -> TagObject:
    """Parse the raw bytes of a tag object.

    Raises:
        RefusedError: other headers than object, type, tag and tagger in this order, or a signature anywhere but once
            at the very end.
    """
    head, separator, _ = data.partition(b"\n\n")
    lines = head.split(b"\n")
    values = [line.partition(b" ")[2] for line in lines]
    if not separator:
        raise RefusedError("the tag object has no empty line after its headers")
    names = [line.partition(b" ")[0] for line in lines]
    if len(set(names)) != len(names):
        raise RefusedError("the tag object repeats a header: two readers could see two tags")
    if names != [b"object", b"type", b"tag", b"tagger"]:
        raise RefusedError("the tag object has other headers than object, type, tag and tagger")
    ident = _IDENT.fullmatch(values[3])
    if not _OID.fullmatch(values[0]) or not _NAME.fullmatch(values[2]) or ident is None or b"\0" in data:
        raise RefusedError("the tag object has a malformed header")
    try:
        kind, name = values[1].decode(), values[2].decode()
    except UnicodeDecodeError as error:
        raise RefusedError("the tag object has a malformed header") from error
    if kind not in _TYPES:
        raise RefusedError("the tag object has a malformed header")
    payload, signature = split_signature(data)
    return TagObject(values[0].decode(), kind, name, int(ident[1]), payload[len(head) + 2 :], payload, signature)


def split_signature(data: bytes) -> tuple[bytes, bytes]:
    """Return the signed part of a tag object and its signature, which is empty when there is none.

    git itself accepts bytes after the signature and takes the last of several.

    Raises:
        RefusedError: more than one signature, one that is no SSH signature, or anything after it.
    """
    found = list(_ARMOUR.finditer(data))
    if not found:
        return data, b""
    start = found[0].start()
    signature = data[start:]
    ends = signature.count(END_SIGNATURE.rstrip(b"\n"))
    if len(found) > 1 or ends > 1:
        raise RefusedError("the tag object holds more than one signature")
    if not signature.startswith(BEGIN_SIGNATURE) or not ends:
        raise RefusedError("the tag object needs one whole SSH signature at its very end")
    if not signature.endswith(b"\n" + END_SIGNATURE):
        raise RefusedError("the tag object goes on after its signature: nobody signed what follows")
    return data[:start], signature


def commit_payload(git: Git, tree: str, parent: str | None, message: bytes, *, time: int | None = None) -> bytes:
    """Return the bytes of an unsigned commit object by the configured committer, ready to be signed.

    Args:
        git: the repository, for the committer's identity.
        tree: id of its tree.
        parent: id of its parent, or None.
        message: text, ending in a newline.
        time: seconds since 1970; None for the clock's.
    """
    who = _identity(git, time)
    parents = b"parent %b\n" % parent.encode() if parent else b""
    return b"tree %b\n%bauthor %b\ncommitter %b\n\n%b" % (tree.encode(), parents, who, who, message)


def write_commit(git: Git, payload: bytes, signature: bytes) -> str:
    """Store a signed commit that no ref points to yet, and return its id."""
    head, _, message = payload.partition(b"\n\n")
    # git names the header after the repository's hash: ids of 64 digits are SHA-256.
    header = b"gpgsig-sha256" if len(head.split(b"\n", 1)[0]) == len("tree ") + 64 else b"gpgsig"
    folded = signature.rstrip(b"\n").replace(b"\n", b"\n ")
    data = b"%b\n%b %b\n\n%b" % (head, header, folded, message)
    return git.run("hash-object", "-t", "commit", "-w", "--stdin", stdin=data).decode().strip()


def parse_commit(data: bytes) -> CommitObject:
    """Parse the raw bytes of a commit of our own making.

    Raises:
        RefusedError: other headers than tree, parent, author, committer and, as the last one, a signature; or two
            parents.
    """
    head, separator, message = data.partition(b"\n\n")
    lines = head.split(b"\n")
    keys = [line.partition(b" ")[0] for line in lines]
    end = next((index for index, line in enumerate(lines) if line.startswith(_SIGNED)), len(lines))
    plain, folded = lines[:end], lines[end:]
    if keys[:end] not in ([b"tree", b"author", b"committer"], [b"tree", b"parent", b"author", b"committer"]):
        raise RefusedError("the commit has other headers than a decision has")
    if any(keys[end + 1 :]) or not separator:
        raise RefusedError("the commit has other headers than a decision has")
    values = dict(line.partition(b" ")[::2] for line in plain)
    idents = [_IDENT.fullmatch(values[key]) for key in (b"author", b"committer")]
    ids = [_OID.fullmatch(values[key]) for key in (b"tree", b"parent") if key in values]
    # A NUL hides from git what follows it.
    if idents[1] is None or not all(idents) or not all(ids) or b"\0" in data:
        raise RefusedError("the commit has a malformed header")
    return CommitObject(
        tree=values[b"tree"].decode(),
        parent=values[b"parent"].decode() if b"parent" in values else None,
        time=int(idents[1][1]),
        payload=b"\n".join(plain) + b"\n\n" + message,
        signature=b"".join(line.partition(b" ")[2] + b"\n" for line in folded),
    )
