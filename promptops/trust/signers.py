"""Reading allowed signers and revoked keys: the part of OpenSSH's format in which one key is one name."""

from __future__ import annotations

import base64
import binascii
import os
import re
import struct
from typing import NamedTuple

from promptops.errors import InputError, PromptopsError

ALLOWED = ".promptops/allowed_signers"
REVOKED = ".promptops/revoked_keys"
# The verifier's own list of revoked keys, united with the repository's.
REVOKED_VARIABLE = "PROMPTOPS_REVOKED_KEYS"
KEY_TYPES = (
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
)
MIN_RSA_BITS = 3072

_LINE = re.compile(r'(?P<principal>\S+)[ \t]+(?:(?P<options>[a-z-]+(?:="[^"]*")?(?:,[a-z-]+(?:="[^"]*")?)*)[ \t]+)?'
                   r"(?P<type>[a-z0-9@.-]+)[ \t]+(?P<key>[A-Za-z0-9+/]+=*)(?:[ \t]+.*)?")  # fmt: skip
_OPTION = re.compile(r'([a-z-]+)(?:="([^"]*)")?')
_KEY = re.compile(r"(?P<type>[a-z0-9@.-]+)[ \t]+(?P<key>[A-Za-z0-9+/]+=*)(?:[ \t]+.*)?")
_OPTIONS = frozenset({"namespaces", "valid-after", "valid-before"})
# ssh-keygen(1), ALLOWED SIGNERS: YYYYMMDD, or with HHMM or HHMMSS.
_DATE = re.compile(r"[0-9]{8}(?:[0-9]{4}(?:[0-9]{2})?)?Z?")
_UNSAFE_PRINCIPAL = re.compile(r'[*?!,"\'\\]')
_UNSAFE_NAMESPACE = re.compile(r"[*?!\s]")
# A SubjectPublicKeyInfo up to the key itself: RFC 8410, section 4; RFC 5480, section 2.
_SPKI = {
    "ssh-ed25519": bytes.fromhex("302a300506032b6570032100"),
    "ecdsa-sha2-nistp256": bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200"),
}
PLAIN_TYPES = tuple(_SPKI)
_BEGIN, _END = "-----BEGIN PUBLIC KEY-----\n", "-----END PUBLIC KEY-----\n"


class Signer(NamedTuple):
    """One line of an allowed signers file.

    Attributes:
        number: 1-based line number.
        principal: the one name of the key.
        namespaces: what its signatures may be for.
        public_key: the key's canonical wire form.
        dated: whether the key counts for a time only.
    """

    number: int
    principal: str
    namespaces: tuple[str, ...]
    public_key: bytes
    dated: bool = False


def parse(data: bytes, path: str = ALLOWED) -> list[Signer]:
    """Return the lines of an allowed signers file.

    Raises:
        InputError: at the first line that could give a key two names, a name two readings, or a key every role.
    """
    found: list[Signer] = []
    for number, line in _lines(data, path):
        signer = _signer(number, line, path)
        same = next((other for other in found if other.public_key == signer.public_key), None)
        if same is not None:
            raise InputError(
                f"the key of {same.principal} (line {same.number}) stands here again: one key is one person",
                hint="remove one of the two lines",
                path=path,
                line=number,
            )
        found.append(signer)
    return found


def find(lines: list[Signer], public_key: bytes) -> Signer | None:
    """Return the line of a key, or None."""
    return next((line for line in lines if line.public_key == public_key), None)


def revoked(data: bytes, path: str = REVOKED) -> set[bytes]:
    """Return the canonical wire forms in a list of revoked keys.

    Raises:
        InputError: a line is not a public key, or the file is a binary revocation list.
    """
    if data.startswith(b"SSHKRL"):
        raise InputError("binary revocation lists are not read", hint="list the public keys, one a line", path=path)
    found = set()
    for number, line in _lines(data, path):
        match = _KEY.fullmatch(line)
        if match is None:
            raise InputError("not a public key", hint="one a line: ssh-ed25519 AAAA...", path=path, line=number)
        found.add(_key(match["type"], match["key"], path, number))
    return found


def key_in(text: str) -> bytes | None:
    """Return the canonical wire form of the first public key in the text of a ``.pub`` file, or None."""
    for line in text.splitlines():
        match = _KEY.fullmatch(line.strip())
        if match and match["type"] in KEY_TYPES:
            return _key(match["type"], match["key"], "", 0)
    return None


def key_text(public_key: bytes) -> str:
    """Return a key as ``ssh-ed25519 AAAA...``."""
    return f"{read_string(public_key)[0].decode()} {base64.b64encode(public_key).decode()}"


def key_type(public_key: bytes) -> str:
    """Return a key's type as OpenSSH names it."""
    return read_string(public_key)[0].decode()


def to_pem(public_key: bytes) -> str:
    """Return a key's wire form as the PEM text that everything but OpenSSH reads.

    Raises:
        InputError: keys of this type make no plain signatures.
    """
    try:
        kind, rest = read_string(public_key)
        header = _SPKI[kind.decode()]
        key, _ = read_string(rest if kind == b"ssh-ed25519" else read_string(rest)[1])
    except (KeyError, struct.error, UnicodeDecodeError) as error:
        raise InputError("a key of this type makes no plain signatures", hint=f"one of: {', '.join(_SPKI)}") from error
    return _BEGIN + base64.b64encode(header + key).decode() + "\n" + _END


