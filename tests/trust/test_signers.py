from __future__ import annotations

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import make_repo

from promptops.errors import InputError
from promptops.trust import signers


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    repo = make_repo(tmp_path_factory.mktemp("keys"))
    return repo.public_key("alice"), repo.public_key("bob")


def test_lines_are_read(keys):
    text = f'# people\n\na@x namespaces="git,r" {keys[0]} laptop\r\n a@x namespaces="git",valid-before="20300101" {keys[1]}\n'
    first, second = signers.parse(text.encode())
    assert (first.number, first.principal, first.namespaces) == (3, "a@x", ("git", "r"))
    assert second.namespaces == ("git",)
    assert signers.key_text(first.public_key) == keys[0]
    assert signers.find([first, second], second.public_key) == second


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('*@example.org namespaces="git" {0}', "pattern or a list"),
        ('a@x,b@x namespaces="git" {0}', "pattern or a list"),
        ('!a@x namespaces="git" {0}', "pattern or a list"),
        ("a@x {0}", "may sign for anything"),
        ('a@x namespaces="*" {0}', "may sign for anything"),
        ('a@x namespaces="git,!release" {0}', "may sign for anything"),
        ('a@x namespaces="" {0}', "may sign for anything"),
        ('a@x cert-authority,namespaces="git" {0}', "cert-authority is not supported"),
        ('a@x namespaces="git",valid-before="soon" {0}', "valid-before is no date"),
        ('a@x namespaces="git",valid-after {0}', "valid-after is no date"),
        ('a@x namespaces="git" ssh-dss AAAAB3NzaC1kc3M=', "not accepted"),
        ('a@x namespaces="git" ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIOfs', "malformed"),
        ('a@x namespaces="git" ssh-ed25519 AAAA', "malformed"),
        ("just words", "not a line"),
        ('b@x namespaces="git" {0}\na@x namespaces="git" {0}', "one key is one person"),
        ('b@x namespaces="git" {0}\nb@x namespaces="release" {0}', "one key is one person"),
    ],
)
def test_lines_with_two_meanings_are_refused(keys, line, reason):
    with pytest.raises(InputError, match=reason) as caught:
        signers.parse(line.format(*keys).encode())
    assert caught.value.line == line.count("\n") + 1


def test_one_rsa_key_in_two_encodings_is_one_key():
    def wire(modulus):
        return b"".join(len(part).to_bytes(4) + part for part in (b"ssh-rsa", b"\x01\x00\x01", modulus))

    plain, padded = wire(b"\x00" + b"\xc1" * 256), wire(b"\x00\x00\x00" + b"\xc1" * 256)
    assert signers.canonical_key(padded) == plain
    text = "".join(
        f'p{n} namespaces="git" ssh-rsa {base64.b64encode(key).decode()}\n' for n, key in enumerate((plain, padded))
    )
    with pytest.raises(InputError, match="one key is one person"):
        signers.parse(text.encode())
    assert signers.rsa_bits(plain) == 2048


@given(st.binary(max_size=120))
def test_no_bytes_break_the_readers(data):
    for read in (signers.parse, signers.revoked):
        with contextlib.suppress(InputError):
            read(data)
