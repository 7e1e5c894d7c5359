"""The order in which a canary asks its cases: fixed by a seed before the first reply is seen."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from promptops.errors import InputError
from promptops.registry import canonical

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence


# Parts of a draw's key, and of the key of one of several calls.
_KEYS = ([str, str, int], [str, str, int, str, int, str])


class Draw(NamedTuple):
    """One case to ask, in both arms.

    Attributes:
        suite: name of the suite, or of the traffic that the suite judges.
        case: id of the case in that suite.
        replicate: 0 when a case is asked for the first time, 1 for the second, ...
        candidate_first: whether the candidate's request is sent before the baseline's.
    """

    suite: str
    case: str
    replicate: int
    candidate_first: bool

    @property
    def key(self) -> str:
        """Name of this draw within the evidence."""
        return canonical.dumps([self.suite, self.case, self.replicate]).decode()


def seed(*, previous_release: str | None, candidate: str, baseline: str | None, suites: Mapping[str, str]) -> str:
    """Return the seed of a canary's order as hex.

    Nobody can try orders out: the previous release's digest is known only once that release is signed, and every
    other part changes what is judged.

    Args:
        previous_release: digest of the previous release's manifest; None for a first release.
        candidate: digest of the candidate's configuration.
        baseline: digest of the baseline's configuration, or None.
        suites: digest by suite name.
    """
    parts = {"previous": previous_release, "candidate": candidate, "baseline": baseline, "suites": dict(suites)}
    return canonical.sha256({"type": "promptops/order/1", **parts}).removeprefix("sha256:")


def call_key(draw: Draw, view: str, turn: int, by: str = "") -> str:
    """Return the name of one call of a draw within the evidence; that of a case's only call is the draw's.

    Args:
        draw: what was drawn.
        view: name of the view.
        turn: 0 for the first reply of the session.
        by: who asks, where it is not the user that the case writes down.
    """
    if not (view or turn or by):
        return draw.key
    return canonical.dumps([draw.suite, draw.case, draw.replicate, view, turn, by]).decode()


def drawn(key: str) -> tuple[str, str, int] | None:
    """Return suite, case and replicate of a call's key; None for any other text."""
    try:
        value = canonical.loads(key.encode())
    except (InputError, UnicodeEncodeError):
        return None
    kinds = [type(part) for part in value] if isinstance(value, list) else []
    return (value[0], value[1], value[2]) if kinds in _KEYS else None


class Again:
    """The draws of an earlier run in a new order, each once; suites take turns.

    Args:
        seed: hex.
        draws: suite, case and replicate of each.
    """

    def __init__(self, seed: str, draws: Iterable[tuple[str, str, int]]) -> None:
        placed: dict[str, list[tuple[bytes, Draw]]] = {}
        for draw in dict.fromkeys(draws):
            place = hashlib.sha256(bytes.fromhex(seed) + canonical.dumps(list(draw))).digest()
            placed.setdefault(draw[0], []).append((place, Draw(*draw, candidate_first=True)))
        self._left = {suite: [draw for _, draw in sorted(items)] for suite, items in sorted(placed.items())}

    def take(self, count: int, live: Collection[str]) -> list[Draw]:
        """Return the next ``count`` draws from the suites in ``live``, fewer when there are no more."""
        found: list[Draw] = []
        while len(found) < count:
            suites = [suite for suite, left in self._left.items() if left and suite in live]
            if not suites:
                break
            found += [self._left[suite].pop(0) for suite in suites[: count - len(found)]]
        return found


class Order:
    """An endless order over the cases of several suites.

    Within a suite the cases come in a permutation that the seed fixes; when all were asked, a further round asks them
    again in another permutation. Between suites the order takes turns, those with unasked cases first, so that every
    guardrail gets pairs early.

    A replicate sends exactly the request that was sent before, decoding ``seed`` included: a request with another seed
    would not be the one that is released. Further rounds therefore sharpen what is known about the cases in the pool
    and say nothing about other cases; where an endpoint honours ``seed`` or samples nothing they repeat themselves.

    Args:
        seed: hex from `seed`.
        pools: case ids by suite name; suites without cases are left out.
        times: how often a round asks a case, by suite and id; others once.
    """

    def __init__(
        self, seed: str, pools: Mapping[str, Sequence[str]], times: Mapping[tuple[str, str], int] | None = None
    ) -> None:
        self._seed = bytes.fromhex(seed)
        often = times or {}
        self._pools = {
            suite: tuple(case for case in cases for _ in range(often.get((suite, case), 1)))
            for suite, cases in pools.items()
            if cases
        }
        self._drawn = dict.fromkeys(self._pools, 0)
        self._round: dict[str, list[tuple[str, int]]] = {}

    def take(self, count: int, live: Collection[str]) -> list[Draw]:
        """Return the next ``count`` draws from the suites in ``live``; none when no suite is live."""
        return [self._next(suites) for suites in [[name for name in self._pools if name in live]] * count if suites]

    def _next(self, suites: Sequence[str]) -> Draw:
        suite = min(suites, key=self._turn)
        pool = self._pools[suite]
        turn, position = divmod(self._drawn[suite], len(pool))
        if position == 0:
            asked = [
                (case, copy)
                for case, copies in Counter(pool).items()
                for copy in range(copies * turn, copies * (turn + 1))
            ]
            self._round[suite] = sorted(asked, key=lambda each: self._hash("order", suite, *each))
        self._drawn[suite] += 1
        case, replicate = self._round[suite][position]
        return Draw(suite, case, replicate, self._hash("arm", suite, case, replicate)[0] < 128)

    def _turn(self, suite: str) -> tuple[int, int, bytes]:
        drawn = self._drawn[suite]
        return drawn // len(self._pools[suite]), drawn, self._hash("suite", suite, "", 0)

    def _hash(self, purpose: str, suite: str, case: str, replicate: int) -> bytes:
        return hashlib.sha256(self._seed + canonical.dumps([purpose, suite, case, replicate])).digest()
