"""The bundle: every envelope of a release as JSON lines, as they travel in the tag's message.

The form is an in-toto attestation bundle: one DSSE envelope per line. As a whole it is signed by nobody; the first
line is the release, whose manifest names all others by digest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from promptops.errors import RefusedError
from promptops.trust import envelope as envelopes
from promptops.trust.envelope import Envelope

if TYPE_CHECKING:
    from collections.abc import Iterable

BEGIN = b"-----BEGIN PROMPTOPS BUNDLE-----\n"
END = b"-----END PROMPTOPS BUNDLE-----\n"
MAX_BYTES = 8 << 20
MAX_ENVELOPES = 1000


class Bundle(NamedTuple):
    """Envelopes of a release: the first one, and the others by digest (SHA-256, hex)."""

    first: Envelope
    others: dict[str, Envelope]


def compact(envelope: Envelope) -> Envelope:
    """Return an envelope in the one-line form that a bundle can carry, whatever layout its file has."""
    return Envelope(envelope.payload, envelope.payload_type, envelope.signatures)


def encode(items: Iterable[Envelope]) -> bytes:
    """Return envelopes as JSON lines; their digests are those of their `compact` form."""
    return b"".join(compact(item).to_bytes() for item in items)


def embed(text: str, items: Iterable[Envelope]) -> bytes:
    """Return a tag message: a text for people, then the bundle between its markers."""
    return text.rstrip("\n").encode() + b"\n\n" + BEGIN + encode(items) + END


def extract(message: bytes) -> bytes:
    """Return the JSON lines in a tag message.

    Raises:
        RefusedError: the message does not end in exactly one bundle.
    """
    start = message.find(b"\n" + BEGIN)
    if start < 0:
        raise RefusedError("the tag carries no bundle", hint="it was not made by promptops release")
    body = message[start + 1 + len(BEGIN) :]
    if not body.endswith(b"\n" + END) or b"-----" in body[: -len(END)]:
        raise RefusedError("the tag's message must end in exactly one bundle")
    return body[: -len(END)]


def parse(lines: bytes) -> Bundle:
    """Parse a bundle's JSON lines; no signature is checked here.

    Raises:
        RefusedError: too large, empty, an envelope twice, or one of another type.
        InputError: a line is no DSSE envelope.
    """
    if len(lines) > MAX_BYTES:
        raise RefusedError(f"the bundle has {len(lines):,} bytes, more than {MAX_BYTES:,}")
    rows = lines.removesuffix(b"\n").split(b"\n")
    if len(rows) > MAX_ENVELOPES:
        raise RefusedError(f"the bundle has more than {MAX_ENVELOPES} envelopes")
    first, *rest = [envelopes.parse(row + b"\n") for row in rows]
    foreign = next((item.payload_type for item in (first, *rest) if item.payload_type != envelopes.PAYLOAD_TYPE), None)
    if foreign is not None:
        raise RefusedError(f"the bundle holds an envelope of {foreign!r}, not of {envelopes.PAYLOAD_TYPE}")
    others = {item.digest: item for item in rest}
    if len(others) != len(rest) or first.digest in others:
        raise RefusedError("the bundle holds an envelope twice")
    return Bundle(first, others)
