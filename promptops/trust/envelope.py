"""DSSE v1.0.2 envelopes: a payload, its type, and signatures over both."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Any, NamedTuple

from promptops.errors import InputError, RefusedError
from promptops.registry import canonical
from promptops.trust import plain, sshsig

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_BYTES = 4 << 20
MAX_SIGNATURES = 32
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}|[A-Za-z0-9_-]*={0,2}")


class EnvelopeSignature(NamedTuple):
    """One signature: an armored SSH signature or a plain one, and a key id that is a hint and decides nothing."""

    signature: bytes
    keyid: str = ""


class Envelope(NamedTuple):
    """A DSSE envelope.

    Attributes:
        payload: the signed bytes.
        payload_type: their media type.
        signatures: over `pae`, armored SSH signatures or plain ones.
        source: the bytes that were parsed, or empty for an envelope made here.
    """

    payload: bytes
    payload_type: str
    signatures: tuple[EnvelopeSignature, ...]
    source: bytes = b""

    def pae(self) -> bytes:
        """Return the bytes that are signed."""
        return pae(self.payload_type, self.payload)

    def to_bytes(self) -> bytes:
        """Return the envelope as a file: the bytes it was read from, or canonical JSON and a newline."""
        if self.source:
            return self.source
        return (
            canonical.dumps(
                {
                    "payload": base64.b64encode(self.payload).decode(),
                    "payloadType": self.payload_type,
                    "signatures": [
                        {"keyid": each.keyid, "sig": base64.b64encode(each.signature).decode()}
                        for each in self.signatures
                    ],
                }
            )
            + b"\n"
        )

    @property
    def digest(self) -> str:
        """SHA-256 of the file's bytes, 64 hexadecimal digits: the envelope's address."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @property
    def payload_digest(self) -> str:
        """``sha256:<hex>`` of the payload: the statement's identity, whoever signs it."""
        return "sha256:" + hashlib.sha256(self.payload).hexdigest()

    def statement(self) -> Any:
        """Return the payload parsed strictly; meaningful only after a signature over these bytes was verified.

        Raises:
            RefusedError: the payload has another media type or is not strict JSON.
        """
        if self.payload_type != PAYLOAD_TYPE:
            raise RefusedError(f"envelope carries {self.payload_type!r}, not {PAYLOAD_TYPE}")
        try:
            return canonical.loads(self.payload, limit=MAX_BYTES)
        except InputError as error:
            raise RefusedError(f"payload: {error.message}") from error


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the pre-authentication encoding (DSSE v1.0.2, protocol.md, "Signature Definition").

    Lengths are those of the encoded bytes, in ASCII decimal.
    """
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(statement: dict[str, Any], signer: str, namespace: str) -> Envelope:
    """Return ``statement`` in an envelope signed by one key.

    Args:
        statement: an in-toto statement.
        signer: a signing key as `sshsig.sign` takes it, or ``kms:URI#FILE`` as `plain.sign` does.
        namespace: the SSH signature namespace, one for each role that a signature can play.
    """
    return add_signature(Envelope(canonical.dumps(statement), PAYLOAD_TYPE, ()), signer, namespace)


def add_signature(envelope: Envelope, signer: str, namespace: str) -> Envelope:
    """Return the same payload with one more signature."""
    if signer.startswith(sshsig.KMS):
        signature, public_key = plain.sign(envelope.pae(), signer)
    else:
        signature = sshsig.sign(envelope.pae(), signer, namespace)
        public_key = sshsig.parse(signature).public_key
    made = EnvelopeSignature(signature, sshsig.fingerprint(public_key))
    return Envelope(envelope.payload, envelope.payload_type, (*envelope.signatures, made))


def parse(data: bytes) -> Envelope:
    """Read an envelope strictly; nothing in it is trusted yet.

    Raises:
        InputError: oversized, malformed or ambiguous JSON, other members than DSSE's, or loose base64.
    """
    value = canonical.loads(data, limit=MAX_BYTES)
    if not isinstance(value, dict) or value.keys() != {"payload", "payloadType", "signatures"}:
        raise InputError("not a DSSE envelope: payload, payloadType and signatures are its members")
    signatures = value["signatures"]
    if not isinstance(value["payloadType"], str) or not isinstance(signatures, list):
        raise InputError("not a DSSE envelope: payloadType is text and signatures a list")
    # The type is signed as bytes; text that has none, such as half a surrogate pair, could not be.
    if not value["payloadType"].isascii():
        raise InputError("payloadType is no media type")
    if not 1 <= len(signatures) <= MAX_SIGNATURES:
        raise InputError(f"an envelope holds 1 to {MAX_SIGNATURES} signatures, this one {len(signatures)}")
    return Envelope(_decode(value["payload"]), value["payloadType"], tuple(map(_signature, signatures)), data)


def _signature(value: Any) -> EnvelopeSignature:
    if not isinstance(value, dict) or not {"sig"} <= value.keys() <= {"sig", "keyid"}:
        raise InputError("a signature of an envelope has the members sig and, as a hint, keyid")
    keyid = value.get("keyid", "")
    if not isinstance(keyid, str):
        raise InputError("keyid must be text")
    return EnvelopeSignature(_decode(value["sig"]), keyid)


def _decode(text: Any) -> bytes:
    # Python's decoder skips foreign characters, so two texts could carry one payload.
    if not isinstance(text, str) or not _BASE64.fullmatch(text):
        raise InputError("not base64")
    standard = text.replace("-", "+").replace("_", "/")
    try:
        decoded = base64.b64decode(standard, validate=True)
    except binascii.Error as error:
        raise InputError(f"not base64: {error}") from error
    # It also takes padding in excess and stray bits before it (RFC 4648, section 3.5).
    if base64.b64encode(decoded).decode() != standard:
        raise InputError("not base64 in its one form")
    return decoded
