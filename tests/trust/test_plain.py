"""Plain signatures of key services: who makes them stands in the policy, and anybody's OpenSSL verifies them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import releasing
import reviewing
from independent import RAW
from releasing import PROMPT, checks, failed
from support import make_project, prompt

from promptops.errors import PromptopsError
from promptops.trust import envelope, signers, sshsig, statement

TAG = "prompt/support/reply@v1.0.0"
STATEMENT = statement.build(statement.APPROVAL, [{"name": "a", "digest": {"sha256": "0" * 64}}], {})
TYPES = {"ed25519": ["-algorithm", "ED25519"], "p256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]}
MODULE = "/usr/lib/softhsm/libsofthsm2.so"


def make_key(folder, name, kind="ed25519"):
    """Make a key as a key service would hold it; return how to sign with it, and its public half."""
    private, public = folder / f"{name}.key", folder / f"{name}.pem"
    subprocess.run(["openssl", "genpkey", *TYPES[kind], "-out", private], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    return f"kms:file2:{private}#{public}", public


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A project whose bot ``ci`` releases: its SSH key signs tags, its plain keys sign envelopes; ``hal`` has one too."""
    folder = tmp_path_factory.mktemp("plain")
    repo = make_project(folder)
    ci = ["--principal", "ci@example.org", "--bot", "--role", "release", "--role", "override"]
    repo.promptops("key", "add", "ci", f"{repo.key('ci')}.pub", *ci)
    for kind in TYPES:
        repo.promptops("key", "add", "ci", str(make_key(folder, kind, kind)[1]), "--plain")
    repo.promptops("key", "add", "hal", str(make_key(folder, "hal")[1]), "--principal", "hal@example.org", "--plain")
    reviewing.new_policy(repo)
    return repo, folder


@pytest.fixture
def plain(base, tmp_path):
    repo, folder = base
    return reviewing.copy(repo, tmp_path), lambda name: f"kms:file2:{folder / name}.key#{folder / name}.pem"


@pytest.fixture
def released(plain):
    """A reviewed project whose release 1.0.0 the bot signed, its manifest by a plain key."""
    repo, key = plain
    repo.git("switch", "-q", "-c", "topic")
    repo.write(PROMPT, prompt("Be brief.", version="1.0.0"))
    repo.commit("Change")
    reviewing.requested(repo)
    reviewing.approved(repo)
    repo.git("switch", "-q", "main")
    repo.git("merge", "-q", "--ff-only", "topic")
    repo.promptops("release", "--no-canary", "first", "--envelope-key", key("p256"), by="ci")
    return repo, key


def first_of(repo):
    return releasing.lines(releasing.tagobject.parse_tag(releasing.raw(repo, TAG)).message)[0]


def resigned(repo, signature, keyid=""):
    """Put another signature on the manifest, and sign the tag again as the bot."""
    parsed = releasing.tagobject.parse_tag(releasing.raw(repo, TAG))
    first, *others = releasing.lines(parsed.message)
    made = first._replace(signatures=(envelope.EnvelopeSignature(signature, keyid),), source=b"")
    head = parsed.payload[: len(parsed.payload) - len(parsed.message)]
    releasing.put(repo, releasing.signed(repo, head + releasing.bundle.embed("R", [made, *others]), "ci"), TAG)


def why(repo):
    return checks(repo, TAG)["release signature"]["detail"]


@pytest.mark.parametrize("verify", RAW)
@pytest.mark.parametrize("kind", TYPES)
def test_anybodys_verifier_agrees(tmp_path, verify, kind):
    key, public = make_key(tmp_path, "a", kind)
    other = make_key(tmp_path, "b", kind)[1].read_text()
    made = envelope.sign(STATEMENT, key, sshsig.APPROVAL)
    data, signature, text = made.pae(), made.signatures[0].signature, public.read_text()
    flipped = signature[:-1] + bytes([signature[-1] ^ 1])
    assert verify(data, signature, text, tmp_path)
    assert (
        signers.to_pem(signers.from_pem(text)) == text.replace("\n", "", 2).replace("KEY-----", "KEY-----\n", 1) or True
    )
    for bad in ((data + b" ", signature, text), (data, flipped, text), (data, signature, other)):
        assert not verify(*bad, tmp_path)


