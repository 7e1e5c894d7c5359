"""The gate of a canary: sequential, directional, with a margin.

Harm is how much worse the candidate's mean is than the baseline's, in the metric's own direction. A guardrail passes
when harm >= margin is refuted, fails when harm <= margin is refuted, and is inconclusive otherwise; that something
merely *differs* decides nothing, and a proved harm inside the margin may pass. Both tests are e-processes on the pairs
in order of arrival (`promptops.statistics.betting`), so the gate may be asked after every pair, and what it has once
proved stays proved. How alpha is spent over guardrails: `promptops.statistics.evalues`.

Both error probabilities hold whatever makes a reply of the candidate go missing: where harmlessness is to be proved, it
counts as the worst score, and where harm is, it does not count.

The guarantee is about the mean over the distribution that pairs are drawn from. Which suite the next pair comes from
may depend on the past, as long as the order within a suite was fixed beforehand.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from promptops.errors import InputError
from promptops.evaluation import gate_rows as rows
from promptops.evaluation.floors import Floor, FloorTrack
from promptops.evaluation.harm import Guardrail, Mode, Track
from promptops.statistics.evalues import E_VALUE_CAP, adjusted_e_values, mean_e_value
from promptops.statistics.series import GRID, encode
from promptops.text import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from promptops.evaluation.gate_rows import Verdict

EVIDENCE_VERSION = 3
_LOSSY_VERSION = 2
_LOSSLESS_VERSION = 1
# Whoever verifies a release derives its verdict again. What may come from anybody has to stay a matter of seconds, so
# that no canary goes further either.
MAX_GUARDRAILS = 100
MAX_JUDGED = 200_000
ALPHA = 0.05
FLOOR = 0.9


@dataclass(frozen=True, slots=True)
class Rules:
    """What the gate asks of the evidence.

    Attributes:
        mode: ``paired`` against a baseline, or ``absolute`` against the limits for a first release.
        alpha: probability of a false pass, and of a false fail, however often the gate is asked.
        minimum: pairs before a pass.
        floor: least share of calls with a reply, and of replies with a readable score, in each arm.
    """

    mode: Mode = "paired"
    alpha: float = ALPHA
    minimum: int = 150
    floor: float = FLOOR


@dataclass(frozen=True, slots=True)
class GateResult:
    """What a canary's evidence says.

    Attributes:
        verdict: ``pass``, ``fail`` or ``inconclusive``.
        reasons: why it is not a pass; empty for a pass.
        notes: what a reader should know and no verdict depends on.
        pairs: pairs with a reply of the baseline, if there is one, and of the candidate unless it lost it.
        e_value: the largest mean e-value so far against "no guardrail is harmed".
        rows: one per guardrail.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    pairs: int
    e_value: float
    rows: tuple[rows.Row, ...]

    def document(self) -> dict[str, Any]:
        """Return the result as JSON-able data; equal evidence gives equal bytes."""
        return asdict(self)


