"""Plans as they stand in files and decisions, read with the place of whatever keeps a rollout from following them."""

from __future__ import annotations

import contextlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from promptops.errors import InputError, UsageError
from promptops.registry import schemas, yaml
from promptops.registry.governed import ROLLOUTS
from promptops.rollout.plan import DAY, HOUR, Alpha, Measure, Plan, Stage, seconds
from promptops.runtime import assignment
from promptops.telemetry import metrics, queries
from promptops.telemetry.metrics import Metric

if TYPE_CHECKING:
    from collections.abc import Callable

_LEAST_EXPIRY = 28 * DAY
_ALPHA: dict[str, float] = {"rollback": 0.01, "critical": 0.005, "advance": 0.05, "srm": 0.001, "divergence": 0.05}
_PROVED = frozenset({"guardrail", "success", "quality"})


# Each rule of a check asks for the plan.
@lru_cache(maxsize=8)
def from_file(path: str, data: bytes) -> Plan:
    """Read a plan file; see `Plan.parse`.

    Raises:
        InputError: malformed, or no rollout can follow it; with line and column.
    """
    document = yaml.load(data, path)
    schemas.check_document("rollout", document)
    name = path.removeprefix(ROLLOUTS).removesuffix(".yaml")

    def fail(pointer: tuple[str | int, ...], message: str, hint: str) -> InputError:
        line, column = document.where(pointer)
        return InputError(message, hint=hint, path=path, line=line, column=column)

    return _Reader({"prompt": name, **document.value}, fail).plan()


def from_document(value: object) -> Plan:
    """Read the plan of a decision; see `Plan.load`.

    Raises:
        InputError: it is no plan.
    """

    def fail(_pointer: tuple[str | int, ...], message: str, hint: str) -> InputError:
        return InputError(message, hint=hint, path="plan.json")

    problems = schemas.problems("rollout", value)
    if problems or not isinstance(value, dict) or "prompt" not in value:
        raise fail((), problems[0].message if problems else "it names no prompt", "promptops schema rollout")
    return _Reader(value, fail).plan()


