from __future__ import annotations

import os
import subprocess

import pytest
from support import make_repo

from promptops.errors import InputError, PromptopsError, RefusedError
from promptops.repo.git import Git
from promptops.trust import envelope, signers, sshsig, statement

DATA = b"content"
STATEMENT = statement.build(statement.APPROVAL, [{"name": "a", "digest": {"sha256": "0" * 64}}], {})


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    return make_repo(tmp_path_factory.mktemp("people"))


def allowed(repo, *names, namespaces=sshsig.APPROVAL, options=""):
    lines = (f'{name}@example.org {options}namespaces="{namespaces}" {repo.public_key(name)}\n' for name in names)
    return "".join(lines).encode()


def verify(repo, signature, **changes):
    arguments = {"namespace": sshsig.APPROVAL, "allowed_signers": allowed(repo, "alice", "bob"), "revoked": b""}
    return sshsig.verify(changes.pop("data", DATA), signature, **arguments | changes)


def test_signature_names_its_person(repo):
    found = verify(repo, sshsig.sign(DATA, str(repo.key("alice")), sshsig.APPROVAL))
    assert found.principal == "alice@example.org"
    assert signers.key_text(found.public_key) == repo.public_key("alice")
    printed = subprocess.run(
        ["ssh-keygen", "-lf", f"{repo.key('alice')}.pub"], capture_output=True, text=True, check=True
    )
    assert found.fingerprint == printed.stdout.split()[1]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"data": b"other"}, "does not verify"),
        ({"namespace": sshsig.RELEASE}, "is for 'approval.v1@promptops'"),
        ({"revoked": None}, "no list of revoked keys"),
        ({"allowed_signers": b""}, "not in allowed_signers"),
    ],
)
def test_what_does_not_verify(repo, changes, reason):
    with pytest.raises(RefusedError, match=reason):
        verify(repo, sshsig.sign(DATA, str(repo.key("alice")), sshsig.APPROVAL), **changes)


def test_key_without_the_namespace(repo):
    signature = sshsig.sign(DATA, str(repo.key("alice")), sshsig.APPROVAL)
    with pytest.raises(RefusedError, match="may not sign"):
        verify(repo, signature, allowed_signers=allowed(repo, "alice", namespaces="git,request.v1@promptops"))


def test_revoked_key(repo):
    signature = sshsig.sign(DATA, str(repo.key("alice")), sshsig.APPROVAL)
    assert verify(repo, signature, revoked=f"# nobody of these\n{repo.public_key('bob')}\n".encode())
    with pytest.raises(RefusedError, match="revoked"):
        verify(repo, signature, revoked=f"{repo.public_key('bob')}\n{repo.public_key('alice')} lost\n".encode())
    for unreadable in (b"garbage", b"SSHKRL\n\0"):
        with pytest.raises(InputError):
            verify(repo, signature, revoked=unreadable)


def test_expired_key(repo):
    signature = sshsig.sign(DATA, str(repo.key("alice")), sshsig.APPROVAL)
    for options, reason in (('valid-before="20200101",', "has expired"), ('valid-after="29990101",', "not valid yet")):
        with pytest.raises(RefusedError, match=reason):
            verify(repo, signature, allowed_signers=allowed(repo, "alice", options=options))
    assert verify(repo, signature, allowed_signers=allowed(repo, "alice", options='valid-after="20200101",'))


@pytest.mark.parametrize("damage", [b"", b"x", b"-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"])
def test_what_is_no_signature(repo, damage):
    with pytest.raises(RefusedError):
        verify(repo, damage)


@pytest.mark.parametrize("kind", [["ecdsa"], ["rsa", "-b", "3072"]])
def test_other_key_types(repo, tmp_path, kind):
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", *kind, "-N", "", "-f", str(key)], check=True)
    public = " ".join((tmp_path / "key.pub").read_text().split()[:2])
    signature = sshsig.sign(DATA, str(key), sshsig.APPROVAL)
    lines = f'alice@example.org namespaces="{sshsig.APPROVAL}" {public}\n'.encode()
    assert verify(repo, signature, allowed_signers=lines).principal == "alice@example.org"


