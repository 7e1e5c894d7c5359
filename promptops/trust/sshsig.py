"""SSH signatures: made and verified by OpenSSH, read here only to learn which key they name."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import struct
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from promptops.errors import PromptopsError, RefusedError, UsageError
from promptops.trust import signers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promptops.repo.git import Git

REQUEST = "request.v1@promptops"
APPROVAL = "approval.v1@promptops"
POLICY = "policy.v1@promptops"
RELEASE = "release.v1@promptops"
SNAPSHOT = "snapshot.v1@promptops"
GIT = "git"
KEY_VARIABLE = "PROMPTOPS_SIGNING_KEY"
KMS = "kms:"
KMS_FORM = "--key kms:URI#PUBLIC_KEY_FILE, as kms:hsm:2?label=release#release.pem"

_BEGIN, _END = b"-----BEGIN SSH SIGNATURE-----", b"-----END SSH SIGNATURE-----"
_MAX_SIGNATURE = 64 << 10
_DATED = {b"key has expired": "has expired", b"key is not yet valid": "is not valid yet"}


class Parsed(NamedTuple):
    """What a signature says about itself: the public key's wire form and the namespace."""

    public_key: bytes
    namespace: str


class Signature(NamedTuple):
    """A verified signature.

    Attributes:
        principal: the name that ``allowed_signers`` gives the key.
        fingerprint: ``SHA256:...`` of the key.
        public_key: the key's canonical wire form; equal bytes are one key.
    """

    principal: str
    fingerprint: str
    public_key: bytes


@cache
def program() -> str:
    """Return the absolute path of ``ssh-keygen``.

    Raises:
        PromptopsError: it is not installed.
    """
    return find_program("ssh-keygen", "install the OpenSSH client, 8.9 or newer")


def find_program(name: str, hint: str) -> str:
    """Return the absolute path of a program; relative entries of PATH are no place to look for it.

    Raises:
        PromptopsError: it is not installed.
    """
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    places = [os.path.join(folder, name) for folder in folders if os.path.isabs(folder)]
    found = next((path for path in places if os.path.isfile(path) and os.access(path, os.X_OK)), None)
    if found is None:
        raise PromptopsError(f"{name} is not on PATH", hint=hint)
    return found


def fingerprint(public_key: bytes) -> str:
    """Return a key's fingerprint as OpenSSH prints it, ``SHA256:...``."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(public_key).digest()).decode().rstrip("=")


def is_armored(signature: bytes) -> bool:
    """Return whether a signature has OpenSSH's armor; nothing is verified."""
    return signature.startswith(_BEGIN)


def parse(armored: bytes) -> Parsed:
    """Read the key and the namespace out of an armored signature (OpenSSH, PROTOCOL.sshsig). Nothing is verified.

    Raises:
        RefusedError: not one signature in OpenSSH's armor.
    """
    lines = armored.strip().splitlines()
    if len(armored) > _MAX_SIGNATURE or len(lines) < 3 or lines[0] != _BEGIN or lines[-1] != _END:
        raise RefusedError("not an SSH signature")
    try:
        blob = base64.b64decode(b"".join(lines[1:-1]), validate=True)
        if blob[:10] != b"SSHSIG\0\0\0\1":
            raise RefusedError("not an SSH signature of version 1")
        public_key, rest = signers.read_string(blob[10:])
        namespace, _ = signers.read_string(rest)
        return Parsed(signers.canonical_key(public_key), namespace.decode())
    except (binascii.Error, struct.error, UnicodeDecodeError) as error:
        raise RefusedError("SSH signature is malformed") from error


