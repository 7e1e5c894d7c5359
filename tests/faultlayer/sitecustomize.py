"""Faults to order inside a real process: put this folder on PYTHONPATH, and the interpreter loads it before anything else.

A *point* is a moment at which the process is about to change something that outlives it, or has just begun or received
something: opening a file to write, each raw write, fsync, rename, link, unlink, mkdir, truncate, chmod, flock, starting a
process and having started it, connecting, sending, having received, ending. Each has a label; `label#n` is its n-th time.

``FAULT`` is a JSON object:

- ``watch``: folder whose files count; what is written elsewhere is no point.
- ``log``: file that gets a line for each point, when nothing else is to happen.
- ``at``: the point, as ``label#n``; ``do``: what happens there:
  ``kill`` (kill -9 of this process), ``torn`` (the same after half of the write), ``full`` (no space left from here on),
  ``pause`` (stop until SIGCONT).
- ``hurry``: waits of the event loop are over at once.
- ``clock``: seconds by which all clocks of this process and of the git that it starts are wrong.
"""

from __future__ import annotations

import builtins
import errno
import io
import json
import os
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import time

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# What needs room on the disk; the rest goes on when it is full.
_NEEDS_ROOM = ("open ", "write ", "mkdir ", "link ", "fsync ")
_real_write = os.write
_real_open = io.open


class Layer:
    """Counts points, and acts at one of them."""

    def __init__(self, order: dict) -> None:
        self.watch = os.path.realpath(order["watch"]) + os.sep
        self.log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND) if "log" in order else None
        self.at = order.get("at")
        self.do = order.get("do")
        self.full = False
        self.times: dict[str, int] = {}
        # What the child at the other end of a pipe is.
        self.pipes: dict[int, str] = {}

    def point(self, label: str, tear=None) -> None:
        times = self.times[label] = self.times.get(label, 0) + 1
        if self.log is not None:
            _real_write(self.log, f"{label}#{times}\n".encode())
        if f"{label}#{times}" == self.at:
            self.act(tear)
        if self.full and label.startswith(_NEEDS_ROOM) and not label.startswith("write to "):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def act(self, tear) -> None:
        if self.do == "full":
            self.full = True
        elif self.do == "pause":
            os.kill(os.getpid(), signal.SIGSTOP)
        else:
            if self.do == "torn" and tear is not None:
                tear()
            os.kill(os.getpid(), signal.SIGKILL)

    def name(self, path) -> str | None:
        """A path (or an open file) as it stands in labels, the same in every run; None when it does not count."""
        if isinstance(path, int):
            opened = os.readlink(f"/proc/self/fd/{path}")
            if not os.path.isabs(opened):
                return self.pipes.get(path) if opened.startswith(("pipe:", "socket:")) else None
            path = opened
        full = os.path.realpath(os.fsdecode(path))
        if not full.startswith(self.watch):
            return None
        return re.sub(r"(?<=/)[0-9a-f]{2}(?=/|$)|[0-9a-f]{8,}", "*", full.removeprefix(self.watch))

    def file(self, what: str, path, tear=None) -> None:
        name = self.name(path)
        if name is not None:
            self.point(f"{what} {name}", tear)


def _program(arguments) -> str:
    """A command line in as few words as tell its calls apart."""
    words = [os.fsdecode(word) for word in ([arguments] if isinstance(arguments, str | bytes) else arguments)]
    name = os.path.basename(words[0])
    if name == "git":
        rest = iter(words[1:])
        for word in rest:
            if word in ("-C", "-c"):
                next(rest)
            elif not word.startswith("-"):
                return f"git {word}"
    return " ".join([name, *words[1:3]]) if name == "ssh-keygen" else name


def _audit(layer: Layer):
    paths = {
        "os.rename": ("rename", 1), "os.remove": ("unlink", 0), "os.mkdir": ("mkdir", 0), "os.rmdir": ("rmdir", 0),
        "os.link": ("link", 1), "os.symlink": ("link", 1), "os.truncate": ("truncate", 0), "os.chmod": ("chmod", 0),
        "os.chown": ("chmod", 0), "os.utime": ("chmod", 0), "fcntl.flock": ("flock", 0), "fcntl.lockf": ("flock", 0),
    }  # fmt: skip

    def hook(event: str, args: tuple) -> None:
        if event == "open":
            if args[2] & _WRITING and not isinstance(args[0], int):
                layer.file("open", args[0])
        elif event in paths:
            what, index = paths[event]
            layer.file(what, args[index])
        elif event in ("subprocess.Popen", "os.posix_spawn"):
            layer.point(f"start {_program(args[1])}")
        elif event in ("os.fork", "os.exec", "os.system", "os.forkpty"):
            layer.point(event)
        elif event == "socket.connect" and isinstance(args[1], tuple):
            layer.point("connect")

    return hook


