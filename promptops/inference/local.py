"""The embedded model behind the same API as any other endpoint."""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
import urllib.request
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from promptops.errors import PromptopsError
from promptops.inference import weights
from promptops.inference.endpoint import Endpoint, checked_url
from promptops.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

URL_VARIABLE = "PROMPTOPS_LOCAL_URL"
SLOTS = 4
# One thread each: threads of one process wait for each other at a barrier, processes do not. Only Linux deals the
# connections to one address out over the processes that listen there.
WORKERS = min(os.cpu_count() or 1, 4) if sys.platform == "linux" else 1
START_SECONDS = 90.0
_HEALTH_SECONDS = 5.0
_LOG_TAIL = 2000


@dataclass(slots=True)
class _Server:
    processes: list[subprocess.Popen[str]]
    endpoint: Endpoint
    holders: int = 1


_server: _Server | None = None
_lock = threading.Lock()


@contextlib.contextmanager
def serving(parallel: int = SLOTS, *, port: int = 0) -> Iterator[Endpoint]:
    """Serve the embedded model while the context lasts; nested contexts of one process share one server.

    Args:
        parallel: requests answered at the same time by each process; a server that runs already keeps its own number.
        port: loopback port; 0 takes a free one.

    Raises:
        PromptopsError: the weights or the runtime are missing, or the server does not start.
    """
    global _server  # noqa: PLW0603  one server a process, under the lock
    with _lock:
        if _server is not None and all(process.poll() is None for process in _server.processes):
            _server.holders += 1
        else:
            _server = _start(parallel, port)
        server = _server
    try:
        yield server.endpoint
    finally:
        with _lock:
            server.holders -= 1
            if server.holders == 0:
                _stop(server.processes)
                if _server is server:
                    _server = None


def endpoint(environ: Mapping[str, str]) -> Endpoint:
    """Return the server that PROMPTOPS_LOCAL_URL names, else one of our own that ends with this process.

    Raises:
        PromptopsError: there is none and none can be started.
    """
    shared = environ.get(URL_VARIABLE)
    if shared:
        url = checked_url(shared, URL_VARIABLE)
        if not healthy(url):
            raise PromptopsError(
                f"no server for {weights.MODEL} answers at the address in {URL_VARIABLE}",
                hint=f"start `promptops model serve` and copy its address, or unset {URL_VARIABLE}",
            )
        return _endpoint(url, SLOTS * WORKERS)
    context = serving()
    found = context.__enter__()
    atexit.register(context.__exit__, None, None, None)
    return found


def wait() -> None:
    """Return when the server of this process ends, which it does not by itself.

    Raises:
        PromptopsError: it ended.
    """
    if _server is not None:
        code = _server.processes[0].wait()
        raise PromptopsError(f"the server of {weights.MODEL} ended (exit {code})", hint="promptops model serve")


def status(environ: Mapping[str, str]) -> dict[str, str | None]:
    """Return the path of the weights, the version of the runtime, the address of a shared server; None is missing."""
    try:
        file: str | None = weights.path()
    except PromptopsError:
        file = None
    try:
        runtime: str | None = version("xllamacpp")
    except PackageNotFoundError:
        runtime = None
    shared = environ.get(URL_VARIABLE)
    url = checked_url(shared, URL_VARIABLE) if shared else None
    return {
        "model": weights.MODEL,
        "weights": file,
        "runtime": runtime,
        "server": url if url is not None and healthy(url) else None,
    }


def healthy(url: str) -> bool:
    """Say whether a server at this base URL serves the embedded model now."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url + "/models", timeout=_HEALTH_SECONDS) as response:
            listing: Any = json.loads(response.read(1 << 20))
    except (OSError, ValueError):
        return False
    data = listing.get("data") if isinstance(listing, dict) else None
    return isinstance(data, list) and any(isinstance(item, dict) and item.get("id") == weights.MODEL for item in data)


def _endpoint(url: str, slots: int) -> Endpoint:
    return Endpoint(url, None, "the embedded model", slots=slots, free=True)


def _start(parallel: int, port: int) -> _Server:
    if importlib.util.find_spec("xllamacpp") is None:
        raise PromptopsError(
            "the embedded model needs its runtime, xllamacpp", hint="pip install 'promptops-git[local]'"
        )
    file = weights.path()
    processes: list[subprocess.Popen[str]] = []
    url = ""
    with tempfile.TemporaryFile("w+") as log:
        try:
            for _ in range(WORKERS):
                processes.append(_spawn(file, port, parallel, log))
                url = _address(processes[-1], log)
                port = urlsplit(url).port or 0
        except BaseException:
            _stop(processes)
            raise
    return _Server(processes, _endpoint(url, parallel * WORKERS))


def _spawn(file: str, port: int, parallel: int, log: IO[str]) -> subprocess.Popen[str]:
    # -P: nothing in the current folder is imported in place of what is installed.
    command = [sys.executable, "-P", "-m", "promptops.inference.local_server", file, str(port), str(parallel)]
    # A session of its own: Ctrl-C at the terminal is for us, who still collect what is under way.
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
    )


def _address(process: subprocess.Popen[str], log: IO[str]) -> str:
    """Wait for the line on which the server says where it listens, and see whether it answers there."""
    lines: list[str] = []

    def read() -> None:
        if process.stdout is not None:
            lines.append(process.stdout.readline().strip())

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(START_SECONDS)
    url = lines[0] + "/v1" if lines else ""
    if not url.startswith("http://127.0.0.1:") or not healthy(url):
        raise _failed(log)
    return url


def _failed(log: IO[str]) -> PromptopsError:
    log.seek(0)
    print(printable(log.read()[-_LOG_TAIL:], keep_newlines=True), file=sys.stderr)  # noqa: T201  the child's own log, many lines of it
    return PromptopsError(
        "the server of the embedded model did not start",
        hint="its last messages are above; the processor needs AVX2 and the port has to be free",
    )


def _stop(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
    for process in processes:
        try:
            process.wait(_HEALTH_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
