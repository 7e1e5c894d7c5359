"""Envelopes: strict JSON with DSSE's members and base64 that has one form only."""

from __future__ import annotations

import base64
import contextlib
from typing import Any

from oracle import ViolationError, require, same, strict_json

from promptops.errors import RefusedError
from promptops.trust import envelope

SPLIT = b""
PIECES = (
    *[b'"payload":', b'"payloadType":', b'"signatures":', b'"sig":', b'"keyid":', b'"Payload":', b'"extra":1,', b'"'],
    *[
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"null",
        b"true",
        b"NaN",
        b"1e999",
        b"-0",
        b"9007199254740993",
        b'""',
        b"e30=",
    ],
    *[
        b"=",
        b"==",
        b"===",
        b"-",
        b"_",
        b"+",
        b"/",
        b"AA==",
        b"AB==",
        b"QUI=",
        b"QUJD=",
        b"\\u0000",
        b"\\ud800",
        b"\\u0041",
    ],
    *[b"\n", b"\t", b" ", b"\x00", b"\xef\xbb\xbf", b"\xff", b"\xe2\x80\x8b", b"application/vnd.in-toto+json"],
)


def target(data: bytes) -> None:
    """Parse, and hold the result against the standard library."""
    found = envelope.parse(data)
    try:
        value = strict_json(data)
        payload = _decoded(value["payload"])
        signatures = [(_decoded(each["sig"]), each.get("keyid", "")) for each in value["signatures"]]
    except (ValueError, TypeError, KeyError) as error:
        raise ViolationError(f"accepted what is no envelope: {error!r:.150}") from error
    require(found.payload == payload and found.payload_type == value["payloadType"], "the payload is another")
    require([tuple(each) for each in found.signatures] == signatures, "the signatures are others")
    require(found.to_bytes() == data, "the envelope's address is not that of its bytes")
    kind = value["payloadType"].encode()
    wanted = b"DSSEv1 " + b" ".join([str(len(kind)).encode(), kind, str(len(payload)).encode(), payload])
    require(found.pae() == wanted, "other bytes are signed")
    again = envelope.parse(found._replace(source=b"").to_bytes())
    require(again._replace(source=b"") == found._replace(source=b""), "written and read again it is another")
    # What no signature covers yet is refused or read; either way without a crash.
    with contextlib.suppress(RefusedError):
        require(same(found.statement(), strict_json(payload)), "the statement is another")


def _decoded(text: Any) -> bytes:
    decoded = base64.b64decode(text, altchars=b"-_" if set(text) & {"-", "_"} else None, validate=True)
    again = base64.b64encode(decoded).decode()
    if text.replace("-", "+").replace("_", "/") != again:
        raise ValueError("base64 in another than its one form")
    return decoded