def verify(
    data: bytes, signature: bytes, *, namespace: str, allowed_signers: bytes, revoked: bytes | None
) -> Signature:
    """Verify one signature with one ``ssh-keygen -Y verify``.

    Args:
        data: the signed bytes.
        signature: the armored signature.
        namespace: what the signature must be for.
        allowed_signers: an OpenSSH allowed signers file; the principal is the one that its single line for the key has.
        revoked: revoked public keys, one a line; empty revokes nothing, None means that the list is missing.

    Raises:
        RefusedError: unknown, revoked or expired key, another namespace, other data, or no revocation list.
        InputError: ``allowed_signers`` could give one key two names.
    """
    if revoked is None:
        raise RefusedError("there is no list of revoked keys", hint="commit .promptops/revoked_keys; it may be empty")
    named = parse(signature)
    if named.namespace != namespace:
        raise RefusedError(f"signature is for {named.namespace!r}, not for {namespace}")
    line = signers.find(signers.parse(allowed_signers), named.public_key)
    if line is None:
        why = "revoked" if named.public_key in signers.revoked(revoked) else "not in allowed_signers"
        raise RefusedError(f"key {fingerprint(named.public_key)} is {why}")
    if namespace not in line.namespaces:
        raise RefusedError(f"{line.principal} may not sign for {namespace}")
    if named.public_key in signers.revoked(revoked):
        raise RefusedError(f"key {fingerprint(named.public_key)} of {line.principal} is revoked")
    with scratch({"signers": allowed_signers, "revoked": revoked, "signature": signature}) as directory:
        arguments = ["-Y", "verify", "-f", "signers", "-r", "revoked", "-s", "signature"]
        done = subprocess.run(
            [program(), *arguments, "-n", namespace, "-I", line.principal],
            input=data,
            capture_output=True,
            cwd=directory,
            env={"LC_ALL": "C", "PATH": os.defpath},
            check=False,
        )
    if done.returncode:
        for words, meaning in _DATED.items():
            if words in done.stderr:
                # A tagger writes any date; only the clock of whoever verifies is not the signer's.
                raise RefusedError(f"key of {line.principal} {meaning}, whatever date the signer wrote")
        raise RefusedError(f"signature of {line.principal} does not verify: {_last_line(done)}")
    return Signature(line.principal, fingerprint(named.public_key), named.public_key)


@contextlib.contextmanager
def scratch(files: dict[str, bytes]) -> Iterator[str]:
    """Give a folder with ``files`` for a program that reads its input from files.

    The standard library's `tempfile` would take as long to import as ``ssh-keygen`` takes to verify.

    Raises:
        PromptopsError: there is no room for it.
    """
    shared = os.path.abspath(os.environ.get("TMPDIR") or "/tmp")  # noqa: S108  nobody can know the name before it exists
    directory = os.path.join(shared, f"promptops-{os.urandom(16).hex()}")
    try:
        os.mkdir(directory, 0o700)
        try:
            for name, content in files.items():
                with open(os.path.join(directory, name), "wb") as file:
                    file.write(content)
            yield directory
        finally:
            for name in os.listdir(directory):
                os.unlink(os.path.join(directory, name))
            os.rmdir(directory)
    except OSError as error:
        message = f"cannot hand a signature to its verifier: {error.strerror or error}"
        raise PromptopsError(
            message, hint="make room for temporary files, or name another folder: TMPDIR=DIR"
        ) from error


def sign(data: bytes, key: str, namespace: str) -> bytes:
    """Return an armored signature over ``data``.

    Args:
        data: the bytes to sign.
        key: path of a private key, path of a public key whose private half an agent holds, or a public key itself
            (``ssh-ed25519 AAAA...``, ``key::...``), held by an agent.
        namespace: what the signature is for.

    Raises:
        PromptopsError: the key is missing, or needs a passphrase and there is no terminal to ask on.
    """
    if key.startswith(KMS):
        message = "tags, commits and policies need an SSH signature; a key of a key service signs envelopes only"
        raise UsageError(message, hint="name an SSH key: --key FILE")
    with scratch({}) as directory:
        literal = literal_key(key)
        path = os.path.expanduser(key)
        if literal is not None:
            path = os.path.join(directory, "key.pub")
            with open(path, "w", encoding="utf-8") as file:
                file.write(literal + "\n")
        elif not os.path.isfile(path):
            raise PromptopsError(f"there is no signing key at {path}", hint=_KEY_HINT)
        # `-U` makes OpenSSH look for the private half in the agent only.
        arguments = [*(["-U"] if literal else []), "-f", path]
        return _sign(data, [program(), "-Y", "sign", "-n", namespace, *arguments], path)


