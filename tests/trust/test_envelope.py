from __future__ import annotations

import base64
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import make_repo

from promptops.errors import InputError, RefusedError
from promptops.trust import envelope, sshsig, statement

STATEMENT = statement.build(statement.REQUEST, [{"name": "a", "digest": {"sha256": "0" * 64}}], {"seed": 2**53 - 1})


def document(**changes):
    value = {
        "payload": base64.b64encode(b"{}").decode(),
        "payloadType": envelope.PAYLOAD_TYPE,
        "signatures": [{"keyid": "k", "sig": base64.b64encode(b"s").decode()}],
    }
    return json.dumps(value | changes).encode()


@pytest.mark.parametrize(
    ("kind", "payload", "expected"),
    [
        # The examples of the DSSE specification (protocol.md) and of its implementations.
        ("http://example.com/HelloWorld", b"hello world", b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"),
        ("", b"", b"DSSEv1 0  0 "),
        ("é", "é".encode(), "DSSEv1 2 é 2 é".encode()),
    ],
)
def test_pre_authentication_encoding(kind, payload, expected):
    assert envelope.pae(kind, payload) == expected


def test_round_trip_keeps_payload_and_address(tmp_path):
    repo = make_repo(tmp_path, ("alice",))
    made = envelope.sign(STATEMENT, str(repo.key("alice")), sshsig.REQUEST)
    read = envelope.parse(made.to_bytes())
    assert (read.payload, read.digest) == (made.payload, made.digest)
    assert read.statement() == STATEMENT
    assert b"9007199254740991" in read.payload


def test_both_base64_alphabets_are_read():
    payload = b"\xfb\xff\xfe"
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        assert envelope.parse(document(payload=encode(payload).decode())).payload == payload


def test_keyid_is_optional():
    assert envelope.parse(document(signatures=[{"sig": "cw=="}])).signatures[0].keyid == ""


@pytest.mark.parametrize(
    "data",
    [
        document(payload="e30=\n"),
        document(payload="e3 0="),
        document(payload="e3-0/w=="),
        document(payload="e30"),
        document(payload="QR=="),
        document(payload="QUJD="),
        document(payloadType="\ud800"),
        document(payload=None),
        document(payloadType=1),
        document(signatures=[]),
        document(signatures=[{"sig": "cw=="}] * (envelope.MAX_SIGNATURES + 1)),
        document(signatures=[{"keyid": "k"}]),
        document(signatures=[{"sig": "cw==", "cert": "x"}]),
        document(extra=1),
        document()[:-1] + b', "payload": "e30="}',
        document()[:-1] + b', "Payload": "e30="}',
        document() + b"{}",
        b"[]",
        b"",
        b" " * (envelope.MAX_BYTES + 1),
    ],
)
def test_ambiguous_or_malformed_envelopes_are_refused(data):
    with pytest.raises(InputError):
        envelope.parse(data)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_parser(data):
    with contextlib.suppress(InputError):
        envelope.parse(data)


@pytest.mark.parametrize("payload", [b'{"a":1,"a":2}', b'{"a":NaN}', b"\xff", b"", b'{"a":9007199254740993}'])
def test_payload_is_parsed_strictly(payload):
    with pytest.raises(RefusedError):
        envelope.Envelope(payload, envelope.PAYLOAD_TYPE, ()).statement()


def test_other_payload_types_are_no_statements():
    with pytest.raises(RefusedError, match="text/plain"):
        envelope.Envelope(b"{}", "text/plain", ()).statement()


@pytest.mark.parametrize(
    "change",
    [
        {"_type": "https://in-toto.io/Statement/v0.1"},
        {"predicateType": statement.APPROVAL},
        {"subject": []},
        {"subject": [{"name": "a"}]},
        {"subject": [{"name": "a", "digest": {"sha256": "ZZ"}}]},
        {"subject": [{"name": "a", "digest": {"gitCommit": "0" * 40}}]},
        {"predicate": None},
        {"more": 1},
    ],
)
def test_only_the_expected_statement_passes(change):
    assert statement.check(STATEMENT, statement.REQUEST) == STATEMENT
    with pytest.raises(RefusedError):
        statement.check(STATEMENT | change, statement.REQUEST)
