"""Tag and decision objects: nothing is read that ``git mktag`` and ``git fsck`` would refuse."""

from __future__ import annotations

import re

from oracle import require

from promptops.repo import tagobject

SPLIT = None
OID = b"0123456789abcdef0123456789abcdef01234567"
SIGNATURE = b"-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----\n"
PIECES = (
    *[b"object " + OID, b"type commit", b"type tag", b"type x", b"tag prompt/a@v1.0.0", b"tag ", b"tagger A <a@b> 1 +0000"],
    *[b"tree " + OID, b"parent " + OID, b"author A <a@b> 1 +0000", b"committer A <a@b> 1 -0130", b"gpgsig ", b"gpgsig-sha256 "],
    *[b"\n", b"\n\n", b" ", b"\n ", b"\r\n", b"\0", b"<", b">", b" <", b"> ", b"0", b"00", b"-1", b"99999999999", b"+0000", b"-9999", b"+00000"],
    *[SIGNATURE, b"-----BEGIN SSH SIGNATURE-----", b"-----END SSH SIGNATURE-----\n", b"-----BEGIN PGP SIGNATURE-----"],
    *[b"-----BEGIN SIGNED MESSAGE-----", b"encoding x", b"mergetag ", OID, OID[:24], b"..", b"@{", b"~1", b".lock", b"//", b"-x", b"\x7f"],
    *[b"\xff", b"\xe2\x80\xae", b"HEAD", b"@"],
)  # fmt: skip
# git's fsck_ident, with its limits on the date left to the parser.
IDENT = re.compile(rb"(?!<)[^<>\n\0]* <[^<>\n\0]*> (0|[1-9][0-9]*) [+-][0-9]{4}")
_ID = re.compile(rb"[0-9a-f]{40}|[0-9a-f]{64}")
_ARMOUR = re.compile(rb"^-----BEGIN (?:SSH SIGNATURE|PGP SIGNATURE|PGP MESSAGE|SIGNED MESSAGE)-----", re.MULTILINE)
_FORBIDDEN = re.compile(rb"[\x00-\x20~^:?*\[\\\x7f]|\.\.|@\{|//|/\.|\.lock/|\.lock$|\.$|/$|^/|^\.|^$", re.DOTALL)


def target(data: bytes) -> None:
    """Parse as a commit where it begins like one, as a tag otherwise."""
    if data.startswith(b"tree "):
        _commit(data)
    else:
        _tag(data)


def _tag(data: bytes) -> None:
    found = tagobject.parse_tag(data)
    head = data[: data.index(b"\n\n")].split(b"\n")
    require(
        [line.split(b" ")[0] for line in head] == [b"object", b"type", b"tag", b"tagger"], "other headers than a tag's"
    )
    require(_ID.fullmatch(head[0][7:]) and found.target.encode() == head[0][7:], "the object's id is malformed")
    require(head[1][5:] in {b"commit", b"tree", b"blob", b"tag"}, "git knows no such type")
    require(legal_ref(b"refs/tags/" + head[2][4:]) and found.name.encode() == head[2][4:], "git takes no such tag name")
    ident = IDENT.fullmatch(head[3][7:])
    require(ident and int(ident[1]) == found.time, "git takes no such tagger")
    require(b"\0" not in data, "a NUL hides text")
    require(found.payload + found.signature == data, "other bytes are signed than stand in the object")
    require(found.payload.endswith(b"\n\n" + found.message) or not found.message, "the message is another")
    require(not _ARMOUR.search(found.payload), "a second signature stands in the signed text")
    if found.signature:
        require(
            found.signature.count(b"-----END SSH SIGNATURE-----") == 1 and data.endswith(tagobject.END_SIGNATURE),
            "bytes after the signature",
        )


def _commit(data: bytes) -> None:
    found = tagobject.parse_commit(data)
    head, separator, message = data.partition(b"\n\n")
    require(separator, "a commit without an end to its headers")
    require(b"\0" not in data, "a NUL hides text")
    lines = found.payload.partition(b"\n\n")[0].split(b"\n")
    require(lines[0] == b"tree " + found.tree.encode() and _ID.fullmatch(found.tree.encode()), "the tree is malformed")
    require(found.parent is None or lines[1] == b"parent " + found.parent.encode(), "the parent is malformed")
    require(all(IDENT.fullmatch(line.partition(b" ")[2]) for line in lines[-2:]), "git takes no such author")
    folded = found.signature[:-1].replace(b"\n", b"\n ")
    signed = [b"\n%b %b" % (name, folded) for name in (b"gpgsig", b"gpgsig-sha256")] if found.signature else [b""]
    require(head in [b"\n".join(lines) + each for each in signed], "other bytes are signed than stand in the object")
    require(found.payload.endswith(b"\n\n" + message), "the message is another")


def legal_ref(name: bytes) -> bool:
    """Return whether git takes ``name`` as a full ref (git-check-ref-format(1))."""
    return _FORBIDDEN.search(name) is None and not any(part.startswith(b".") for part in name.split(b"/"))
