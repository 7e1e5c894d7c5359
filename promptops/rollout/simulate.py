"""What a plan can be expected to do: the same rules, on evidence drawn day by day.

Every day brings new units to each arm by the weights of the stage. Each metric of a unit is drawn by the rate (or mean
and deviation) of its arm, and counts when it has matured. Metrics are drawn independently of each other, days are
alike, no unit comes back. `promptops.rollout.rules.decide` looks once a day.
"""

from __future__ import annotations

import random
from math import log, log1p, sqrt
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from promptops.errors import InputError, UsageError
from promptops.rollout import rules
from promptops.rollout.plan import DAY
from promptops.rollout.state import State
from promptops.runtime import assignment
from promptops.telemetry.evidence import Day, Evidence, Exposed, Quality, Series

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from promptops.rollout.plan import Measure, Plan

_ARMS = ("canary", "baseline")
# Above this variance a binomial number is drawn from the normal law, whose error is then below a tenth of a unit's.
_SMOOTH = 50.0
_DAY_MS = 1000 * DAY
_START = 20_000


class Truth(NamedTuple):
    """What is so: how much worse the canary is in each metric, in its own units.

    Attributes:
        name: for the table.
        worse: worsening by metric; negative is better; metrics not named are as they were.
    """

    name: str
    worse: Mapping[str, float]


class Outcome(NamedTuple):
    """How a run ended.

    Attributes:
        end: ``promote``, ``rollback``, or ``hold`` until the time was up.
        day: on which day.
        exposed: users who had the new release by then, not counting those after the promotion.
    """

    end: str
    day: int
    exposed: int


class Row(NamedTuple):
    """What became of the runs of one truth.

    Attributes:
        truth: its name.
        promote, rollback, hold: shares of runs.
        day: median day of the most frequent end.
        exposed: median number of users who had the new release before the end.
    """

    truth: str
    promote: float
    rollback: float
    hold: float
    day: float
    exposed: float


def truths(plan: Plan) -> list[Truth]:
    """Return what a plan is tried on: no change, harms of the first guardrail, and the pattern of flattery.

    Raises:
        InputError: the plan has no guardrail that decides.
    """
    rails = [measure for measure in plan.measures if measure.role == "guardrail" and measure.decides]
    if not rails:
        raise InputError("the plan has no guardrail", hint="name a metric that may not get worse")
    first, margin = rails[0].name, rails[0].margin or 0.0
    flattery = {first: margin}
    for measure in plan.measures:
        if measure.decides and measure.role == "proxy":
            flattery[measure.name] = -2 * (measure.margin or _scale(plan, rails[0], measure))
    return [
        Truth("A/A", {}),
        Truth(f"small harm ({first})", {first: 0.15 * margin}),
        Truth(f"harm at the margin ({first})", {first: margin}),
        Truth(f"large harm ({first})", {first: 2 * margin}),
        *([Truth("proxy up, guardrail down", flattery)] if len(flattery) > 1 else []),
    ]


def _scale(plan: Plan, rail: Measure, proxy: Measure) -> float:
    """Return a rise of the proxy that is as large, in deviations of a unit, as the first guardrail's margin is."""
    del plan
    return (rail.margin or 0.0) * _deviation(proxy) / _deviation(rail)


def simulate(
    plan: Plan, scenarios: Iterable[Truth], *, units_per_day: float, days: int, runs: int, seed: int
) -> list[Row]:
    """Return what becomes of a plan under each truth.

    Args:
        plan: the plan; every metric that decides needs ``baseline``.
        scenarios: what may be so.
        units_per_day: new units per day, over all arms.
        days: after which a run counts as held.
        runs: for each truth.
        seed: of the random numbers.

    Raises:
        InputError: a metric has no baseline rate, or cannot be drawn.
        UsageError: numbers that are not positive.
    """
    if units_per_day <= 0 or days < 1 or runs < 1:
        raise UsageError("units per day, days and runs are above 0")
    _check(plan)
    rows = []
    for place, truth in enumerate(scenarios):
        # One stream of numbers for each run: more runs leave the first as they were.
        found = [
            one_run(plan, truth, units_per_day=units_per_day, days=days, draw=random.Random(f"{seed}/{place}/{run}"))  # noqa: S311  no secret
            for run in range(runs)
        ]
        rows.append(_row(truth.name, found))
    return rows


def _row(name: str, found: Sequence[Outcome]) -> Row:
    shares = {end: sum(each.end == end for each in found) / len(found) for end in ("promote", "rollback", "hold")}
    main = max(shares, key=lambda end: shares[end])
    return Row(
        name,
        **shares,
        day=median(each.day for each in found if each.end == main),
        exposed=median(each.exposed for each in found),
    )


def _check(plan: Plan) -> None:
    for measure in plan.measures:
        if not measure.decides:
            continue
        if measure.baseline is None:
            raise InputError(
                f"metric {measure.name} has no baseline to simulate from", hint="add baseline: RATE to it in the plan"
            )
        if measure.deviation is None and not 0 < measure.baseline < 1:
            raise InputError(
                f"metric {measure.name} is no rate between 0 and 1", hint="add deviation: how much units differ"
            )


