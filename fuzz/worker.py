"""One process that feeds one target: every input has two seconds of processor time and 512 MB.

    python fuzz/worker.py TARGET SEED COUNT CRASHES

writes lines of JSON: ``progress`` now and then, ``violation`` at once, ``done`` at the end. The input that is being
judged also stands in CRASHES/current-PID, for when this process dies of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from typing import TYPE_CHECKING, Any

import targets
from mutation import Mutator, seeds

from promptops.errors import PromptopsError

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 2.0
MEGABYTES = 512
_ROOM = 8 << 20
_BITS = 28
_MOST_VIOLATIONS = 10
_MOST_OUTCOMES = 5000
_ACCEPTED = "accepted"


class HangError(BaseException):
    """An input took its whole time; no handler for errors may swallow it."""


class Judge:
    """Runs a target on one input after the other and keeps count.

    Args:
        function: the target.
        current: file for the input that is being judged.
    """

    def __init__(self, function: Callable[[bytes], None], current: str) -> None:
        self._function = function
        self._file = open(current, "w+b")  # noqa: SIM115  open as long as the process
        self._file.truncate(_ROOM)
        self._current = mmap.mmap(self._file.fileno(), _ROOM)
        self.counts = {_ACCEPTED: 0, "refused": 0, "violations": 0}
        self.outcomes: set[str] = set()
        self.slowest = (0.0, b"")
        signal.signal(signal.SIGPROF, _stop)

    def warm(self, corpus: list[bytes]) -> None:
        """Run the seeds uncounted: imports and compiled schemas are neither time nor memory of an input."""
        for data in corpus:
            with contextlib.suppress(Exception):
                self._function(data)

    def judge(self, data: bytes) -> tuple[str, BaseException | None]:
        """Return what became of one input, and the error where a promise was broken."""
        self._current[:8] = len(data).to_bytes(8, "big")
        self._current[8 : 8 + len(data)] = data
        found: BaseException | None = None
        outcome = _ACCEPTED
        start = time.thread_time()
        try:
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            self._function(data)
        except PromptopsError as error:
            if isinstance(error.__cause__ or error.__context__, MemoryError):
                found = error.__cause__ or error.__context__
            outcome = _route(error)
        except BaseException as error:
            found = error
            outcome = f"{_route(error)} {type(error).__name__}"
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        spent = time.thread_time() - start
        if spent > self.slowest[0]:
            self.slowest = (spent, data)
        self.counts["violations" if found else _ACCEPTED if outcome == _ACCEPTED else "refused"] += 1
        return outcome, found

    def close(self) -> None:
        """Let go of the file."""
        self._current.close()
        self._file.close()

    def is_new(self, outcome: str) -> bool:
        """Return whether an outcome was not seen before."""
        if outcome in self.outcomes or len(self.outcomes) >= _MOST_OUTCOMES:
            return False
        self.outcomes.add(outcome)
        return True


class Distinct:
    """Recognises inputs that were drawn before; one in some hundreds is taken for another, none is taken twice."""

    def __init__(self) -> None:
        # Written, so that it is no memory of an input.
        self._seen = bytearray(b"\1") * (1 << _BITS - 3)
        self._seen[:] = bytes(len(self._seen))

    def add(self, data: bytes) -> bool:
        """Return whether ``data`` is new."""
        slot = int.from_bytes(hashlib.blake2b(data, digest_size=4).digest(), "big") >> 32 - _BITS
        new = not self._seen[slot >> 3] >> (slot & 7) & 1
        self._seen[slot >> 3] |= 1 << (slot & 7)
        return new


def run(name: str, seed: str, count: int, crashes: str) -> None:
    """Judge ``count`` distinct inputs, the seeds first."""
    warnings.simplefilter("error")
    target = targets.load(name)
    corpus = seeds(name)
    mutator = Mutator(f"{name}:{seed}", corpus, target.PIECES, target.SPLIT)
    os.makedirs(crashes, exist_ok=True)
    current = os.path.join(crashes, f"current-{os.getpid()}")
    judge, distinct, told = Judge(target.target, current), Distinct(), time.monotonic()
    judge.warm(corpus)
    base = _limit_memory()
    waiting = corpus[::-1]
    done = 0
    for _ in range(count * 4):
        if done >= count or judge.counts["violations"] >= 1000:
            break
        data = waiting.pop() if waiting else mutator.next()
        if not distinct.add(data):
            continue
        done += 1
        outcome, error = judge.judge(data)
        if judge.is_new(outcome):
            mutator.keep(data, accepted=outcome == _ACCEPTED)
            if error is not None and judge.counts["violations"] <= _MOST_VIOLATIONS:
                _tell("violation", path=keep(crashes, name, data), error=describe(error))
        elif outcome == _ACCEPTED and done % 50 == 0:
            mutator.keep(data, accepted=True)
        if done % 64 == 0 and time.monotonic() - told > 2:
            told = time.monotonic()
            _tell("progress", done=done)
    spent, slowest = judge.slowest
    if spent > 0.5:
        keep(crashes, f"slow-{name}", slowest)
    _tell("done", done=done, **judge.counts, outcomes=sorted(judge.outcomes), slowest=spent, memory=_peak() - base)
    os.unlink(current)
    judge.close()


def keep(crashes: str, name: str, data: bytes) -> str:
    """Write an input to the folder of crashes and return its path."""
    path = os.path.join(crashes, f"{name}-{hashlib.sha256(data).hexdigest()[:12]}")
    with open(path, "wb") as file:
        file.write(data)
    return path


def describe(error: BaseException) -> str:
    """Return an error with its place, in one line."""
    return f"{type(error).__name__} at {_place(error)}: {str(error)[:300]!r}"


def interrupted(current: str) -> bytes:
    """Return the input that a process was judging when it died."""
    with open(current, "rb") as file:
        content = file.read()
    return content[8 : 8 + int.from_bytes(content[:8], "big")]


def _limit_memory() -> int:
    """Allow `MEGABYTES` beyond what is used now; return the most that was used so far, in MB."""
    with open("/proc/self/status", encoding="ascii") as file:
        used = next(int(line.split()[1]) for line in file if line.startswith("VmData")) << 10
    resource.setrlimit(resource.RLIMIT_DATA, (used + (MEGABYTES << 20), resource.RLIM_INFINITY))
    return _peak()


def _peak() -> int:
    """Return the most memory that was used at once, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def _stop(_number: int, _frame: Any) -> None:
    raise HangError(f"more than {SECONDS:g} s of processor time")


def _place(error: BaseException) -> str:
    frames = list(traceback.walk_tb(error.__traceback__))
    if not frames:
        return "?"
    frame, line = frames[-1]
    return f"{os.path.basename(frame.f_code.co_filename)}:{line}"


def _route(error: BaseException) -> str:
    """Return the last four distinct places of an error: one name for all inputs that are refused for one reason."""
    places = dict.fromkeys((frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__))
    return " ".join(f"{os.path.basename(name)}:{line}" for name, line in list(places)[-4:])


def _tell(kind: str, **values: object) -> None:
    print(json.dumps({"kind": kind, **values}), flush=True)


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
