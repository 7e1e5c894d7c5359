"""What all runs of one piece of work used, on disk before it is used."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import PromptopsError
from promptops.inference.lines import LineFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Usage(NamedTuple):
    """Tokens and money of one attempt."""

    tokens: int
    cost: float


class Spent(NamedTuple):
    """What runs used together.

    Attributes:
        requests: attempts that were sent.
        tokens: as billed, or the worst case of attempts that brought no bill.
        cost: likewise, in the price's currency.
        seconds: from each run's first attempt to its last answer.
        ratio: the most that an answer was billed, as a multiple of its worst case; 1 at least.
    """

    requests: int = 0
    tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0
    ratio: float = 1.0


class Ledger:
    """One line before an attempt is sent and one when its use is known.

    An attempt without the second line belongs to a run that was killed: it counts as its worst case, and the run as
    having lasted until the attempt would have been given up, or until now where that is sooner.

    Args:
        path: file to open or create. Whoever opens it holds the lock of the journal beside it.
        before: what the journal's own replies used; nothing less counts, as where an older version kept no ledger.
        wall: seconds since the epoch.

    Raises:
        PromptopsError: it cannot be opened, or holds something else.
    """

    def __init__(self, path: str, before: Spent, *, wall: Callable[[], float] = time.time) -> None:
        self._file = LineFile(path)
        self._wall = wall
        self._begun = False
        self._sent = 0
        try:
            recorded = _Reader(before).read(self._file.load(), path, wall())
            # A journal that an older version wrote to holds replies that the ledger does not know.
            self.spent = Spent(
                max(recorded.requests, before.requests),
                max(recorded.tokens, before.tokens),
                max(recorded.cost, before.cost),
                recorded.seconds,
                recorded.ratio,
            )
        except BaseException:
            self._file.close()
            raise

    def send(self, worst: Usage, at: float, lasting: float) -> int:
        """Record an attempt that is about to be sent, and return its number.

        Args:
            worst: the most that it is expected to use.
            at: seconds since this run's first attempt.
            lasting: seconds after which it is given up.

        Raises:
            PromptopsError: it could not be written: do not send.
        """
        if not self._begun:
            self._file.append({"run": self._wall(), **self.spent._asdict()})
            self._begun = True
        self._file.append(
            {"sent": self._sent + 1, "at": at, "lasting": lasting, "tokens": worst.tokens, "cost": worst.cost}
        )
        self._sent += 1
        return self._sent

    def settle(self, number: int, used: Usage, at: float, ratio: float) -> None:
        """Record what an attempt used.

        Args:
            number: from `send`.
            used: what it used.
            at: seconds since this run's first attempt.
            ratio: the largest so far, as in `Spent`.

        Raises:
            PromptopsError: it could not be written; the attempt stays recorded as its worst case.
        """
        self._file.append({"settled": number, "at": at, "tokens": used.tokens, "cost": used.cost, "ratio": ratio})

    def close(self) -> None:
        """Flush to the disk."""
        self._file.close()


def check(lines: Iterable[bytes], path: str) -> None:
    """Check that these are the lines of a ledger.

    Raises:
        PromptopsError: one of them is none.
    """
    _Reader(Spent()).read(lines, path, 0.0)


class _Reader:
    """Adds the lines up: a run's line holds all that was used before it."""

    def __init__(self, before: Spent) -> None:
        self._spent = before
        self._run: float | None = None
        self._last = 0.0
        self._open: dict[int, tuple[Usage, float]] = {}

    def read(self, lines: Iterable[bytes], path: str, now: float) -> Spent:
        for number, line in enumerate(lines, 1):
            try:
                self._take(json.loads(line))
            except (ValueError, TypeError, KeyError, RecursionError) as error:
                raise PromptopsError(
                    "this line holds no account of what was spent",
                    path=path,
                    line=number,
                    hint="move the whole folder away to start again",
                ) from error
        spent = self._spent
        for worst, _ in self._open.values():
            spent = _added(spent, Usage(round(worst.tokens * spent.ratio), worst.cost * spent.ratio))
        return spent._replace(seconds=spent.seconds + self._elapsed(now))

    def _take(self, line: dict[str, Any]) -> None:
        if "run" in line:
            self._run, self._last, self._open = _number(line["run"]), 0.0, {}
            requests, tokens, *others = (_number(line[name]) for name in Spent._fields)
            self._spent = Spent(int(requests), int(tokens), *others)
            return
        usage, at = Usage(int(_number(line["tokens"])), _number(line["cost"])), _number(line["at"])
        self._last = max(self._last, at)
        if "sent" in line:
            self._open[line["sent"]] = usage, at + _number(line["lasting"])
            self._spent = self._spent._replace(requests=self._spent.requests + 1)
        else:
            del self._open[line["settled"]]
            self._spent = _added(self._spent, usage)._replace(ratio=_number(line["ratio"]))

    def _elapsed(self, now: float) -> float:
        if not self._open or self._run is None:
            return self._last
        given_up = min(end for _, end in self._open.values())
        return max(self._last, min(given_up, now - self._run))


def _number(value: object) -> float:
    # False for NaN and infinity too.
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e300:
        raise TypeError("no count and no amount")
    return value


def _added(spent: Spent, used: Usage) -> Spent:
    return spent._replace(tokens=spent.tokens + used.tokens, cost=spent.cost + used.cost)