def one_run(plan: Plan, truth: Truth, *, units_per_day: float, days: int, draw: random.Random) -> Outcome:
    """Return how one run of the plan ends."""
    began = _START * DAY
    state = State(0, began, began, scope=plan.scope)
    world = _World(plan, truth, draw)
    for day in range(1, days + 1):
        world.pass_day(state.stage, units_per_day)
        now = began + day * DAY
        verdict = rules.decide(plan, state, world.evidence(), now)
        if verdict.action in {"rollback", "promote"}:
            # What goes back with its time up, and something still missing, was held until then.
            return Outcome("hold" if verdict.missing else verdict.action, day, world.exposed)
        moved = verdict.action == "advance"
        state = state._replace(
            stage=state.stage + moved,
            since=now if moved else state.since,
            status=verdict.status,
            invalid=verdict.invalid,
            invalid_since=verdict.invalid_since,
            quarantined=verdict.quarantined,
        )
    return Outcome("hold", days, world.exposed)


class _World:
    """Draws the days of one run."""

    def __init__(self, plan: Plan, truth: Truth, draw: random.Random) -> None:
        self._plan = plan
        self._truth = truth
        self._draw = draw
        self._day = _START
        self._arrived: list[tuple[int, dict[str, int]]] = []
        self._exposed: list[Exposed] = []
        self._days: dict[str, list[Day]] = {measure.name: [] for measure in plan.measures if measure.decides}
        self.exposed = 0

    def pass_day(self, stage: int, units: float) -> None:
        """Let a day pass: units come, and those that came long enough ago mature."""
        weights = self._plan.weights(stage)
        counts = {arm: _binomial(self._draw, round(units), weights[arm] / assignment.SLOTS) for arm in _ARMS}
        self._arrived.append((stage, counts))
        self._exposed.append(Exposed(self._day, stage, counts["canary"], counts["baseline"]))
        self.exposed += counts["canary"]
        for measure in self._plan.measures:
            wait = -(-measure.metric.matures_ms // _DAY_MS) - 1 if measure.metric.matures_ms else 0
            if measure.decides and len(self._arrived) > wait:
                self._mature(measure, *self._arrived[-1 - wait])
        self._day += 1

    def _mature(self, measure: Measure, stage: int, counts: Mapping[str, int]) -> None:
        for arm in _ARMS:
            worse = self._truth.worse.get(measure.name, 0.0) if arm == "canary" else 0.0
            mean = (measure.baseline or 0.0) + (worse if measure.lower else -worse)
            s, ss = _sums(self._draw, measure, counts[arm], mean)
            self._days[measure.name].append(
                Day(self._day, stage, arm, counts[arm], s, ss, *_below(measure, counts, arm, s))
            )

    def evidence(self) -> Evidence:
        """Return what the engine would say at the end of the day."""
        watermark = self._day * _DAY_MS
        metrics = {
            measure.name: Series(
                "ratio" if measure.metric.kind == "ratio" else "mean",
                watermark,
                tuple(self._days.get(measure.name, ())),
            )
            for measure in self._plan.measures
        }
        quality = Quality(latest=watermark)
        return Evidence("simulated", "simulated", watermark, "simulated", quality, tuple(self._exposed), metrics)


def _below(measure: Measure, counts: Mapping[str, int], arm: str, s: float) -> tuple[float, ...]:
    """Return the denominators of a ratio: one session for each unit."""
    n = float(counts[arm])
    return (n, n, s) if measure.metric.kind == "ratio" else ()


def _deviation(measure: Measure) -> float:
    rate = measure.baseline or 0.0
    return measure.deviation if measure.deviation is not None else sqrt(max(rate * (1 - rate), 0.0)) or 1.0


def _sums(draw: random.Random, measure: Measure, n: int, mean: float) -> tuple[float, float]:
    """Return the sum and the sum of squares of ``n`` units."""
    if measure.deviation is None:
        events = float(_binomial(draw, n, min(max(mean, 0.0), 1.0)))
        return events, events
    if n < 2:
        value = draw.gauss(mean, measure.deviation)
        return n * value, n * value * value
    total = n * mean + sqrt(n) * measure.deviation * draw.gauss(0.0, 1.0)
    # The squared deviations of normal values follow sigma^2 chi^2(n - 1), independently of their mean.
    squared = measure.deviation**2 * draw.gammavariate((n - 1) / 2, 2.0)
    return total, squared + total * total / n


def _binomial(draw: random.Random, n: int, p: float) -> int:
    """Return a binomial number: by waiting times (Devroye 1986, X.4.3), or the normal law where there are many."""
    if p > 0.5:
        return n - _binomial(draw, n, 1 - p)
    if n <= 0 or p <= 0:
        return 0
    variance = n * p * (1 - p)
    if variance > _SMOOTH:
        return min(max(round(draw.gauss(n * p, sqrt(variance))), 0), n)
    events, passed, scale = -1, 0, log1p(-p)
    while passed <= n:
        events += 1
        passed += int(log(1.0 - draw.random()) / scale) + 1
    return events
