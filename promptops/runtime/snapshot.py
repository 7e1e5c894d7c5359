"""Prompts from a snapshot file: one stat per call, and the last good content when the file breaks.

Templates are rendered by `promptops.registry.template`, which imports nothing but Jinja2, so that an application sends
exactly what the canary judged.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import InputError, PromptopsError, UsageError
from promptops.runtime import good_copy, signature
from promptops.runtime.choosing import Pin, Prompt
from promptops.runtime.document import parse, read, sequence, serialize
from promptops.runtime.resolved import Resolved
from promptops.runtime.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Resolved", "Snapshot", "load", "opened", "parse", "serialize"]

VARIABLE = "PROMPTOPS_SNAPSHOT"
MAX_AGE, SIGNERS, GOOD = f"{VARIABLE}_MAX_AGE", f"{VARIABLE}_SIGNERS", f"{VARIABLE}_GOOD"
DEFAULT_PATH = "promptops-snapshot.json"
_SESSIONS = 1 << 16
# What no good file ends, and so is said once for ever.
_LASTING = frozenset({"pin", "keep"})
_log = logging.getLogger("promptops")


class _Served(NamedTuple):
    """What is in service; replaced as one, so that a reader never mixes two files."""

    environment: str
    created: float
    entries: Mapping[str, dict[str, Any]]
    prompts: dict[str, Prompt]


class Snapshot:
    """A snapshot file, re-read when it changes. Threads and forked processes may share one.

    Args:
        path: the file that ``promptops snapshot -o`` writes.
        max_age: seconds after which it is too old, see `stale`; None for never. A watch renews the file at least once
            a minute, unless a prompt no longer verifies or its remote does not answer.
        signers: path of a file of allowed signers; with it only a file that one of them signed goes into service.
        good: path of a copy of the last good content. It is renewed when the prompts change and it can be written, and
            serves after a restart when the file is missing or broken.
        sessions: how many sessions are remembered at most.

    Attributes:
        error: what is wrong with the file, or None.
    """

    def __init__(
        self,
        path: str,
        *,
        max_age: float | None = None,
        signers: str | None = None,
        good: str | None = None,
        sessions: int = _SESSIONS,
    ) -> None:
        self.path = path
        self.max_age = max_age
        self.error: PromptopsError | None = None
        self._signers = signers
        self._good = good
        self._sessions = Sessions(sessions)
        self._served = _Served("", 0, {}, {})
        self._seen: tuple[int, int, int] | None = None
        self._said: set[str] = set()
        self._lock = threading.Lock()
        self._checking = False
        _all.add(self)

    @property
    def environment(self) -> str:
        """What the prompts are live in."""
        return self._served.environment

    @property
    def created(self) -> float:
        """Seconds since 1970 at which everything in it was verified."""
        return self._served.created

    @property
    def stale(self) -> bool:
        """Whether the content is older than ``max_age``, or the file is broken and older content is served.

        While it is older than ``max_age`` everybody gets the stable release.
        """
        self._refresh()
        return self._too_old(self._served) or self.error is not None

    def load(
        self,
        name: str,
        *,
        unit: str | None = None,
        session: str | None = None,
        unit_type: str = "user",
        pin: str | None = None,
    ) -> Resolved:
        """Return a prompt as it is live now; the arguments are those of the function `load`.

        Raises:
            UsageError: unit, session or pin are no text.
            PromptopsError: there is no readable snapshot and there never was one, or it serves no such prompt.
        """
        self._refresh()
        served = self._served
        prompt = served.prompts.get(name) or self._prompt(served, name)
        for word, given in (("unit", unit), ("session", session), ("pin", pin)):
            if given is not None and not isinstance(given, str):
                raise UsageError(f"{word} is {type(given).__name__}, not str", hint=f"{word}=str(...)")
        key = (name, session or "")
        held = (self._pin(pin) if pin else None) or (self._sessions.get(key) if session else None)
        choice = prompt.choose(unit, held, current=not self._too_old(served))
        if session:
            found = Pin(prompt.rollout, choice.arm, choice.body.mark)
            if found != held or pin:
                self._sessions.put(key, found)
        return Resolved(prompt, choice, unit or None, unit_type, session or None)

    def _prompt(self, served: _Served, name: str) -> Prompt:
        if name not in served.entries:
            if self.error is not None and not served.entries:
                raise self.error
            environment = served.environment
            raise PromptopsError(
                f"{environment or self.path} serves no prompt {name}",
                hint=f"promptops promote {name} --env {environment or 'ENV'} --reason REASON",
            )
        return served.prompts.setdefault(name, Prompt(name, served.environment, served.entries[name]))

    def _pin(self, text: str) -> Pin | None:
        found = Pin.parse(text)
        if found is None:
            # Of a later version, perhaps: no reason to fail a request.
            self._say("pin", "a pin that was given to load is none; it is ignored")
        return found

    def _too_old(self, served: _Served) -> bool:
        if self.max_age is None or not time.time() - served.created > self.max_age:
            return False
        if served.entries:
            self._say("age", f"{self.path} is older than {self.max_age:g} s: everybody gets the stable release")
        return True

    def _refresh(self) -> None:
        try:
            status = os.stat(self.path)
        except OSError as error:
            # The very same file may come back, and only reading it ends the alarm.
            self._seen = None
            self._fail(
                PromptopsError(
                    f"there is no snapshot at {self.path}: {error.strerror}",
                    hint=f"promptops snapshot --env ENV -o {self.path}",
                )
            )
            return
        seen = (status.st_mtime_ns, status.st_size, status.st_ino)
        if seen != self._seen:
            self._look(seen)

    def _look(self, seen: tuple[int, int, int]) -> None:
        """Read the file again; who comes meanwhile, or would wait for a signature, gets what is in service."""
        serving = bool(self._served.entries)
        if not serving or self._signers is None:
            self._read(seen, wait=not serving)
        elif not self._checking:
            self._checking = True
            try:
                threading.Thread(target=self._read, args=(seen,), daemon=True, name="promptops-snapshot").start()
            except RuntimeError:
                # The interpreter is ending, or there are too many threads: a later call tries again.
                self._checking = False

    def _read(self, seen: tuple[int, int, int], *, wait: bool = False) -> None:
        lock = self._lock
        if not lock.acquire(blocking=wait):
            return
        try:
            if seen != self._seen:
                self._take()
                # With nothing in service the next call tries again: what failed may have been the verifier.
                self._seen = seen if self._served.entries else None
        finally:
            self._checking = False
            lock.release()

    def _take(self) -> None:
        self._recall()
        try:
            with open(self.path, "rb") as file:
                data = file.read()
            found = self._verified(data)
        except (OSError, PromptopsError) as error:
            hint = error.hint if isinstance(error, PromptopsError) else None
            kind = type(error) if isinstance(error, PromptopsError) else InputError
            self._fail(kind(f"the snapshot cannot be read: {error}", hint=hint, path=self.path))
            return
        before = self._served
        if before.entries and before.environment != found.environment:
            self._fail(
                InputError(f"the snapshot is of {found.environment}, not of {before.environment}", path=self.path)
            )
            return
        kept = {
            name: entry
            for name, entry in before.entries.items()
            if name in found.entries and sequence(found.entries[name]) < sequence(entry)
        }
        self._served = found._replace(entries={**found.entries, **kept})
        if kept:
            names = ", ".join(sorted(kept))
            self._fail(InputError(f"the snapshot went back behind the decision in service: {names}", path=self.path))
            return
        self._recover()
        if self._good is not None and before.entries != found.entries:
            self._keep(self._good, data)

    def _verified(self, data: bytes) -> _Served:
        found = read(data)
        if self._signers is not None:
            signature.verify(found.payload, found.signature, self._signers)
        document = found.document
        return _Served(document["environment"], document["created"], document["prompts"], {})

    def _recall(self) -> None:
        """Begin with the good copy, so that after a restart, too, nothing goes back behind it."""
        if self._served.entries or self._good is None:
            return
        try:
            self._served = self._verified(good_copy.read(self._good))
        except FileNotFoundError:
            return
        except (OSError, PromptopsError) as error:
            self._say("good", f"the good copy at {self._good} cannot be read: {error}")

    def _keep(self, path: str, data: bytes) -> None:
        try:
            good_copy.write(path, data)
        except PermissionError:
            # One that came with the application stays as it is.
            return
        except OSError as error:
            self._say("keep", f"no good copy can be written to {path}: {error}")

    def _fail(self, error: PromptopsError) -> None:
        """Keep in service what was good; `stale` and `error` tell, and the log once."""
        if not self._served.entries:
            self._recall()
        self.error = error
        what = "what was read last stays in service" if self._served.entries else "there is nothing to serve"
        self._say(error.message, f"{error.message}: {what}")

    def _recover(self) -> None:
        self.error = None
        if self._said - _LASTING and not self._too_old(self._served):
            self._said &= _LASTING
            _log.info("%s is good again", self.path)

    def _say(self, kind: str, text: str) -> None:
        if kind not in self._said:
            self._said.add(kind)
            # Names in a file may hold anything.
            _log.warning("%s", text if text.isprintable() else ascii(text))

    def _forked(self) -> None:
        """Forget what the threads of the parent process were doing."""
        self._lock = threading.Lock()
        self._checking = False


_all: weakref.WeakSet[Snapshot] = weakref.WeakSet()
_open: dict[str, Snapshot] = {}


def _after_fork() -> None:
    for each in _all:
        each._forked()  # noqa: SLF001  of this module


os.register_at_fork(after_in_child=_after_fork)


def opened(path: str | None = None) -> Snapshot:
    """Return the snapshot that `load` reads, such as for a health check's `Snapshot.stale`.

    Args:
        path: of the file; without it PROMPTOPS_SNAPSHOT, or ``promptops-snapshot.json``.

    Raises:
        UsageError: PROMPTOPS_SNAPSHOT_MAX_AGE is no number of seconds.
    """
    chosen = path or os.environ.get(VARIABLE, DEFAULT_PATH)
    found = _open.get(chosen)
    if found is None:
        made = Snapshot(chosen, max_age=_max_age(), signers=os.environ.get(SIGNERS), good=os.environ.get(GOOD) or None)
        found = _open.setdefault(chosen, made)
    return found


def load(
    name: str,
    *,
    unit: str | None = None,
    session: str | None = None,
    unit_type: str = "user",
    pin: str | None = None,
    snapshot: str | None = None,
) -> Resolved:
    """Return a prompt as its environment serves it now.

    Args:
        name: the prompt, such as ``support/reply``.
        unit: identifier of what a rollout assigns as a whole, best the user; without one the release is the stable one.
        session: identifier of the conversation; this process remembers what it began with, and goes on with it.
        unit_type: what kind of unit it is.
        pin: `Resolved.pin` of an earlier turn of this conversation, which another process may have served.
        snapshot: path of the snapshot file; without it PROMPTOPS_SNAPSHOT, or ``promptops-snapshot.json``.

    Raises:
        UsageError: unit, session or pin are no text.
        PromptopsError: there is no snapshot, or it serves no such prompt.
    """
    return opened(snapshot).load(name, unit=unit, session=session, unit_type=unit_type, pin=pin)


def _max_age() -> float | None:
    text = os.environ.get(MAX_AGE)
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = float("nan")
    if not seconds > 0:
        raise UsageError(f"{MAX_AGE} is {text!r}, no number of seconds", hint=f"{MAX_AGE}=300")
    return seconds