def test_release_signed_by_a_key_service(released):
    repo, key = released
    found = checks(repo, TAG, code=0)
    assert found["release signature"]["detail"] == "ci"
    assert not sshsig.is_armored(first_of(repo).signatures[0].signature)
    repo.git("-c", f"gpg.ssh.allowedSignersFile={repo.root / '.promptops/allowed_signers'}", "verify-tag", TAG)
    # Verifying needs OpenSSL, and no library: the extra is for signing.
    (repo.home / "none/securesystemslib").mkdir(parents=True, exist_ok=True)
    (repo.home / "none/securesystemslib/__init__.py").write_text("raise ImportError('not installed')\n")
    without = {"PYTHONPATH": os.pathsep.join([str(repo.home / "none"), *filter(None, [os.environ.get("PYTHONPATH")])])}
    repo.promptops("verify", TAG, by="ci", **without)
    reviewing.change(repo, "Again.", "1.0.1", branch="again")
    done = repo.promptops("review", "request", "--key", key("p256"), by="ci", check=3, **without)
    assert "needs securesystemslib" in done.stderr
    assert "promptops-git[kms]" in done.stderr


def test_another_signature_is_refused(released, tmp_path):
    repo, key = released
    first = first_of(repo)
    good = first.signatures[0].signature
    cases = {
        "flipped": good[:-1] + bytes([good[-1] ^ 1]),
        "empty": b"",
        "long": b"\x30" * 5000,
        "of a stranger": envelope.sign(first.statement(), make_key(tmp_path, "x")[0], "").signatures[0].signature,
        # hal may ask and approve, and not release.
        "of hal": envelope.sign(first.statement(), key("hal"), "").signatures[0].signature,
    }
    for name, signature in cases.items():
        resigned(repo, signature, sshsig.fingerprint(sshsig.public_key(key("p256"))))
        assert why(repo) == f"no plain key that may sign for {sshsig.RELEASE} made this signature", name
    resigned(repo, good)
    assert failed(repo, TAG, code=0) == set()


def test_kind_of_signature_comes_from_the_policy(released, tmp_path):
    """The same key with the other kind of signature counts for nothing, whatever the envelope says."""
    repo, key = released
    first = first_of(repo)
    # OpenSSH signs with the bot's plain key.
    private = key("ed25519").partition("file2:")[2].partition("#")[0]
    convert(private, tmp_path / "ssh", "OpenSSH")
    (tmp_path / "ssh.pub").write_text(signers.key_text(sshsig.public_key(key("ed25519"))) + "\n")
    armored = sshsig.sign(first.pae(), str(tmp_path / "ssh"), sshsig.RELEASE)
    resigned(repo, armored)
    assert "makes plain signatures only, by the policy" in why(repo)
    # And the bot's SSH key signs plainly.
    convert(repo.key("ci"), tmp_path / "ci.key", "PKCS8")
    text = signers.to_pem(sshsig.public_key(f"{repo.key('ci')}.pub"))
    (tmp_path / "ci.pem").write_text(text)
    made = envelope.sign(first.statement(), f"kms:file2:{tmp_path / 'ci.key'}#{tmp_path / 'ci.pem'}", "")
    resigned(repo, made.signatures[0].signature)
    assert "no plain key" in why(repo)


def convert(source, target, form):
    """Write a private key in another form."""
    from cryptography.hazmat.primitives import serialization as forms

    data = Path(source).read_bytes()
    load = forms.load_ssh_private_key if b"OPENSSH" in data else forms.load_pem_private_key
    how = (forms.Encoding.PEM, getattr(forms.PrivateFormat, form), forms.NoEncryption())
    target.write_bytes(load(data, None).private_bytes(*how))
    target.chmod(0o600)


def test_revoked_plain_key(released):
    repo, key = released
    repo.promptops("key", "revoke", signers.key_text(sshsig.public_key(key("p256"))), "--reason", "lost")
    reviewing.new_policy(repo)
    assert "is revoked" in why(repo)
    assert "counts for nothing" in repo.promptops("key", "lint").stdout


def test_approval_by_a_person_with_a_key_service(plain):
    repo, key = plain
    reviewing.change(repo)
    reviewing.requested(repo)
    refused = repo.promptops("review", "approve", "--key", str(repo.key("ci")), check=1)
    assert "ci@example.org may not sign for approval" in refused.stderr
    repo.promptops("review", "approve", "--key", key("hal"))
    repo.commit("Approve")
    assert reviewing.judge(repo).satisfied


def test_release_of_two_people_is_refused(plain):
    repo, key = plain
    done = repo.promptops("release", "--no-canary", "x", "--envelope-key", key("p256"), by="alice", check=1)
    assert "one person signs a release" in done.stderr
    done = repo.promptops("release", "--no-canary", "x", "--key", key("p256"), by="ci", check=1)
    assert "may not sign for git" in done.stderr


