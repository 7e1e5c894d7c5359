"""What the pairs of a canary say about one guardrail.

Harm is how much worse the candidate is than the baseline in the metric's own direction, counted in thousandths so that
the record is exact and the verdict comes out the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from promptops.errors import InputError
from promptops.statistics.betting import Capital, Interval, lower_bound, upper_bound
from promptops.statistics.series import GRID

Direction = Literal["lower", "higher"]
Mode = Literal["paired", "absolute"]


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A metric that must not get worse.

    Attributes:
        metric: name of a score in [0, 1]: an evaluator of the suite, or ``expected``.
        direction: where better lies.
        margin: tolerated worsening of the mean against the baseline, in [0, 1).
        limit: worst tolerated mean of a first release, in (0, 1); None when a first release cannot be judged by it.
    """

    metric: str
    direction: Direction
    margin: float
    limit: float | None


@dataclass(slots=True)
class Track:
    """One guardrail's record, grown by one pair at a time.

    Attributes:
        name: the caller's name of the guardrail.
        metric: as in `Guardrail`, like direction, margin and limit.
        mode: ``paired`` against a baseline, ``absolute`` against the limit.
        harms: harm in thousandths by pair of the canary; None where the pair does not bear on the guardrail. In
            absolute mode the score itself, mirrored where higher is better.
        lost: positions in ``harms`` of pairs whose candidate gave no reply.
        n: pairs that bear on it.
        baseline: sum of the baseline's scores over these, in thousandths.
        candidate: sum of the candidate's.
        unscored: replies of baseline and candidate whose score could not be read.
        harmed: proved beyond the margin together with the other guardrails; the gate sets it.
        safe: e-process against "harm is at least the margin".
        harm: e-process against "harm is at most the margin".
    """

    name: str
    metric: str
    direction: Direction
    margin: float
    limit: float | None
    mode: Mode
    harms: list[int | None] = field(default_factory=list)
    lost: set[int] = field(default_factory=set)
    n: int = 0
    baseline: int = 0
    candidate: int = 0
    unscored: tuple[int, int] = (0, 0)
    harmed: bool = False
    safe: Capital = field(init=False)
    harm: Capital = field(init=False)

    def __post_init__(self) -> None:
        null = self._null()
        self.safe = Capital(null, at_least=True)
        self.harm = Capital(null, at_least=False)

    def _null(self) -> float:
        """Return the mean of `_observation` at which the harm is just tolerated."""
        if self.mode == "paired":
            if not 0.0 <= self.margin < 1.0:
                raise InputError(f"guardrail {self.name}: margin {self.margin} lies outside [0, 1)")
            return (1.0 + self.margin) / 2.0
        if self.limit is None:
            raise InputError(
                f"guardrail {self.name} has no limit, and a first release has no baseline to compare with",
                hint="add `limit:` to the guardrail in its suite",
            )
        if not 0.0 < self.limit < 1.0:
            raise InputError(f"guardrail {self.name}: limit {self.limit} does not lie strictly between 0 and 1")
        return self.limit if self.direction == "lower" else 1.0 - self.limit

    def _observation(self, harm: int) -> float:
        return (harm + GRID) / (2 * GRID) if self.mode == "paired" else harm / GRID

    def read(self, baseline: float | None, candidate: float | None, *, lost: bool = False) -> int | None:
        """Count a pair's scores in [0, 1], None where unreadable or ``lost``, and return its harm for `push`."""
        old = None if baseline is None else round(baseline * GRID)
        new = (GRID if self.direction == "lower" else 0) if candidate is None else round(candidate * GRID)
        judged = self.mode == "absolute" or old is not None
        self.unscored = (self.unscored[0] + (not judged), self.unscored[1] + (candidate is None and not lost))
        if not judged:
            return None
        self.candidate += new
        if self.mode == "absolute" or old is None:
            return new if self.direction == "lower" else GRID - new
        self.baseline += old
        return new - old if self.direction == "lower" else old - new

    def push(self, harm: int | None, *, lost: bool = False) -> None:
        """Append a pair's harm and bet on it; a lost reply's stands against a pass and is no proof of harm."""
        if lost:
            self.lost.add(len(self.harms))
        self.harms.append(harm)
        if harm is not None:
            self.n += 1
            x = self._observation(harm)
            self.safe.update(x)
            if not lost:
                self.harm.update(x)

    def scored_shares(self) -> tuple[float, float]:
        """Return the share of readable scores among replies of baseline and candidate."""
        asked = self.n + self.unscored[0]
        if not asked:
            return 1.0, 1.0
        return 1.0 - self.unscored[0] / asked, 1.0 - self.unscored[1] / asked

    def adds_up(self) -> bool:
        """Tell whether the sums and counts agree with the harms, as in a record that nobody edited."""
        total = sum(harm for harm in self.harms if harm is not None)
        reference = self.baseline
        if self.mode == "absolute":
            reference = 0 if self.direction == "lower" else GRID * self.n
        worse = self.candidate - reference if self.direction == "lower" else reference - self.candidate
        lost, spoilt = self.unscored
        return (
            total == worse
            and min(self.baseline, self.candidate, lost, spoilt) >= 0
            and max(self.baseline, self.candidate) <= GRID * self.n
            and lost <= len(self.harms) - self.n
            and spoilt <= self.n + lost
        )

    def interval(self, alpha: float) -> Interval:
        """Return one-sided (1 - alpha) bounds of candidate minus baseline; of the candidate's mean in absolute mode."""
        seen = [(place, self._observation(harm)) for place, harm in enumerate(self.harms) if harm is not None]
        low = lower_bound((x for place, x in seen if place not in self.lost), alpha)
        high = upper_bound((x for _, x in seen), alpha)
        if self.mode == "paired":
            low, high = 2.0 * low - 1.0, 2.0 * high - 1.0
            return Interval(low, high) if self.direction == "lower" else Interval(-high, -low)
        return Interval(low, high) if self.direction == "lower" else Interval(1.0 - high, 1.0 - low)