def test_stock_openssh_agrees_about_an_envelope(repo, tmp_path):
    made = envelope.sign(STATEMENT, str(repo.key("bob")), sshsig.APPROVAL)
    (tmp_path / "signature").write_bytes(made.signatures[0].signature)
    (tmp_path / "signers").write_bytes(allowed(repo, "alice", "bob"))
    command = ["ssh-keygen", "-Y", "verify", "-f", "signers", "-s", "signature", "-n", sshsig.APPROVAL]
    payload = b"DSSEv1 28 application/vnd.in-toto+json %d %b" % (len(made.payload), made.payload)

    def stock(name, data):
        return subprocess.run(
            [*command, "-I", name], cwd=tmp_path, input=data, capture_output=True, check=False
        ).returncode

    assert stock("bob@example.org", payload) == 0
    assert stock("alice@example.org", payload) != 0
    assert stock("bob@example.org", payload + b" ") != 0


def test_keys_in_an_agent(repo, tmp_path, monkeypatch):
    started = subprocess.run(["ssh-agent", "-s"], capture_output=True, text=True, check=True).stdout
    values = dict(part.split("=", 1) for part in started.replace("\n", "").split(";") if "=" in part)
    monkeypatch.setenv("SSH_AUTH_SOCK", values["SSH_AUTH_SOCK"])
    try:
        key = tmp_path / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        subprocess.run(["ssh-add", "-q", str(key)], check=True, capture_output=True)
        key.unlink()
        public = " ".join((tmp_path / "key.pub").read_text().split()[:2])
        lines = f'x namespaces="{sshsig.APPROVAL}" {public}\n'.encode()
        for name in (f"{key}.pub", public, f"key::{public}"):
            assert verify(repo, sshsig.sign(DATA, name, sshsig.APPROVAL), allowed_signers=lines).principal == "x"
            assert signers.key_text(sshsig.public_key(name)) == public
    finally:
        os.kill(int(values["SSH_AGENT_PID"]), 15)


def test_passphrase_without_a_terminal_is_a_clear_error(tmp_path):
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret word", "-f", str(key)], check=True)
    with pytest.raises(PromptopsError, match="passphrase and there is no terminal") as caught:
        sshsig.sign(DATA, str(key), "git")
    assert caught.value.hint == f"load it into an agent first: ssh-add {key}"


def test_missing_key_is_a_clear_error(tmp_path):
    with pytest.raises(PromptopsError, match="no signing key at"):
        sshsig.sign(DATA, str(tmp_path / "none"), "git")


def test_which_key_signs(repo, monkeypatch):
    git = Git(str(repo.root))
    with pytest.raises(PromptopsError, match="no SSH key"):
        sshsig.signing_key(git)
    repo.git("config", "gpg.format", "ssh")
    repo.git("config", "user.signingkey", "~/configured")
    assert sshsig.signing_key(git) == os.path.expanduser("~/configured")
    monkeypatch.setenv(sshsig.KEY_VARIABLE, "from-environment")
    assert sshsig.signing_key(git) == "from-environment"
    assert sshsig.signing_key(git, "option") == "option"


def test_programs_are_not_looked_for_in_relative_places(tmp_path, monkeypatch):
    planted = tmp_path / "ssh-keygen"
    planted.write_text("#!/bin/sh\nexit 0\n")
    planted.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f".:{os.environ['PATH']}")
    sshsig.program.cache_clear()
    assert os.path.isabs(sshsig.program())
    assert sshsig.program() != str(planted)


def test_no_room_for_temporary_files_is_explained(repo, monkeypatch, tmp_path):
    signature = sshsig.sign(DATA, str(repo.key("alice")), sshsig.APPROVAL)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "gone"))
    for action in (lambda: verify(repo, signature), lambda: sshsig.sign(DATA, str(repo.key("alice")), sshsig.APPROVAL)):
        with pytest.raises(PromptopsError, match="No such file") as caught:
            action()
        assert caught.value.exit_code == 3
        assert "TMPDIR" in caught.value.hint