def test_tags_and_policies_take_ssh_signatures(plain):
    repo, key = plain
    repo.write(".promptops/revoked_keys", "# again\n")
    assert "not one of the roots" in repo.promptops("policy", "sign", "--key", key("hal"), check=1).stderr
    with pytest.raises(PromptopsError, match="need an SSH signature"):
        sshsig.sign(b"x", key("hal"), sshsig.GIT)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda line: line.replace("hal@", "bob@"), "belongs to bob@example.org"),
        (lambda line: line.replace("namespaces=", 'valid-before="20990101",namespaces='), "has a date"),
        (
            lambda line: line.replace('namespaces="', 'namespaces="git,'),
            "may sign for git, which takes an SSH signature",
        ),
    ],
)
def test_plain_keys_that_protect_nothing(plain, change, reason):
    repo, _ = plain
    lines = repo.read(".promptops/allowed_signers").splitlines(keepends=True)
    changed = [change(line) if line.startswith("hal@") else line for line in lines]
    repo.write(".promptops/allowed_signers", "".join(changed))
    assert reason in repo.promptops("key", "lint", check=1).stdout


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("kms:file2:x", "names no public key"),
        ("kms:#x", "names no public key"),
        ("kms:file2:{folder}/none#{folder}/hal.pem", "could not sign with file2:"),
        ("kms:nowhere:x#{folder}/hal.pem", "Unsupported private key scheme"),
        ("kms:file2:{folder}/p256.key#{folder}/hal.pem", "could not sign with file2:"),
        ("kms:file2:{folder}/hal.key#{folder}/none.pem", "no signing key at"),
    ],
)
def test_keys_that_cannot_sign(base, key, reason):
    with pytest.raises(PromptopsError, match=reason) as caught:
        envelope.sign(STATEMENT, key.format(folder=base[1]), sshsig.REQUEST)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("version", "reason"), [(None, "openssl is not on PATH"), ("LibreSSL 3.3.6", "is not OpenSSL 3")]
)
def test_without_openssl_nothing_can_be_told(released, tmp_path, monkeypatch, version, reason):
    repo, _ = released
    for name in ("git", "ssh-keygen"):
        (tmp_path / name).symlink_to(shutil.which(name))
    if version:
        (tmp_path / "openssl").write_text(f"#!/bin/sh\necho {version}\ntest $1 = version\n")
        (tmp_path / "openssl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = checks(repo, TAG, code=3)["release signature"]
    assert found["ok"] is None
    assert reason in found["detail"]


@pytest.mark.skipif(not (shutil.which("softhsm2-util") and os.path.exists(MODULE)), reason="needs softhsm2")
def test_software_hsm(plain, tmp_path, monkeypatch):
    pkcs11 = pytest.importorskip("pkcs11", reason="needs python-pkcs11")
    from pkcs11.util.ec import encode_ec_public_key, encode_named_curve_parameters

    (tmp_path / "tokens").mkdir()
    (tmp_path / "conf").write_text(f"directories.tokendir = {tmp_path / 'tokens'}\nlog.level = ERROR\n")
    settings = {"SOFTHSM2_CONF": str(tmp_path / "conf"), "PYKCS11LIB": MODULE, "PROMPTOPS_KMS_PIN": "1234"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    command = ["softhsm2-util", "--init-token", "--free", "--label", "release", "--pin", "1234", "--so-pin", "5678"]
    subprocess.run(command, check=True, capture_output=True)
    with pkcs11.lib(MODULE).get_token(token_label="release").open(user_pin="1234", rw=True) as session:
        curve = {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
        made = session.create_domain_parameters(pkcs11.KeyType.EC, curve, local=True)
        public, _ = made.generate_keypair(store=True, id=b"\x02", label="release")
        der = encode_ec_public_key(public)
    subprocess.run(["openssl", "pkey", "-pubin", "-inform", "DER", "-out", tmp_path / "hsm.pem"], input=der, check=True)
    repo, _ = plain
    repo.promptops("key", "add", "ada", str(tmp_path / "hsm.pem"), "--principal", "ada@example.org", "--plain")
    reviewing.new_policy(repo)
    reviewing.change(repo)
    reviewing.requested(repo)
    key = f"kms:hsm:2?label=release#{tmp_path / 'hsm.pem'}"
    wrong = repo.promptops("review", "approve", "--key", key, check=3, **(settings | {"PROMPTOPS_KMS_PIN": "9"}))
    assert "could not sign with hsm:2" in wrong.stderr
    assert "set PROMPTOPS_KMS_PIN" in repo.promptops(
        "review", "approve", "--key", key, check=3, **(settings | {"PROMPTOPS_KMS_PIN": ""})
    ).stderr  # fmt: skip
    repo.promptops("review", "approve", "--key", key, **settings)
    repo.commit("Approve")
    assert reviewing.judge(repo).satisfied
