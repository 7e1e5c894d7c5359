"""A plan: in which steps a release reaches users, and what has to be shown before each.

A plan is read from ``rollouts/<prompt>.yaml`` (`Plan.parse`) when a rollout starts, and from then on from the copy that
the decisions carry (`Plan.load`): its document has every default written out, so that a later version with other
defaults judges a running rollout as before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.registry import canonical
from promptops.runtime import assignment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from promptops.telemetry.metrics import Metric

MINUTE, HOUR, DAY = 60, 3600, 86400
_UNITS = {"m": MINUTE, "h": HOUR, "d": DAY}
_YES_OR_NO = frozenset({"any", "retention"})


class Stage(NamedTuple):
    """One step of exposure.

    Attributes:
        share: of users in the canary, such as ``5%``.
        dwell: least time in it, in seconds; of the last stage, how long the hold-back is kept.
        minimum_units: least matured units in each arm, over the whole rollout, before the next.
        margins: margins by metric in place of the metric's own; None asks for no proof on it here.
    """

    share: str
    dwell: int
    minimum_units: int
    margins: Mapping[str, float | None]


class Measure(NamedTuple):
    """A metric of the plan: what is computed, and what it is for.

    Attributes:
        role: ``success``, ``guardrail``, ``quality``, ``proxy`` or ``ops``.
        feedback: whether it is what people said of a reply.
        lower: whether less is better.
        margin: largest tolerated worsening; of a proxy, the rise that is not counted as one.
        critical: whether it takes the release back by itself.
        required: whether weights are frozen without data on it.
        dry_run: whether it is only shown.
        limit: of ops, the worst tolerated mean of the canary.
        bounds: least and largest value of a unit, or None.
        stale_after: seconds without an event until data counts as missing.
        baseline: what the old release has, for simulation, or None.
        deviation: standard deviation between units, for simulation, or None.
        metric: what telemetry computes.
    """

    role: str
    feedback: bool
    lower: bool
    margin: float | None
    critical: bool
    required: bool
    dry_run: bool
    limit: float | None
    bounds: tuple[float, float] | None
    stale_after: int
    baseline: float | None
    deviation: float | None
    metric: Metric

    @property
    def name(self) -> str:
        """Its name in the plan and in evidence."""
        return self.metric.name

    @property
    def binary(self) -> bool:
        """Whether a unit has 0 or 1 by what the metric is, not by what was seen."""
        return self.metric.aggregate in _YES_OR_NO

    @property
    def span(self) -> float:
        """Width of the range of a unit's values, or 0 where it is not known."""
        if self.bounds is not None and self.metric.kind == "mean":
            return self.bounds[1] - self.bounds[0]
        return 1.0 if self.binary else 0.0

    @property
    def responses(self) -> Metric | None:
        """Of feedback, whether a user gave any: arms whose users answer more or less often have other answers too."""
        if not self.feedback or self.metric.missing != "exclude" or self.metric.kind == "survival":
            return None
        name = f"{self.name}.given"
        return self.metric._replace(
            name=name,
            event=self.metric.event if self.metric.query is None else name,
            aggregate="any",
            missing="zero",
            day=None,
            covariate=None,
            over="outcome",
        )

    @property
    def decides(self) -> bool:
        """Whether it has a say."""
        return not self.dry_run

    def worsening(self, effect: float) -> float:
        """Return a difference with its sign turned so that positive is worse."""
        return effect if self.lower else -effect


class Alpha(NamedTuple):
    """Error probabilities over the whole rollout; see the schema."""

    rollback: float
    critical: float
    advance: float
    srm: float
    divergence: float


