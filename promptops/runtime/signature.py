"""Who wrote a snapshot: an SSH signature, verified by OpenSSH."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile

from promptops.errors import PromptopsError, RefusedError

NAMESPACE = "snapshot.v1@promptops"
_MAX_SIGNATURE = 64 << 10
_MAX_NAMES = 16
# Seconds; a program that does not answer is no reason to hang.
_PATIENCE = 60


def verify(payload: bytes, signature: str | None, signers: str) -> None:
    """Check that somebody in ``signers`` signed a snapshot.

    Args:
        payload: the signed bytes.
        signature: the armored signature, if there is one.
        signers: path of a file in OpenSSH's format of ``allowed_signers``; a line with ``namespaces=`` must name
            ``snapshot.v1@promptops``.

    Raises:
        RefusedError: there is no signature, or none of these people made it.
        PromptopsError: ``ssh-keygen`` or the file of signers is missing.
    """
    if not os.path.isfile(signers):
        raise PromptopsError(f"there is no file of signers at {signers!r}")
    if signature is None or len(signature) > _MAX_SIGNATURE:
        raise RefusedError("it is not signed", hint="promptops snapshot --sign")
    program = _program()
    try:
        with tempfile.NamedTemporaryFile(prefix="promptops-", suffix=".sig") as file:
            file.write(signature.encode("utf-8", "replace"))
            file.flush()
            given = ["-f", os.path.abspath(signers), "-s", file.name]
            names = _run([program, "-Y", "find-principals", *given], b"").stdout.decode("utf-8", "replace")
            for name in names.splitlines()[:_MAX_NAMES]:
                verifying = [program, "-Y", "verify", *given, "-n", NAMESPACE, "-I", name]
                if name and _run(verifying, payload).returncode == 0:
                    return
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PromptopsError(f"its signature cannot be verified: {error}") from error
    raise RefusedError(f"its signature is of nobody in {signers}, or for something else")


def _program() -> str:
    # Relative entries of PATH are no place to look for a verifier.
    folders = [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(folder)]
    found = shutil.which("ssh-keygen", path=os.pathsep.join(folders))
    if found is None:
        raise PromptopsError("ssh-keygen is not on PATH", hint="install the OpenSSH client, 8.9 or newer")
    return found


def _run(command: list[str], data: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command,
        input=data,
        capture_output=True,
        env={"LC_ALL": "C", "PATH": os.defpath},
        timeout=_PATIENCE,
        check=False,
    )
