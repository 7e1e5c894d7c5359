"""Could the gate have caught it? Canaries simulated through the real gate, before the first call.

A simulated canary takes its draws from the canary's own order and stops where the gate stops. A pair of arms that are
equally good is a kept pair, its arms swapped by a coin, since which of two equal arms is called the candidate is
arbitrary: the differences have mean 0 and the spread that was measured. One worse and one better pair are added to what
was seen (Laplace's rule), so that nothing is impossible because it has not happened yet. Without kept pairs the share
that differs is assumed, and said to be.

Harm h lets a share h of the pairs of one guardrail go from best to worst. For a given mean that is the spread which
takes the longest to prove, since a bettor's log wealth is concave in the observation: detection is on the safe side.
"""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import InputError
from promptops.evaluation.forecast import DISCORDANCE, forecast
from promptops.evaluation.gate import MAX_JUDGED, Gate, Rules
from promptops.evaluation.noise import Noise, measure
from promptops.evaluation.runner import WINDOW
from promptops.evaluation.sampling import Order
from promptops.evaluation.tally import BASELINE, CANDIDATE
from promptops.statistics.proportion import wilson
from promptops.statistics.series import GRID

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from promptops.evaluation.exam import Rail
    from promptops.evaluation.forecast import Forecast
    from promptops.evaluation.gate_rows import Verdict
    from promptops.evaluation.harm import Mode
    from promptops.evaluation.study import Study

HARM, LEAST, RUNS = 0.2, 0.8, 200
_STEPS = 100
# How far beyond the budget is looked for the number of pairs that would be needed.
_BEYOND = 4
_MOST = 4000
_DIGITS = 4


class Share(NamedTuple):
    """A share of simulated canaries with its 95 % Monte-Carlo interval."""

    value: float
    low: float
    high: float


class Need(NamedTuple):
    """What it takes: pairs, replies of both arms, and money where the models have a price."""

    pairs: int
    replies: int
    cost: float | None


@dataclass(frozen=True, slots=True)
class RailPower:
    """What the gate sees when one guardrail alone is harmed.

    Attributes:
        name: of the guardrail.
        bound: margin; the limit of a first release.
        source: ``measured`` or ``assumed``: where the spread of its pairs is from.
        seen: kept pairs that bear on it.
        discordance: share of pairs of equally good arms that differ.
        caught: share of canaries that fail at the stated harm.
        passed: share that pass in spite of it.
        smallest: by ``80%`` and ``99%`` the smallest harm that is caught so often within the budget; None where no
            harm is.
        needed: what catches the stated harm in 80 % of canaries; None where more than was looked at.
    """

    name: str
    bound: float
    source: str
    seen: int
    discordance: float
    caught: Share
    passed: Share
    smallest: dict[str, float | None]
    needed: Need | None


@dataclass(frozen=True, slots=True)
class GatePower:
    """What a prompt's gate can see.

    Attributes:
        prompt: its name.
        harm: the stated harm.
        runs: simulated canaries behind each share.
        seed: of the simulation.
        comparisons: kept comparisons that the spread is from.
        budget: pairs that the budget allows, at most those that are simulated.
        guardrails: one each.
        caught: the least share over guardrails: whichever one is harmed, so often it is caught.
        false_alarms: share of canaries of an unchanged prompt that fail.
        undecided: share of these that end without a verdict.
        typical: what a canary of an unchanged prompt takes at the median.
        long: what 95 % of them take at most.
        currency: of the money.
        notes: what else to know.
    """

    prompt: str
    harm: float
    runs: int
    seed: int
    comparisons: int
    budget: int
    guardrails: tuple[RailPower, ...]
    caught: Share
    false_alarms: Share
    undecided: Share
    typical: Need
    long: Need
    currency: str
    notes: tuple[str, ...]

    @property
    def assumed(self) -> bool:
        """Whether the spread of some guardrail was not measured."""
        return any(rail.source == "assumed" for rail in self.guardrails)

    def document(self) -> dict[str, Any]:
        """Return the result as JSON-able data."""
        document = asdict(self)
        for name in ("caught", "false_alarms", "undecided", "typical", "long"):
            document[name] = getattr(self, name)._asdict()
        document["guardrails"] = [
            {
                **asdict(rail),
                "caught": rail.caught._asdict(),
                "passed": rail.passed._asdict(),
                "needed": rail.needed._asdict() if rail.needed else None,
            }
            for rail in self.guardrails
        ]
        return document


