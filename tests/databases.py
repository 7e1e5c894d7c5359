"""A real PostgreSQL for as long as a block lasts."""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from typing import NamedTuple

PASSWORD = "correct horse"


class Server(NamedTuple):
    """Where a server listens."""

    port: int

    def url(self, password: str = "correct%20horse") -> str:
        return f"postgres://tester:{password}@127.0.0.1:{self.port}/postgres"


def programs() -> str | None:
    """The folder of initdb and postgres, or None where PostgreSQL is not installed."""
    found = shutil.which("initdb")
    if found is None and shutil.which("pg_config"):
        folder = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=True).stdout.strip()
        found = shutil.which("initdb", path=folder)
    found = found or next(iter(sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), reverse=True)), None)
    return os.path.dirname(os.path.realpath(found)) if found else None


def identity() -> dict:
    """Who runs it: it refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    names = [entry.pw_name for entry in pwd.getpwall()]
    entry = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


@contextlib.contextmanager
def postgres(folder: str):
    """Start a server whose programs are in ``folder``; it listens on 127.0.0.1 and asks for a password."""
    who = identity()
    # Not below a folder of root's alone.
    with tempfile.TemporaryDirectory(prefix="promptops-postgres-", ignore_cleanup_errors=True) as place:
        secret = os.path.join(place, "password")
        with open(secret, "w", encoding="utf-8") as file:
            file.write(PASSWORD + "\n")
        for path in (place, secret):
            os.chown(path, who.get("user", -1), who.get("group", -1))
        data = os.path.join(place, "data")
        words = ["-D", data, "-U", "tester", f"--pwfile={secret}", "-A", "scram-sha-256", "-E", "UTF8", "--no-sync"]
        subprocess.run(
            [os.path.join(folder, "initdb"), *words], check=True, capture_output=True, timeout=300, cwd=place, **who
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": place, "fsync": "off", "port": port}
        server = subprocess.Popen(
            [os.path.join(folder, "postgres"), "-D", data, *(f"--{name}={value}" for name, value in options.items())],
            stderr=subprocess.PIPE, text=True, cwd=place, **who,
        )  # fmt: skip
        try:
            # It says so when it is; where it cannot start, the lines end.
            said = []
            while "ready to accept connections" not in "".join(said[-1:]):
                said.append(server.stderr.readline())
                assert said[-1], "".join(said)
            yield Server(port)
        finally:
            server.send_signal(signal.SIGQUIT)
            server.communicate(timeout=60)