def _sign(data: bytes, command: list[str], path: str) -> bytes:
    terminal = sys.stdin.isatty() and sys.stderr.isatty()
    env = dict(os.environ)
    if not terminal:
        # Nobody could answer a passphrase prompt, in a terminal or in a window.
        env["SSH_ASKPASS_REQUIRE"] = "never"
        env.pop("SSH_ASKPASS", None)
    done = subprocess.run(
        command,
        input=data,
        stdout=subprocess.PIPE,
        stderr=None if terminal else subprocess.PIPE,
        start_new_session=not terminal,
        env=env,
        check=False,
    )
    if done.returncode == 0 and done.stdout.startswith(_BEGIN):
        return done.stdout
    words = _last_line(done) or "see above"
    hint = f"check the key: ssh-keygen -y -f {path}"
    if "passphrase" in words and not terminal:
        words = "the key has a passphrase and there is no terminal to ask on"
        hint = f"load it into an agent first: ssh-add {path}"
    elif "agent" in words:
        hint = "start an agent that holds the key: ssh-add"
    raise PromptopsError(f"could not sign with {path}: {words}", hint=hint)


_KEY_HINT = "git config gpg.format ssh && git config user.signingkey ~/.ssh/id_ed25519, or pass --key FILE"


def signing_key(git: Git, option: str | None = None) -> str:
    """Return the key to sign with: the option, ``PROMPTOPS_SIGNING_KEY``, or git's ``user.signingkey``.

    Raises:
        PromptopsError: none of them names an SSH key.
    """
    chosen = option or os.environ.get(KEY_VARIABLE)
    if chosen:
        return chosen
    if git.try_run("config", "gpg.format").stdout.strip() == b"ssh":
        configured = git.try_run("config", "--type=path", "user.signingkey").stdout
        if configured.strip():
            return configured.decode("utf-8", "surrogateescape").rstrip("\n")
    raise PromptopsError("no SSH key to sign with is configured", hint=_KEY_HINT)


def split_kms(key: str) -> tuple[str, str]:
    """Return the private key's URI and the path of the public key that ``kms:URI#FILE`` names.

    Raises:
        UsageError: it names no public key.
    """
    uri, _, path = key.removeprefix(KMS).rpartition("#")
    if not uri or not path:
        raise UsageError(f"{key} names no public key", hint=KMS_FORM)
    return uri, os.path.expanduser(path)


def literal_key(key: str) -> str | None:
    """Return the public key that ``key`` itself is (as git's ``user.signingkey`` allows), or None for a path."""
    if key.startswith("key::"):
        return key.removeprefix("key::")
    return key if key.startswith(("ssh-", "ecdsa-", "sk-")) and " " in key else None


def public_key(key: str) -> bytes:
    """Return the wire form of the public half of a signing key.

    Raises:
        PromptopsError: it cannot be read.
    """
    text = literal_key(key)
    path = split_kms(key)[1] if key.startswith(KMS) else os.path.expanduser(key)
    if text is None:
        beside = path if path.endswith((".pub", ".pem")) else f"{path}.pub"
        if os.path.isfile(beside):
            with open(beside, encoding="utf-8", errors="replace") as file:
                text = file.read()
        elif os.path.isfile(path):
            command = [program(), "-y", "-P", "", "-f", path]
            text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        else:
            raise PromptopsError(f"there is no signing key at {path}", hint=_KEY_HINT)
    found = signers.key_in(text) or signers.from_pem(text)
    if found is None:
        raise PromptopsError(f"no public key found for {path}", hint=f"ssh-keygen -y -f {path} > {path}.pub")
    return found


def _last_line(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = (done.stderr or b"").decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else ""