class _Reader:
    """Builds a plan from a value that fits the schema; ``fail`` makes the error of a place in it."""

    def __init__(self, value: dict[str, Any], fail: Callable[[tuple[str | int, ...], str, str], InputError]) -> None:
        self._value = value
        self._fail = fail

    def plan(self) -> Plan:
        value = self._value
        measures = self._measures()
        stages = self._stages({measure.name for measure in measures})
        dwells = sum(stage.dwell for stage in stages[:-1])
        expires = seconds(value["expires"]) if "expires" in value else _rounded(max(_LEAST_EXPIRY, 2 * dwells))
        if expires <= dwells:
            raise self._fail(
                ("expires",), "the plan expires before its stages can be over", "raise expires or lower dwell"
            )
        plan = Plan(
            prompt=value["prompt"],
            environment=value.get("environment", "prod"),
            stages=stages,
            measures=measures,
            holdback=self._holdback(stages),
            alpha=self._alpha(),
            target_units=int(value.get("target_units", 10_000)),
            burn_in=int(value.get("burn_in", 500)),
            expires=expires,
            on_expiry=value.get("on_expiry", "rollback"),
            on_invalid=value.get("on_invalid", "rollback"),
            stale_after=self._stale_after,
            scope=value.get("scope", "immediate"),
            notify=value.get("notify"),
            source_env=value.get("telemetry", {}).get("source_env", "PROMPTOPS_EVENTS"),
            units_per_day=value.get("units_per_day"),
            dry_run=value.get("dry_run", False),
        )
        try:
            metrics.check(plan.metrics)
        except UsageError as error:
            raise self._fail(("metrics",), error.message, "NAME.given is who gave the feedback NAME") from error
        return plan

    @property
    def _stale_after(self) -> int:
        return seconds(self._value.get("stale_after", "2d"))

    def _alpha(self) -> Alpha:
        given = self._value.get("alpha", {})
        if isinstance(given, dict):
            return Alpha(**{**_ALPHA, **given})
        return Alpha(**{**_ALPHA, "advance": given, "rollback": given / 5, "critical": given / 10, "divergence": given})

    def _stages(self, names: set[str]) -> tuple[Stage, ...]:
        stages: list[Stage] = []
        for place, item in enumerate(self._value["stages"]):
            at = ("stages", place)
            if item["share"] == "shadow":
                raise self._fail(at, "a shadow stage cannot be carried out yet", "begin with a small share, as 1%")
            stage = Stage(
                item["share"], seconds(item.get("dwell", "0m")), item.get("minimum_units", 500), item.get("margins", {})
            )
            if stages and assignment.weight(stage.share) <= assignment.weight(stages[-1].share):
                raise self._fail(at, f"{stage.share} is no more than the stage before", "let shares grow")
            unknown = sorted(set(stage.margins) - names)
            if unknown:
                raise self._fail(
                    (*at, "margins", unknown[0]), f"there is no metric {unknown[0]}", "name one of metrics"
                )
            stages.append(stage)
        if assignment.weight(stages[-1].share) < assignment.SLOTS:
            stages.append(Stage("100%", 0, stages[-1].minimum_units, {}))
        if len(stages) == 1:
            raise self._fail(
                ("stages", 0),
                "the first stage serves everybody at once",
                "begin with a small share; promptops promote serves everybody, with a reason",
            )
        return tuple(stages)

    def _holdback(self, stages: tuple[Stage, ...]) -> str:
        held: str = self._value.get("holdback", "0%")
        # Above that, those held back would not be the baseline of the stage before, and would switch twice.
        before = assignment.weight(stages[-2].share)
        if assignment.weight(held) > min(before, assignment.SLOTS - before):
            raise self._fail(
                ("holdback",), f"{held} are more than the stage before the last keeps as baseline", "hold back less"
            )
        return held

    def _measures(self) -> tuple[Measure, ...]:
        found: dict[str, Measure] = {}
        for place, item in enumerate(self._value["metrics"]):
            measure = self._measure(item, ("metrics", place))
            if measure.name in found:
                raise self._fail(("metrics", place), f"two metrics are named {measure.name}", "rename one")
            found[measure.name] = measure
        return tuple(found.values())

    def _measure(self, item: dict[str, Any], at: tuple[str | int, ...]) -> Measure:
        role, dry_run = item["role"], item.get("dry_run", False)
        bounds = item.get("bounds")
        measure = Measure(
            role=role,
            feedback=item.get("kind") == "feedback",
            lower=item["direction"] == "lower",
            margin=item.get("margin"),
            critical=item.get("critical", False),
            required=item.get("required", role != "proxy" and not dry_run),
            dry_run=dry_run,
            limit=item.get("limit"),
            bounds=None if bounds is None else (bounds[0], bounds[1]),
            stale_after=seconds(item["stale_after"]) if "stale_after" in item else self._stale_after,
            baseline=item.get("baseline"),
            deviation=item.get("deviation"),
            metric=self._metric(item, at),
        )
        fault = _fault(measure)
        if fault:
            raise self._fail(at, f"metric {measure.name}: {fault[0]}", fault[1])
        return measure

    def _metric(self, item: dict[str, Any], at: tuple[str | int, ...]) -> Metric:
        aggregate = item.get("aggregate", "mean")
        window = seconds(item.get("window", "7d"))
        closes = seconds("1d") * (item["day"] + 1) if "day" in item else window
        metric = Metric(
            name=item["name"],
            event=item.get("event", item["name"]),
            aggregate=aggregate,
            unit_of=item.get("unit", "turn"),
            window_ms=1000 * window,
            maturity_ms=1000 * (seconds(item["maturity"]) if "maturity" in item else closes),
            missing=item.get("missing", "exclude"),
            day=item.get("day"),
            covariate=item.get("covariate"),
            over=item.get("over", "outcome"),
            threshold=item.get("threshold", 0.5),
            query=item.get("query"),
        )
        try:
            metrics.check([metric])
            # Without the extra there is no parser of SQL, and no engine either.
            with contextlib.suppress(ImportError):
                queries.of([metric])
        except UsageError as error:
            raise self._fail(at, error.message, error.hint or "promptops schema rollout") from error
        return metric


def _rounded(amount: int) -> int:
    """Return seconds rounded up to whole hours, which the schema of ``expires`` can say."""
    return -(-amount // HOUR) * HOUR


def _fault(measure: Measure) -> tuple[str, str] | None:
    """Return what keeps a metric from doing what its role says, and what to do, or None."""
    role, margin, rule = measure.role, measure.margin, measure.decides
    wide = margin is not None and measure.span and margin >= measure.span and role in _PROVED
    faults = (
        (
            measure.bounds is not None and measure.bounds[0] >= measure.bounds[1],
            "its bounds are no range",
            "least first",
        ),
        (measure.critical and role != "guardrail", "only a guardrail is critical", "make it a guardrail"),
        (measure.limit is not None and role != "ops", "a limit is for ops", "give it a margin"),
        (
            rule and measure.metric.kind == "survival",
            "survival is only shown",
            "set dry_run: true, and let the retention of a day decide",
        ),
        (
            rule and role in {"guardrail", "quality"} and margin is None,
            f"a {role} needs a margin",
            "say which worsening is tolerated",
        ),
        (
            rule and role == "ops" and margin is None and measure.limit is None,
            "an ops metric needs a limit or a margin",
            "say what is too much",
        ),
        (rule and wide, "its margin is as wide as its range", "say which worsening is tolerated"),
    )
    return next(((message, hint) for wrong, message, hint in faults if wrong), None)