def _half(handle: int, data) -> memoryview:
    """What a kill may let through of a write; of a short one to a pipe all or nothing (POSIX, write)."""
    short = stat.S_ISFIFO(os.fstat(handle).st_mode) and len(data) <= select.PIPE_BUF
    return memoryview(data)[: 0 if short else len(data) // 2]


def _wrap_files(layer: Layer) -> None:
    class Raw(io.FileIO):
        def write(self, data):
            layer.file("write", self.fileno(), lambda: super(Raw, self).write(_half(self.fileno(), data)))
            return super().write(data)

        def truncate(self, size=None):
            layer.file("truncate", self.fileno())
            return super().truncate(size)

    def opened(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):  # noqa: FBT002, PLR0917  the signature of open
        if not set(mode) & set("wax+"):
            return _real_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
        raw = Raw(file, mode.replace("b", "").replace("t", ""), closefd, opener)
        if buffering == 0:
            return raw
        size = buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE
        buffered = io.BufferedRandom(raw, size) if "+" in mode and raw.seekable() else io.BufferedWriter(raw, size)
        if "b" in mode:
            return buffered
        text = io.TextIOWrapper(buffered, encoding, errors, newline, line_buffering=buffering == 1)
        text.mode = mode
        return text

    def write(handle, data):
        layer.file("write", handle, lambda: _real_write(handle, _half(handle, data)))
        return _real_write(handle, data)

    import _io

    builtins.open = io.open = _io.open = opened
    # What it has told is told: a process may be killed before and after it.
    layer.pipes[1] = "to stdout"
    sys.stdout = opened(1, "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors, closefd=False)
    os.write = write
    for name, what in (
        ("fsync", "fsync"),
        ("fdatasync", "fsync"),
        ("writev", "write"),
        ("pwrite", "write"),
        ("sendfile", "write"),
    ):
        setattr(os, name, _before(layer, what, getattr(os, name)))


def _before(layer: Layer, what: str, real):
    def call(handle, *args):
        layer.file(what, handle)
        return real(handle, *args)

    return call


def _wrap_processes(layer: Layer) -> None:
    real = subprocess.Popen.__init__

    def started(self, args, *rest, **keys):
        real(self, args, *rest, **keys)
        layer.point(f"started {_program(args)}")
        if self.stdin is not None:
            layer.pipes[self.stdin.fileno()] = f"to {_program(args)}"

    subprocess.Popen.__init__ = started


def _wrap_sockets(layer: Layer) -> None:
    def online(self) -> bool:
        return self.family in (socket.AF_INET, socket.AF_INET6)

    def sending(name):
        real = getattr(socket.socket, name)

        def call(self, data, *rest):
            if online(self):
                layer.point("send", lambda: real(self, data[: len(data) // 2]) if name != "sendmsg" else None)
            return real(self, data, *rest)

        return call

    def receiving(name):
        real = getattr(socket.socket, name)

        def call(self, *args):
            got = real(self, *args)
            if online(self) and got:
                layer.point("received")
            return got

        return call

    for name in ("send", "sendall", "sendmsg"):
        setattr(socket.socket, name, sending(name))
    for name in ("recv", "recv_into"):
        setattr(socket.socket, name, receiving(name))


def _turn_clock(seconds: float) -> None:
    import datetime  # noqa: ICN001  the module itself is changed

    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() + seconds
    time.time_ns = lambda: now_ns() + int(seconds) * 10**9
    for name in ("gmtime", "localtime"):
        setattr(time, name, _at(getattr(time, name)))
    strftime, gmtime = time.strftime, time.localtime
    time.strftime = lambda form, moment=None: strftime(form, gmtime() if moment is None else moment)

    class Wrong(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(time.time(), tz)

    datetime.datetime = Wrong
    for role in ("AUTHOR", "COMMITTER"):
        os.environ[f"GIT_{role}_DATE"] = f"@{int(time.time())} +0000"


def _at(real):
    return lambda seconds=None: real(time.time() if seconds is None else seconds)


def _install(order: dict) -> None:
    if "clock" in order:
        _turn_clock(order["clock"])
    if order.get("hurry"):
        import asyncio

        sleep = asyncio.sleep
        asyncio.sleep = lambda seconds, result=None: sleep(min(seconds, 0.01), result)
    import atexit

    layer = Layer(order)
    _wrap_files(layer)
    _wrap_processes(layer)
    _wrap_sockets(layer)
    atexit.register(layer.point, "exit")
    sys.addaudithook(_audit(layer))


if "FAULT" in os.environ:
    _install(json.loads(os.environ.pop("FAULT")))