def from_pem(text: str) -> bytes | None:
    """Return the wire form of the ed25519 or P-256 key in a PEM text, or None."""
    _, found, rest = text.replace("\r", "").partition(_BEGIN)
    try:
        der = base64.b64decode("".join(rest.partition(_END.rstrip("\n"))[0].split()), validate=True) if found else b""
    except binascii.Error:
        return None
    for kind, header in _SPKI.items():
        curve = [] if kind == "ssh-ed25519" else [b"nistp256"]
        if der.startswith(header) and len(der) == len(header) + (65 if curve else 32):
            return b"".join(map(string, (kind.encode(), *curve, der.removeprefix(header))))
    return None


def canonical_key(public_key: bytes) -> bytes:
    """Return the one wire form of a key: RSA numbers lose leading zeros, everything else has one form already.

    Raises:
        struct.error: malformed.
    """
    kind, rest = read_string(public_key)
    if kind != b"ssh-rsa":
        return public_key
    exponent, rest = read_string(rest)
    modulus, rest = read_string(rest)
    if rest:
        raise struct.error("trailing bytes")
    return b"".join(string(part) for part in (kind, _positive(exponent), _positive(modulus)))


def rsa_bits(public_key: bytes) -> int | None:
    """Return the length of an RSA key's modulus in bits, or None for another type."""
    kind, rest = read_string(public_key)
    if kind != b"ssh-rsa":
        return None
    modulus = read_string(read_string(rest)[1])[0]
    return int.from_bytes(modulus).bit_length()


def read_string(data: bytes) -> tuple[bytes, bytes]:
    """Return the first length-prefixed string (RFC 4251, section 5) and what follows it.

    Raises:
        struct.error: too short.
    """
    (length,) = struct.unpack_from(">I", data)
    if length > len(data) - 4:
        raise struct.error("string is longer than the data")
    return data[4 : 4 + length], data[4 + length :]


def string(data: bytes) -> bytes:
    """Return a length-prefixed string (RFC 4251, section 5)."""
    return struct.pack(">I", len(data)) + data


def _positive(number: bytes) -> bytes:
    stripped = number.lstrip(b"\0")
    return b"\0" + stripped if stripped[:1] > b"\x7f" else stripped


def _lines(data: bytes, path: str) -> list[tuple[int, str]]:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8 text", path=path, line=data.count(b"\n", 0, error.start) + 1) from error
    # Only the line ends that OpenSSH knows; str.splitlines knows more.
    lines = [(number, line.strip(" \t\r")) for number, line in enumerate(text.split("\n"), 1)]
    return [(number, line) for number, line in lines if line and not line.startswith("#")]


def _signer(number: int, line: str, path: str) -> Signer:
    match = _LINE.fullmatch(line)
    if match is None:
        message, hint = "not a line of allowed signers", 'NAME namespaces="git,..." ssh-ed25519 AAAA...'
        raise InputError(message, hint=hint, path=path, line=number)
    if _UNSAFE_PRINCIPAL.search(match["principal"]):
        message = f"{match['principal']} is a pattern or a list: one key could be several people"
        raise InputError(message, hint="one plain name a line", path=path, line=number)
    options = dict(_OPTION.findall(match["options"] or ""))
    if unknown := options.keys() - _OPTIONS:
        message = f"option {min(unknown)} is not supported"
        raise InputError(message, hint=f"allowed: {', '.join(sorted(_OPTIONS))}", path=path, line=number)
    for name in sorted(options.keys() - {"namespaces"}):
        if not _DATE.fullmatch(options[name]):
            message, hint = f"{name} is no date: {options[name]!r}", 'write it as "20300101" or "20300101120000Z"'
            raise InputError(message, hint=hint, path=path, line=number)
    namespaces = tuple(options.get("namespaces", "").split(","))
    if not all(namespaces) or any(map(_UNSAFE_NAMESPACE.search, namespaces)):
        message = f"{match['principal']} may sign for anything: namespaces= must list what for"
        raise InputError(message, hint='namespaces="git,request.v1@promptops,..."', path=path, line=number)
    key = _key(match["type"], match["key"], path, number)
    return Signer(number, match["principal"], namespaces, key, bool(options.keys() - {"namespaces"}))


def _key(kind: str, text: str, path: str, number: int) -> bytes:
    if kind not in KEY_TYPES:
        hint = f"one of: {', '.join(KEY_TYPES)}"
        raise InputError(f"key type {kind} is not accepted", hint=hint, path=path or None, line=number or None)
    try:
        wire = canonical_key(base64.b64decode(text, validate=True))
        if read_string(wire)[0].decode() == kind:
            return wire
    except (binascii.Error, struct.error, UnicodeDecodeError):
        pass
    raise InputError("public key is malformed", path=path or None, line=number or None)


def own_revocations() -> bytes:
    """Return the verifier's own list of revoked keys, empty where none is named.

    Raises:
        PromptopsError: it cannot be read.
    """
    path = os.environ.get(REVOKED_VARIABLE)
    if not path:
        return b""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        message = f"the list of revoked keys that {REVOKED_VARIABLE} names cannot be read: {error.strerror}"
        raise PromptopsError(message, path=path) from error