class _Terms(NamedTuple):
    harm: float
    runs: int
    budget: int
    mode: Mode


class Simulation:
    """Canaries of one study, drawn instead of asked.

    Args:
        study: what would be asked.
        noise: how pairs differ when nothing got worse.
        seed: of everything that is drawn.
        most: pairs of the longest canary that will be run.
    """

    def __init__(self, study: Study, noise: Noise, seed: int, most: int) -> None:
        self._noise, self._seed = noise, seed
        pools, times = study.exam.pools(), study.exam.multiplicity()
        self.rails = {name: rail for name, rail in study.exam.rails.items() if rail.pool in pools}
        self._barred = {name: why for name, why in study.exam.barred.items() if name in self.rails}
        self._mode: Mode = "paired" if BASELINE in study.configurations else "absolute"
        self._rules = Rules(self._mode, minimum=study.settings.minimum)
        kept = [pair for found in noise.pairs.values() for pair in found]
        marked = {name for pair in kept for marks in pair.marks.values() for name in marks}
        self.floors = study.exam.floors if marked.issuperset(study.exam.floors) else {}
        self._round = {pool: sum(times.get((pool, case), 1) for case in cases) for pool, cases in pools.items()}
        # One order serves all runs, since a pair does not depend on the case: the canary's, made once by pool.
        self._bears = {
            pool: [tuple(study.exam.unread(draw)) for draw in Order(_hex(seed), {pool: ids}, times).take(most, {pool})]
            for pool, ids in pools.items()
        }

    def run(self, number: int, most: int, rail: str | None = None, harm: float = 0.0) -> tuple[Verdict, int]:
        """Return the verdict of one canary and the pairs that it took.

        The same number draws the same pairs whatever the harm, so that more harm is caught wherever less is.

        Args:
            number: of the run.
            most: pairs at which it ends.
            rail: the guardrail that is harmed; None for none.
            harm: how much.
        """
        gate = Gate(self.rails, self._rules, self.floors, self._barred)
        streams = {pool: _stream(f"{self._seed}/{number}/{pool}") for pool in self._round}
        drawn = dict.fromkeys(self._round, 0)
        live: set[str] = set()
        while gate.pairs < most and gate.open:
            if gate.pairs % WINDOW == 0:
                live = {self.rails[name].pool for name in gate.undecided} or set(self._round)
            pool = min(live, key=lambda name: (drawn[name] // self._round[name], drawn[name], name))
            self._add(gate, pool, drawn[pool], streams[pool], (rail, harm))
            drawn[pool] += 1
        return gate.decision, gate.pairs

    def _add(self, gate: Gate, pool: str, place: int, stream: random.Random, harmed: tuple[str | None, float]) -> None:
        pick, swap = stream.random(), stream.random() < 0.5 and self._mode == "paired"
        kept = self._noise.pairs.get(pool, ())
        pair = kept[int(pick * len(kept))] if kept else None
        scores = {}
        for name in self._bears[pool][place]:
            unseen, hit = stream.random(), stream.random()
            noise = self._equal(name, pair.harms.get(name) if pair else None, pick, unseen)
            worst = name == harmed[0] and hit < harmed[1]
            scores[name] = self._scores(name, GRID if worst else -noise if swap else noise)
        marks: dict[str, Mapping[str, float]] = {}
        if pair and self.floors:
            arms = (CANDIDATE, BASELINE) if swap else (BASELINE, CANDIDATE)
            for arm, was in zip((BASELINE, CANDIDATE), arms, strict=True):
                marks[arm] = {name: mark / GRID for name, mark in pair.marks.get(was, {}).items()}
        gate.add(scores, floors=marks)

    def _equal(self, name: str, kept: int | None, pick: float, unseen: float) -> int:
        """Return the harm of a pair of equally good arms before they are swapped."""
        if not self._noise.measures(name):
            return GRID if unseen < (DISCORDANCE if self._mode == "paired" else DISCORDANCE / 2) else 0
        seen = self._noise.seen[name]
        if unseen < (2 if self._mode == "paired" else 1) / (len(seen) + 2):
            return GRID
        return seen[int(pick * len(seen))] if kept is None else kept

    def _scores(self, name: str, harm: int) -> tuple[float, float]:
        """Return scores of baseline and candidate with this harm, in the guardrail's direction."""
        old, new = max(-harm, 0) / GRID, max(harm, 0) / GRID
        return (old, new) if self.rails[name].direction == "lower" else (1.0 - old, 1.0 - new)


def _stream(name: str) -> random.Random:
    return random.Random(name)  # noqa: S311  a simulation, no secret


def _hex(seed: int) -> str:
    return hashlib.sha256(str(seed).encode()).hexdigest()


def study_power(study: Study, *, harm: float = HARM, runs: int = RUNS, seed: int = 1) -> GatePower:
    """Return what the gate of a prepared canary can see; nothing is sent or written.

    Args:
        study: from `promptops.evaluation.study.prepare`.
        harm: the harm that matters, in (0, 1]: how much worse the mean of one guardrail gets; of a first release, by
            how much the mean rises above what was measured.
        runs: canaries behind each share.
        seed: of the simulation; equal seeds give equal results.

    Raises:
        PromptopsError: kept evidence cannot be read.
        InputError: only harnesses ask, and what they ask is not known before.
    """
    subject, exam = study.store.subject, study.exam
    if not exam.pools():
        raise InputError(
            "every suite is asked by a harness, whose power cannot be simulated",
            hint="name a suite with cases in `evals:`, or judge the harness by promptops gate mutate",
        )
    mode: Mode = "paired" if BASELINE in study.configurations else "absolute"
    noise = measure(study.store.root, exam, subject.prompt, subject.suites, mode)
    planned = forecast(study)
    budget = _affordable(study, planned)
    simulation = Simulation(study, noise, seed, min(_BEYOND * budget, _MOST))
    terms = _Terms(harm, runs, budget, mode)
    quiet = [simulation.run(number, budget) for number in range(runs)]
    known: dict[object, RailPower] = {}
    rails = []
    for name, rail in sorted(simulation.rails.items()):
        # Guardrails of one pool and bound with nothing but an assumption behind them are alike.
        alike = (rail.pool, rail.margin, rail.limit, name if noise.measures(name) else None)
        if alike not in known:
            known[alike] = _judge(simulation, rail, noise, planned, terms)
        rails.append(replace(known[alike], name=name))
    lengths = sorted(pairs for _, pairs in quiet)
    return GatePower(
        prompt=subject.prompt,
        harm=harm,
        runs=runs,
        seed=seed,
        comparisons=noise.comparisons,
        budget=budget,
        guardrails=tuple(rails),
        caught=min(rail.caught for rail in rails),
        false_alarms=_share(quiet, "fail"),
        undecided=_share(quiet, "inconclusive"),
        typical=_need(planned, round(median(lengths))),
        long=_need(planned, lengths[math.ceil(0.95 * runs) - 1]),
        currency=planned.currency,
        notes=_notes(study, simulation),
    )


def _affordable(study: Study, planned: Forecast) -> int:
    """Return the pairs that the budget allows, whichever of its limits comes first."""
    given, expected = study.settings.budget, planned.pairs["expected"] or 1
    most = [planned.pairs["most"] or _MOST, _MOST, MAX_JUDGED // study.gate().width]
    spent = {"usd": planned.cost["expected"], "tokens": planned.tokens["expected"], "seconds": planned.seconds}
    most += [int(given[name] * expected / each) for name, each in spent.items() if given.get(name) and each]
    return max(min(most), 1)


def _judge(simulation: Simulation, rail: Rail, noise: Noise, planned: Forecast, terms: _Terms) -> RailPower:
    name = rail.name
    within = [simulation.run(number, terms.budget, name, terms.harm) for number in range(terms.runs)]
    least = sorted(
        _least(simulation, number, rail, terms, caught=verdict == "fail") for number, (verdict, _) in enumerate(within)
    )
    measured = noise.measures(name)
    return RailPower(
        name,
        rail.limit if terms.mode == "absolute" and rail.limit is not None else rail.margin,
        "measured" if measured else "assumed",
        len(noise.seen.get(name, ())),
        round(noise.discordance(name) if measured else DISCORDANCE, _DIGITS),
        _share(within, "fail"),
        _share(within, "pass"),
        {f"{percent}%": _quantile(least, percent) for percent in (80, 99)},
        _needed(simulation, name, within, planned, terms),
    )


def _least(simulation: Simulation, number: int, rail: Rail, terms: _Terms, *, caught: bool) -> int:
    """Return the smallest harm, in steps of 0.01, that one run catches; one step more than all where none is.

    Args:
        simulation: the canaries.
        number: of the run.
        rail: the guardrail that is harmed.
        terms: budget, and the stated harm.
        caught: whether the run catches the stated harm, which halves the search.
    """
    tolerated = int(rail.margin * _STEPS) if terms.mode == "paired" else 0
    low, high = tolerated, _STEPS + 1
    if caught:
        high = max(math.ceil(terms.harm * _STEPS), tolerated + 1)
    else:
        low = max(math.floor(terms.harm * _STEPS), tolerated)
    while high - low > 1:
        middle = (low + high) // 2
        if simulation.run(number, terms.budget, rail.name, middle / _STEPS)[0] == "fail":
            high = middle
        else:
            low = middle
    return high


def _quantile(least: Sequence[int], percent: int) -> float | None:
    step = least[math.ceil(len(least) * percent / 100) - 1]
    return step / _STEPS if step <= _STEPS else None


def _needed(
    simulation: Simulation,
    name: str,
    within: Sequence[tuple[Verdict, int]],
    planned: Forecast,
    terms: _Terms,
) -> Need | None:
    """Return what catches the stated harm in 80 % of canaries, beyond the budget too."""
    lengths = sorted(pairs for verdict, pairs in within if verdict == "fail")
    wanted = math.ceil(0.8 * terms.runs)
    if len(lengths) < wanted and not any(verdict == "pass" for verdict, _ in within):
        most = min(_BEYOND * terms.budget, _MOST)
        longer = [simulation.run(number, most, name, terms.harm) for number in range(terms.runs)]
        lengths = sorted(pairs for verdict, pairs in longer if verdict == "fail")
    return _need(planned, lengths[wanted - 1]) if len(lengths) >= wanted else None


def _need(planned: Forecast, pairs: int) -> Need:
    expected = planned.pairs["expected"] or 1
    replies, cost = planned.replies["expected"] or 0, planned.cost["expected"]
    return Need(pairs, round(replies * pairs / expected), cost and round(cost * pairs / expected, _DIGITS))


def _share(runs: Sequence[tuple[Verdict, int]], wanted: str) -> Share:
    hits = sum(verdict == wanted for verdict, _ in runs)
    low, high = wilson(hits, len(runs))
    return Share(round(hits / len(runs), _DIGITS), round(low, _DIGITS), round(high, _DIGITS))


def _notes(study: Study, simulation: Simulation) -> tuple[str, ...]:
    notes = list(study.notes)
    if study.exam.floors and not simulation.floors:
        notes.append("validity floors were not measured and are taken to be met")
    left_out = sorted(study.exam.rails.keys() - simulation.rails.keys())
    if left_out:
        notes.append(f"asked by a harness and not simulated: {', '.join(left_out)}")
    notes += [f"{name} decides nothing: {why}" for name, why in sorted(study.exam.barred.items())]
    return tuple(notes)