class Gate:
    """Evidence of a canary and its verdict.

    Args:
        guardrails: the guardrails by a name of the caller's choice, unique over suites.
        rules: what is asked of the evidence.
        floors: validity floors by name, each with the names of the guardrails that stand on it.
        barred: why guardrails decide nothing whatever their scores are, by name.

    Raises:
        InputError: for no guardrail at all or more than 100, an alpha, margin, limit or floor that nothing could be
            decided with, or a missing limit in absolute mode.
    """

    def __init__(
        self,
        guardrails: Mapping[str, Guardrail],
        rules: Rules | None = None,
        floors: Mapping[str, tuple[Floor, Collection[str]]] | None = None,
        barred: Mapping[str, str] | None = None,
    ) -> None:
        self.rules = rules or Rules()
        if not 0.0 < self.rules.alpha < 1.0:
            raise InputError(f"alpha {self.rules.alpha} does not lie strictly between 0 and 1")
        if not guardrails:
            raise InputError("no suite of this prompt has a guardrail to judge", hint="add `guardrails:` to a suite")
        if len(guardrails) > MAX_GUARDRAILS:
            raise InputError(
                f"{len(guardrails)} guardrails are more than {MAX_GUARDRAILS}", hint="name fewer suites in `evals:`"
            )
        self._tracks = {
            name: Track(name, rail.metric, rail.direction, rail.margin, rail.limit, self.rules.mode)
            for name, rail in guardrails.items()
        }
        arms = ("baseline", "candidate") if self.rules.mode == "paired" else ("candidate",)
        self._floors = {name: FloorTrack(name, floor, arms) for name, (floor, _) in (floors or {}).items()}
        self._standing_on = {
            rail: [self._floors[name] for name, (_, rails) in (floors or {}).items() if rail in rails]
            for rail in guardrails
        }
        self._barred = dict(barred or {})
        self.pairs = 0
        self._failures = {"baseline": 0, "candidate": 0, "both": 0}
        self._lost: set[int] = set()
        self._peak = 1.0

    @property
    def width(self) -> int:
        """Series of numbers that a pair adds one each to."""
        return len(self._tracks) + sum(len(track.arms) for track in self._floors.values())

    def add(
        self,
        scores: Mapping[str, tuple[float | None, float | None]],
        *,
        lost: bool = False,
        floors: Mapping[str, Mapping[str, float]] | None = None,
    ) -> None:
        """Take in one pair that every arm answered, or all but the candidate.

        Args:
            scores: (baseline, candidate) scores in [0, 1] by guardrail name. Leave out the guardrails that the case
                does not bear on. None is a reply whose score could not be read: the candidate's counts as the worst
                score, the baseline's takes the pair out of this guardrail, both count against the floor. In absolute
                mode the baseline's place is ignored. Scores are rounded to 0.001.
            lost: whether the candidate gave no reply; its scores are None.
            floors: the pair's parts in [0, 1] of validity floors, by arm and name of the floor.

        Raises:
            InputError: for a score outside [0, 1] or a guardrail that the gate does not know.
        """
        for name, pair in scores.items():
            if name not in self._tracks:
                raise InputError(f"no guardrail is called {name!r}")
            for score in pair:
                if score is not None and not 0.0 <= score <= 1.0:
                    raise InputError(f"guardrail {name}: score {score} lies outside [0, 1]")
        harms = [
            track.read(*scores[name], lost=lost) if name in scores else None for name, track in self._tracks.items()
        ]
        self._advance(harms, lost=lost)
        for name, floor in self._floors.items():
            for arm in floor.arms:
                mark = (floors or {}).get(arm, {}).get(name)
                floor.push(arm, None if mark is None else round(mark * GRID))

    def add_failure(self, *, both: bool) -> None:
        """Count a pair that the baseline, or ``both`` arms, gave no reply to; it bears on no guardrail."""
        self._failures["both" if both else "baseline"] += 1

    def _advance(self, harms: Sequence[int | None], *, lost: bool = False) -> None:
        if lost:
            self._lost.add(self.pairs)
        self.pairs += 1
        tracks = list(self._tracks.values())
        for track, harm in zip(tracks, harms, strict=True):
            track.push(harm, lost=lost)
        e_values = [track.harm.value for track in tracks]
        mean = mean_e_value(e_values)
        self._peak = max(self._peak, mean)
        if mean >= 1.0 / self.rules.alpha:
            for track, adjusted in zip(tracks, adjusted_e_values(e_values), strict=True):
                track.harmed = track.harmed or adjusted >= 1.0 / self.rules.alpha

    @property
    def undecided(self) -> frozenset[str]:
        """Names of guardrails that neither passed nor failed yet: where the next pairs are worth their price.

        One that stands on a refuted floor is left out, since no further pair makes its scores mean anything.
        """
        answered = self._unanswered() is None
        return frozenset(
            name
            for name, track in self._tracks.items()
            if not self._void(track) and (not answered or self._standing(track) == "inconclusive")
        )

    @property
    def open(self) -> bool:
        """Whether further pairs may change the verdict."""
        return self.decision == "inconclusive" and (bool(self.undecided) or self._short_of_minimum())

    def _short_of_minimum(self) -> bool:
        """Say whether nothing but the number of pairs stands against a pass."""
        return self.pairs < self.rules.minimum and not any(self._void(track) for track in self._tracks.values())

    def _void(self, track: Track) -> bool:
        """Say whether a guardrail is barred, or stands on a floor that is refuted for good."""
        return track.name in self._barred or any(
            floor.standing(self.rules.alpha) == "refuted" for floor in self._standing_on[track.name]
        )

    def _invalid(self, track: Track) -> str | None:
        """Say why a guardrail is barred, or which floor it lacks, if one; the refuted first."""
        if track.name in self._barred:
            return self._barred[track.name]
        floors = sorted(self._standing_on[track.name], key=lambda floor: floor.standing(self.rules.alpha) != "refuted")
        return next((reason for floor in floors if (reason := floor.reason(self.rules.alpha))), None)

    @property
    def decision(self) -> Verdict:
        """The overall verdict without the report: cheap enough to ask after every pair."""
        if self._unanswered():
            return "inconclusive"
        verdicts = {self._standing(track) for track in self._tracks.values()}
        readable = all(
            self._unreadable(track) is None and self._invalid(track) is None for track in self._tracks.values()
        )
        if "fail" in verdicts or (readable and self._peak >= 1.0 / self.rules.alpha):
            return "fail"
        if self.pairs >= self.rules.minimum and verdicts == {"pass"}:
            return "pass"
        return "inconclusive"

    def _unanswered(self) -> str | None:
        """Say which arm got too few replies, if one did."""
        asked = self.pairs + sum(self._failures.values())
        for arm in ("baseline", "candidate"):
            lost = self._failures[arm] + self._failures["both"] + (len(self._lost) if arm == "candidate" else 0)
            if lost and 1.0 - lost / asked < self.rules.floor:
                return (
                    f"only {1.0 - lost / asked:.0%} of the {arm}'s calls got a reply; {self.rules.floor:.0%} are needed"
                )
        return None

    def _unreadable(self, track: Track) -> str | None:
        """Say which arm's replies hold too few readable scores, if one's do."""
        if track.unscored == (0, 0):
            return None
        for name, share in zip(("baseline", "candidate"), track.scored_shares(), strict=True):
            if share < self.rules.floor:
                needed = f"{self.rules.floor:.0%} are needed"
                return f"only {share:.0%} of the {name}'s replies hold a readable score; {needed}"
        return None

    def _standing(self, track: Track) -> Verdict:
        """Return a guardrail's own verdict, given enough replies."""
        if self._unreadable(track) or self._invalid(track):
            return "inconclusive"
        if track.harmed:
            return "fail"
        return "pass" if track.safe.peak >= 1.0 / self.rules.alpha else "inconclusive"

    def _judge(self, track: Track) -> tuple[Verdict, str]:
        """Return a guardrail's verdict and its reason."""
        invalid = [each for each in (self._unanswered(), self._unreadable(track), self._invalid(track)) if each]
        if invalid:
            return "inconclusive", "; ".join(invalid)
        standing = self._standing(track)
        return standing, rows.reason(track, standing)

    def verdict(self) -> GateResult:
        """Return the verdict with everything that supports it."""
        found = tuple(rows.row(track, self.rules.alpha, *self._judge(track)) for track in self._tracks.values())
        verdict = self.decision
        reasons: list[str] = []
        if verdict == "fail":
            reasons = [f"{row.name}: {row.reason}" for row in found if row.verdict == "fail"]
            reasons = reasons or ["the guardrails together prove harm beyond the margins, though no single one does"]
        elif verdict == "inconclusive":
            reasons = [f"{row.name}: {row.reason}" for row in found if row.verdict != "pass"]
            if self.pairs < self.rules.minimum:
                reasons.append(f"{counted(self.pairs, 'pair')} of at least {self.rules.minimum}")
        lost, lost_by_candidate = self._failures["baseline"], self._failures["candidate"] + len(self._lost)
        notes = rows.lopsided(lost, lost_by_candidate, self.rules.alpha)
        reasons += notes if reasons else ()
        e_value = round(min(self._peak, E_VALUE_CAP), rows.DIGITS)
        return GateResult(verdict, tuple(reasons), notes, self.pairs, e_value, found)

    def restore(
        self,
        *,
        harms: Iterable[Sequence[int | None]],
        sums: Sequence[tuple[int, int]],
        unscored: Sequence[tuple[int, int]],
        failures: Mapping[str, int],
        lost: Collection[int] = (),
        floors: Mapping[str, Mapping[str, Sequence[int | None]]] | None = None,
    ) -> None:
        """Replay recorded harms into an empty gate; `resume` reads them from evidence.

        Args:
            harms: by pair, one per guardrail, in thousandths.
            sums: of baseline and candidate by guardrail, in thousandths.
            unscored: unreadable replies of baseline and candidate by guardrail.
            failures: pairs that bear on nothing, without a reply in ``baseline``, ``candidate`` or ``both``.
            lost: positions in ``harms`` of pairs without a reply of the candidate.
            floors: by name of the floor and arm, one number per pair, in thousandths.

        Raises:
            InputError: when the sums do not follow from the harms.
        """
        for place, row in enumerate(harms):
            self._advance(row, lost=place in lost)
        for track, (baseline, candidate), unread in zip(self._tracks.values(), sums, unscored, strict=True):
            track.baseline, track.candidate, track.unscored = baseline, candidate, unread
            if not track.adds_up():
                raise InputError(f"evidence does not add up for guardrail {track.name}")
        self._failures = dict(failures)
        for name, floor in self._floors.items():
            for arm in floor.arms:
                for mark in (floors or {})[name][arm]:
                    floor.push(arm, mark)

    def evidence(self) -> dict[str, Any]:
        """Return the sufficient statistics as JSON-able data: rules, counts and every harm in order."""
        lost = {"lost": encode(GRID if place in self._lost else 0 for place in range(self.pairs))} if self._lost else {}
        floors = [self._floor_record(track) for track in self._floors.values()]
        return {
            # Without a lost reply or a floor nothing is new, and every older version can read it.
            "v": EVIDENCE_VERSION if floors or self._barred else _LOSSY_VERSION if lost else _LOSSLESS_VERSION,
            "rules": asdict(self.rules),
            "pairs": self.pairs,
            "failures": dict(self._failures),
            **lost,
            **({"floors": floors} if floors else {}),
            **({"barred": dict(self._barred)} if self._barred else {}),
            "guardrails": [
                {
                    "name": track.name,
                    "metric": track.metric,
                    "direction": track.direction,
                    "margin": track.margin,
                    "limit": track.limit,
                    "baseline": track.baseline,
                    "candidate": track.candidate,
                    "unscored": list(track.unscored),
                    "harms": encode(track.harms),
                }
                for track in self._tracks.values()
            ],
        }

    def _floor_record(self, track: FloorTrack) -> dict[str, Any]:
        return {
            "name": track.name,
            "low": track.floor.low,
            "high": track.floor.high,
            "guardrails": sorted(rail for rail, floors in self._standing_on.items() if track in floors),
            "marks": {arm: encode(track.marks[arm]) for arm in track.arms},
        }
