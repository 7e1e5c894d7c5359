"""A harness's process: in a folder of its own, without secrets, for so long and no longer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from promptops.errors import PromptopsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# Everything else of the environment stays away: keys of providers, git's and SSH's variables, proxies, Python's paths.
_KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ")
_MAX_OUTPUT = 64 * 1024 * 1024
_TAIL_BYTES = 16 * 1024
_TAIL_LINES = 20
_LOOK_SECONDS = 0.05
_MARK = "HARNESS_RUN"
_PASSES = 5


class Ended(NamedTuple):
    """How a process ended: its exit code, None where it was stopped, and why, and its last lines."""

    code: int | None
    stopped: str | None
    tail: str


def environment(environ: Mapping[str, str], home: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of a harness.

    Args:
        environ: this process's.
        home: an empty folder that stands in for the user's.
        given: variables of the harness.
    """
    kept = {name: environ[name] for name in _KEPT if name in environ}
    own = {"HOME": home, "TMPDIR": home, "XDG_CACHE_HOME": home, "XDG_DATA_HOME": home, "NO_PROXY": "127.0.0.1"}
    return {**kept, **own, "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1", **given}


def program(name: str) -> str:
    """Return the path of a program on PATH, or of one that is installed beside this Python.

    Raises:
        PromptopsError: there is none.
    """
    found = shutil.which(name) or shutil.which(name, path=os.path.dirname(sys.executable))
    if found is None:
        raise PromptopsError(f"the program {name} is not on PATH", hint=_INSTALL.get(name, f"install {name}"))
    return os.path.abspath(found)


_INSTALL = {
    "inspect": "pip install 'promptops-git[inspect]'",
    "pytest": "pip install pytest",
    "promptfoo": "npm install -g promptfoo",
}


async def run(
    argv: Sequence[str], *, folder: str, env: Mapping[str, str], seconds: float, stop: Callable[[], str | None]
) -> Ended:
    """Run a program to its end, and everything that it started in its process group.

    Args:
        argv: the program and its arguments; no shell reads them.
        folder: where it starts.
        env: its whole environment.
        seconds: after which it is stopped.
        stop: asked now and then; a sentence says why to stop early.

    Raises:
        PromptopsError: it cannot be started.
    """
    mark = secrets.token_hex(16)
    # A file rather than a pipe: a grandchild that keeps it open holds nobody up.
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(  # noqa: ASYNC220  it returns as soon as the program has started
                list(argv),
                cwd=folder,
                env={**env, _MARK: mark},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise PromptopsError(
                f"cannot start {argv[0]}: {getattr(error, 'strerror', None) or error}", hint="is it installed?"
            ) from error
        stopped: str | None = None
        deadline = time.monotonic() + seconds
        try:
            while process.poll() is None and stopped is None:
                if time.monotonic() > deadline:
                    stopped = f"it took more than {seconds:g} s"
                elif os.fstat(output.fileno()).st_size > _MAX_OUTPUT:
                    stopped = f"it printed more than {_MAX_OUTPUT >> 20} MiB"
                else:
                    stopped = stop()
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            _end(process)
            _end_marked(f"{_MARK}={mark}".encode())
        return Ended(None if stopped else process.returncode, stopped, _tail(output))


def _end(process: subprocess.Popen[Any]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _end_marked(mark: bytes) -> None:
    """End processes that left the group with ``setsid``: what they inherited names the run.

    Only Linux shows the environment of others. One that cleared its environment stays.
    """
    if not os.path.isdir("/proc/self") or not hasattr(os, "pidfd_open"):
        return
    # What is ended may have started another one meanwhile.
    for _ in range(_PASSES):
        if not [pid for pid in os.listdir("/proc") if pid.isdigit() and _end_one(int(pid), mark)]:
            return


def _end_one(pid: int, mark: bytes) -> bool:
    try:
        # Held before it is looked at, so that its number cannot come to be another process's.
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            marked = mark in file.read().split(b"\0")
        if marked:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        return marked
    except OSError:
        return False
    finally:
        os.close(handle)


def _tail(output: IO[bytes]) -> str:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - _TAIL_BYTES))
    lines = output.read(_TAIL_BYTES).decode("utf-8", "replace").splitlines()
    return "\n".join([line.rstrip() for line in lines if line.strip()][-_TAIL_LINES:])