class Plan(NamedTuple):
    """What a rollout follows.

    Attributes:
        stages: at least two; the last serves everybody (but the hold-back).
        holdback: share that keeps the old release in the last stage, such as ``2%`` or ``0%``.
        target_units: units of both arms together at which bounds are tightest.
        burn_in: units in each arm before a bound counts.
        expires: seconds from the start until everybody has to be served.
        on_expiry: ``rollback``, ``hold``, ``extend`` or ``human``.
        on_invalid: ``rollback`` or ``freeze``.
        stale_after: greatest age of evidence in seconds.
        scope: ``immediate`` or ``new-conversations``.
        notify: ``{"webhook_env": ..., "on": [...]}`` or None.
        source_env: environment variable that says where events are.
        units_per_day: new units per day for simulation, or None.
    """

    prompt: str
    environment: str
    stages: tuple[Stage, ...]
    measures: tuple[Measure, ...]
    holdback: str
    alpha: Alpha
    target_units: int
    burn_in: int
    expires: int
    on_expiry: str
    on_invalid: str
    stale_after: int
    scope: str
    notify: Mapping[str, Any] | None
    source_env: str
    units_per_day: float | None
    dry_run: bool

    @classmethod
    def parse(cls, path: str, data: bytes) -> Plan:
        """Read a plan file.

        Args:
            path: its path in the repository; the prompt's name is taken from it where the file has none.
            data: its bytes.

        Raises:
            InputError: malformed, or no rollout can follow it; with line and column.
        """
        from promptops.rollout import reader

        return reader.from_file(path, data)

    @classmethod
    def load(cls, value: object) -> Plan:
        """Read the object that `document` gives, from whoever wrote it.

        Raises:
            InputError: it is no plan.
        """
        from promptops.rollout import reader

        return reader.from_document(value)

    def document(self) -> dict[str, Any]:
        """Return the plan with every default written out, as it is stored in ``plan.json``."""
        value: dict[str, Any] = {
            "version": 1,
            "prompt": self.prompt,
            "environment": self.environment,
            "stages": [{**stage._asdict(), "dwell": _duration(stage.dwell)} for stage in self.stages],
            "metrics": [_metric_document(measure) for measure in self.measures],
            "holdback": self.holdback,
            "alpha": self.alpha._asdict(),
            "expires": _duration(self.expires),
            "stale_after": _duration(self.stale_after),
            "telemetry": {"source_env": self.source_env},
        }
        for name in ("target_units", "burn_in", "on_expiry", "on_invalid", "scope", "dry_run"):
            value[name] = getattr(self, name)
        for name in ("notify", "units_per_day"):
            if getattr(self, name) is not None:
                value[name] = getattr(self, name)
        return value

    @property
    def digest(self) -> str:
        """``sha256:<hex>`` of the canonical form of `document`."""
        return canonical.sha256(self.document())

    @property
    def metrics(self) -> list[Metric]:
        """What telemetry computes: the metrics of the plan, then who gave feedback (`Measure.responses`)."""
        answers = [measure.responses for measure in self.measures if measure.decides]
        return [*(measure.metric for measure in self.measures), *(each for each in answers if each is not None)]

    @property
    def last(self) -> int:
        """Index of the last stage."""
        return len(self.stages) - 1

    def weights(self, stage: int) -> dict[str, int]:
        """Return the slots of ``canary`` and ``baseline`` in a stage.

        The baseline is as large as the canary while there is room; in the last stage it is the hold-back.
        """
        if stage == self.last:
            held = assignment.weight(self.holdback)
            return {"canary": assignment.SLOTS - held, "baseline": held}
        canary = assignment.weight(self.stages[stage].share)
        return {"canary": canary, "baseline": min(canary, assignment.SLOTS - canary)}

    def margin(self, measure: Measure, stage: int) -> float | None:
        """Return the margin of a metric in a stage; None where no proof is asked for."""
        margins = self.stages[stage].margins
        return margins.get(measure.name, measure.margin)


def seconds(duration: str) -> int:
    """Return ``36h`` as 129600."""
    return int(duration[:-1]) * _UNITS[duration[-1]]


def _duration(amount: int) -> str:
    """Return seconds as the schema writes them; whole minutes, hours or days."""
    unit = next(name for name in "dhm" if amount % _UNITS[name] == 0)
    return f"{amount // _UNITS[unit]}{unit}"


def _metric_document(measure: Measure) -> dict[str, Any]:
    metric = measure.metric
    value: dict[str, Any] = {
        "name": metric.name,
        "event": metric.event,
        "aggregate": metric.aggregate,
        "unit": metric.unit_of,
        "role": measure.role,
        "kind": "feedback" if measure.feedback else "outcome",
        "direction": "lower" if measure.lower else "higher",
        "window": _duration(metric.window_ms // 1000),
        "maturity": _duration(metric.maturity_ms // 1000),
        "missing": metric.missing,
        "over": metric.over,
        "threshold": metric.threshold,
        "stale_after": _duration(measure.stale_after),
    }
    for name in ("critical", "required", "dry_run"):
        value[name] = getattr(measure, name)
    for name in ("margin", "limit", "baseline", "deviation"):
        if getattr(measure, name) is not None:
            value[name] = getattr(measure, name)
    if measure.bounds is not None:
        value["bounds"] = list(measure.bounds)
    for name in ("day", "covariate"):
        if getattr(metric, name) is not None:
            value[name] = getattr(metric, name)
    return value
