"""Verifiers that nobody here wrote agree with ours about good and bad signatures, each as far as it reaches."""

from __future__ import annotations

import base64
import hashlib
import struct
import subprocess
from typing import NamedTuple

import pytest
from independent import RAW
from support import make_repo

from promptops.errors import RefusedError
from promptops.repo import tagobject
from promptops.repo.git import Git
from promptops.trust import envelope, sshsig, statement

STATEMENT = statement.build(statement.APPROVAL, [{"name": "a", "digest": {"sha256": "0" * 64}}], {"seed": 7})
# SubjectPublicKeyInfo (RFC 8410, RFC 5480) up to the key itself.
ED25519 = bytes.fromhex("302a300506032b6570032100")
P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")


class Claim(NamedTuple):
    """What a verifier is asked: is this armored signature over these bytes, for this purpose, by this key?"""

    data: bytes
    signature: bytes
    namespace: str
    public: str


def strings(data):
    """The length-prefixed strings (RFC 4251) that bytes consist of."""
    found = []
    while data:
        (length,) = struct.unpack_from(">I", data)
        found.append(data[4 : 4 + length])
        data = data[4 + length :]
    return found


def string(data):
    return struct.pack(">I", len(data)) + data


def pem(public):
    kind, *rest = strings(base64.b64decode(public.split()[1]))
    der = ED25519 + rest[0] if kind == b"ssh-ed25519" else P256 + rest[1]
    return f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(der).decode()}\n-----END PUBLIC KEY-----\n"


def integer(number):
    return b"\x02" + bytes([len(number)]) + number


def unwrapped(claim):
    """What is signed inside an SSH signature (PROTOCOL.sshsig), and the bare signature; None where it is another key's."""
    body = b"".join(claim.signature.splitlines()[1:-1])
    key, _, reserved, algorithm, made = strings(base64.b64decode(body)[10:])
    if key != base64.b64decode(claim.public.split()[1]):
        return None
    digest = hashlib.new(algorithm.decode(), claim.data).digest()
    parts = (claim.namespace.encode(), reserved, algorithm, digest)
    kind, bare = strings(made)
    if kind != b"ssh-ed25519":
        numbers = b"".join(map(integer, strings(bare)))
        bare = b"\x30" + bytes([len(numbers)]) + numbers
    return b"SSHSIG" + b"".join(map(string, parts)), bare


def ours(claim, folder):
    line = f'alice namespaces="{claim.namespace}" {claim.public}\n'.encode()
    try:
        sshsig.verify(claim.data, claim.signature, namespace=claim.namespace, allowed_signers=line, revoked=b"")
    except RefusedError:
        return False
    return True


def ssh_keygen(claim, folder):
    (folder / "allowed").write_text(f'alice namespaces="{claim.namespace}" {claim.public}\n')
    (folder / "sig").write_bytes(claim.signature)
    command = ["ssh-keygen", "-Y", "verify", "-f", "allowed", "-I", "alice", "-n", claim.namespace, "-s", "sig"]
    return not subprocess.run(command, cwd=folder, input=claim.data, capture_output=True, check=False).returncode


def python_sshsig(claim, folder):
    import sshsig as other

    try:
        key = other.PublicKey.from_openssh_str(claim.public)
        other.verify(claim.data, claim.signature, [key], claim.namespace)
    except other.InvalidSignature:
        return False
    return True


def inside(verify):
    """A verifier of bare signatures, applied to what an SSH signature signs."""

    def check(claim, folder):
        found = unwrapped(claim)
        return found is not None and verify(*found, pem(claim.public), folder)

    return check


VERIFIERS = [ours, ssh_keygen, *(pytest.param(inside(each.values[0]), marks=each.marks, id=each.id) for each in RAW)]


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    repo = make_repo(tmp_path_factory.mktemp("people"), ("alice", "mallory"))
    for name in ("alice-p256", "mallory-p256"):
        path = repo.home / "keys" / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-b", "256", "-N", "", "-f", str(path)], check=True)
    return repo


def claims(people, kind):
    """A good claim, and bad ones, by name."""
    alice, mallory = f"alice{kind}", f"mallory{kind}"
    made = envelope.sign(STATEMENT, str(people.key(alice)), sshsig.APPROVAL)
    good = Claim(made.pae(), made.signatures[0].signature, sshsig.APPROVAL, people.public_key(alice))
    lines = good.signature.splitlines(keepends=True)
    blob = bytearray(base64.b64decode(b"".join(lines[1:-1])))
    blob[-1] ^= 1
    flipped = lines[0] + base64.b64encode(bytes(blob)) + b"\n" + lines[-1]
    return {
        "good": good,
        "other payload": good._replace(data=good.data.replace(b'"seed":7', b'"seed":8')),
        "other type": good._replace(data=envelope.pae("application/json", made.payload)),
        "other namespace": good._replace(namespace=sshsig.RELEASE),
        "other key": good._replace(public=people.public_key(mallory)),
        "flipped bit": good._replace(signature=flipped),
        "other signer": good._replace(signature=sshsig.sign(good.data, str(people.key(mallory)), sshsig.APPROVAL)),
    }


@pytest.mark.parametrize("kind", ["", "-p256"], ids=["ed25519", "p256"])
@pytest.mark.parametrize("verify", VERIFIERS)
def test_verifiers_agree_about_ssh_signatures(people, tmp_path, verify, kind):
    judged = {name: verify(claim, tmp_path) for name, claim in claims(people, kind).items()}
    assert judged == {name: name == "good" for name in judged}


def test_sshsig_of_python_agrees(people, tmp_path):
    judged = {name: python_sshsig(claim, tmp_path) for name, claim in claims(people, "").items()}
    assert judged == {name: name == "good" for name in judged}


def test_pre_authentication_encodings_agree():
    from securesystemslib.dsse import Envelope

    for kind, payload in (("", b""), ("application/vnd.in-toto+json", b"{}"), ("é", "é\n".encode()), ("x", b"\0" * 70)):
        assert envelope.pae(kind, payload) == Envelope(payload, kind, {}).pae()


def test_git_agrees_about_tags(people, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", people.env()["GIT_CONFIG_GLOBAL"])
    if people.git("rev-parse", "-q", "--verify", "HEAD", check=None) == "":
        people.commit("Start")
    allowed = f'alice namespaces="git" {people.public_key("alice")}\n'
    (tmp_path / "allowed").write_text(allowed)
    with Git(str(people.root)) as git:
        payload = tagobject.tag_payload(git, git.commit("HEAD"), "commit", "v1", b"One\n")
        good = payload + sshsig.sign(payload, str(people.key("alice")), sshsig.GIT)
        cases = {
            "good": good,
            "other text": good.replace(b"\nOne\n", b"\nTwo\n"),
            "other signer": payload + sshsig.sign(payload, str(people.key("mallory")), sshsig.GIT),
            "other namespace": payload + sshsig.sign(payload, str(people.key("alice")), sshsig.RELEASE),
            "unsigned": payload,
        }
        for name, data in cases.items():
            oid = tagobject.write_tag(git, data)
            settings = ["-c", f"gpg.ssh.allowedSignersFile={tmp_path / 'allowed'}"]
            stock = not git.try_run(*settings, "verify-tag", oid).returncode
            parsed = tagobject.parse_tag(data)
            claim = Claim(parsed.payload, parsed.signature, sshsig.GIT, people.public_key("alice"))
            assert (stock, ours(claim, tmp_path)) == (name == "good", name == "good"), name
