"""Verifiers of bare signatures that nobody here wrote: each takes bytes, a signature, a key in PEM, a scratch folder."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess

import pytest

NODE = """
const {data, key, signature} = JSON.parse(require("fs").readFileSync(0));
const [content, made] = [data, signature].map(text => Buffer.from(text, "base64"));
const publicKey = require("crypto").createPublicKey(key);
const digest = publicKey.asymmetricKeyType === "ed25519" ? null : "sha256";
process.exit(require("crypto").verify(digest, content, publicKey, made) ? 0 : 1);
"""


def openssl_raw(data, bare, key, folder):
    (folder / "key.pem").write_text(key)
    (folder / "bare").write_bytes(bare)
    (folder / "data").write_bytes(data)
    command = [
        "openssl",
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        "key.pem",
        "-rawin",
        "-in",
        "data",
        "-sigfile",
        "bare",
    ]
    return not subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode


def node_raw(data, bare, key, folder):
    fields = {"key": key, "data": base64.b64encode(data).decode(), "signature": base64.b64encode(bare).decode()}
    command = ["node", "-e", NODE]
    done = subprocess.run(command, input=json.dumps(fields).encode(), cwd=folder, capture_output=True, check=False)
    assert done.returncode in (0, 1)
    assert not done.stderr
    return done.returncode == 0


def securesystemslib_raw(data, bare, key, folder):
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib import exceptions
    from securesystemslib.signer import Signature, SSlibKey

    known = SSlibKey.from_crypto(load_pem_public_key(key.encode()))
    try:
        known.verify_signature(Signature(known.keyid, bare.hex()), data)
    except exceptions.UnverifiedSignatureError:
        return False
    return True


def installed(program):
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"needs {program}")


RAW = [
    pytest.param(openssl_raw, marks=installed("openssl"), id="openssl"),
    pytest.param(node_raw, marks=installed("node"), id="node"),
    pytest.param(securesystemslib_raw, id="securesystemslib"),
]
