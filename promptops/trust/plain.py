"""Plain DSSE signatures, as key services and hardware modules make them: ed25519, or ECDSA on P-256 with SHA-256.

A plain signature says nothing about its key or purpose. Which keys make them stands in the policy (`plain_keys`), what
for in their lines of ``allowed_signers``, and the algorithm follows from the type of the key: the envelope decides
nothing. OpenSSL verifies them, so that a verdict needs no library beyond those of the core.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from promptops.errors import PromptopsError
from promptops.trust import signers, sshsig

if TYPE_CHECKING:
    from securesystemslib.signer import SSlibKey

PIN_VARIABLE = "PROMPTOPS_KMS_PIN"
MAX_BYTES = 1024


def verify(data: bytes, signature: bytes, public_key: bytes) -> bool:
    """Return whether one key made a plain signature over ``data``, by one ``openssl pkeyutl -verify``.

    Raises:
        PromptopsError: there is no OpenSSL 3.
    """
    program = sshsig.find_program("openssl", "install OpenSSL 3 or newer: this repository's policy names plain keys")
    if len(signature) > MAX_BYTES:
        return False
    files = {"key": signers.to_pem(public_key).encode(), "data": data, "signature": signature}
    with sshsig.scratch(files) as directory:
        arguments = ["-verify", "-pubin", "-inkey", "key", "-rawin", "-in", "data", "-sigfile", "signature"]
        done = _run([program, "pkeyutl", *arguments], directory)
        if done.returncode and not _recent(_run([program, "version"], directory).stdout):
            hint = "install it and put it first on PATH"
            raise PromptopsError("the openssl on PATH is not OpenSSL 3 or newer", hint=hint)
    return done.returncode == 0


def _recent(version: bytes) -> bool:
    name, _, number = version.partition(b" ")
    return name == b"OpenSSL" and number[:1].isdigit() and int(number.split(b".")[0]) >= 3


def _run(command: list[str], directory: str) -> subprocess.CompletedProcess[bytes]:
    # A configuration of OpenSSL could name engines to load.
    env = {"LC_ALL": "C", "PATH": os.defpath, "OPENSSL_CONF": os.devnull}
    return subprocess.run(command, capture_output=True, cwd=directory, env=env, check=False)


def sign(data: bytes, key: str) -> tuple[bytes, bytes]:
    """Return a plain signature over ``data`` and the wire form of the key that made it.

    Args:
        data: the bytes to sign.
        key: ``kms:URI#FILE``: a private key URI of securesystemslib and the file of the public key.

    Raises:
        PromptopsError: the key service cannot be used, or its key is not the one in the file.
    """
    public_key = sshsig.public_key(key)
    uri = sshsig.split_kms(key)[0]
    try:
        from securesystemslib import exceptions
        from securesystemslib.signer import Signer
    except ImportError as error:
        raise PromptopsError("signing with a key service needs securesystemslib", hint=_INSTALL) from error
    try:
        made = Signer.from_priv_key_uri(uri, _known(public_key), _secret).sign(data)
    except (ValueError, OSError, RuntimeError, exceptions.Error, exceptions.UnsupportedLibraryError) as error:
        raise PromptopsError(f"could not sign with {uri}: {error}", hint=_INSTALL) from error
    signature = bytes.fromhex(made.signature)
    if not verify(data, signature, public_key):
        raise PromptopsError(f"the key at {uri} is not the one in {sshsig.split_kms(key)[1]}", hint=sshsig.KMS_FORM)
    return signature, public_key


_INSTALL = "pip install 'promptops-git[kms]', and what securesystemslib asks for this service: securesystemslib[hsm]"


def _known(public_key: bytes) -> SSlibKey:
    from securesystemslib.signer import SSlibKey

    keyid, text = sshsig.fingerprint(public_key), signers.to_pem(public_key)
    if signers.read_string(public_key)[0] != b"ssh-ed25519":
        return SSlibKey(keyid, "ecdsa", "ecdsa-sha2-nistp256", {"public": text})
    raw = signers.read_string(signers.read_string(public_key)[1])[0]
    return SSlibKey(keyid, "ed25519", "ed25519", {"public": raw.hex()})


def _secret(what: str) -> str:
    found = os.environ.get(PIN_VARIABLE)
    if found:
        return found
    if not sys.stdin.isatty():
        raise PromptopsError(f"the key service asks for its {what}", hint=f"set {PIN_VARIABLE}, or use a terminal")
    from getpass import getpass

    return getpass(f"{what} of the key: ")
