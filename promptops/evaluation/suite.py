"""Evaluation suites: cases, the evaluators that score their replies, and the guardrails that a canary decides on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from promptops.errors import InputError
from promptops.evaluation import evaluators, feedback
from promptops.evaluation.case import Case, Simulation, Turn, View
from promptops.evaluation.evaluators import Definition
from promptops.evaluation.harm import Guardrail
from promptops.evaluation.harness import spec as harnesses
from promptops.evaluation.judging import judge, standing
from promptops.evaluation.measures.fit import misfit
from promptops.registry.project import Canary

if TYPE_CHECKING:
    from promptops.evaluation.datasets.made import Placed
    from promptops.evaluation.feedback import Feedback
    from promptops.evaluation.harness.spec import Spec
    from promptops.evaluation.judging.judge import Judge
    from promptops.registry.prompt import Model

EXPECTED = "expected"
Pointer: TypeAlias = tuple[str | int, ...]
Where: TypeAlias = Callable[[Pointer], tuple[int, int]]
# Returns the cases of an entry of `data`.
Load: TypeAlias = "Callable[[Mapping[str, Any]], list[Placed]]"


@dataclass(frozen=True, slots=True)
class Suite:
    """An evaluation suite.

    Attributes:
        name: file name below ``evals/`` without suffix.
        cases: in file order, ids unique.
        evaluators: definitions by metric name; each scores every case, a measure those that it fits.
        guardrails: at most one per metric.
        value: the parsed file, from which the digest is made.
        repeats: how often each case is asked in a round.
        asks: the model files that the suite itself asks by name, as for simulated users and judges.
        files: the content of other files that its evaluators name, by path; those that are missing are left out.
        harness: what asks in place of cases, and scores too.
    """

    name: str
    cases: tuple[Case, ...]
    evaluators: dict[str, Definition]
    guardrails: tuple[Guardrail, ...]
    value: dict[str, Any]
    repeats: int = 1
    asks: Mapping[str, Model] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    harness: Spec | None = None

    @property
    def models(self) -> frozenset[str]:
        """Names of the model files that the suite itself asks, as for simulated users and judges."""
        turns = [turn for case in self.cases for view in case.views.values() for turn in view.turns]
        return frozenset(turn.simulate.model for turn in turns if turn.simulate) | standing.models(self.value)

    @property
    def paths(self) -> frozenset[str]:
        """Paths of the files that its evaluators name."""
        return frozenset(
            definition.arguments[key]
            for definition in self.evaluators.values()
            for kind, key in ((judge.KIND, "calibration"), (feedback.KIND, "path"))
            if definition.type == kind and key in definition.arguments
        )

    def feedback(self) -> dict[str, Feedback]:
        """Return what people said, by metric.

        Raises:
            InputError: a file of feedback is missing or malformed.
        """
        found = {}
        for metric, (kind, given) in self.evaluators.items():
            if kind == feedback.KIND:
                data = self.files.get(given["path"])
                if data is None:
                    raise InputError(f"there is no feedback for {metric}", hint="commit the file", path=given["path"])
                found[metric] = feedback.read(data, given["path"], positive=given.get("positive", feedback.POSITIVE))
        return found

    def judges(self) -> dict[str, Judge]:
        """Return the suite's judges by metric."""
        floor = self.value.get("floor")
        return {metric: judge.build(given, self.asks, floor) for metric, given in standing.judges(self.value).items()}

    def level(self, metric: str) -> float | None:
        """Return the mean score that a judge gave when it was calibrated; None where that is not known.

        Raises:
            InputError: its calibration record is malformed.
        """
        data = self.files.get(self.evaluators[metric].arguments.get("calibration", ""))
        level = standing.read(data).get("level") if data is not None else None
        found = level.get("judge") if isinstance(level, dict) else None
        return float(found) if isinstance(found, int | float) else None

    def barred(self) -> dict[str, str]:
        """Return why metrics may not decide anything, by metric.

        Raises:
            InputError: a calibration record is malformed.
        """
        return standing.barred(self.value, self.asks, self.files.get)

    def bears_on(self, metric: str) -> frozenset[str]:
        """Return the ids of the cases that have a score of ``metric``."""
        if metric == EXPECTED:
            return frozenset(case.id for case in self.cases if case.expect)
        kind, arguments = self.evaluators[metric]
        return frozenset(case.id for case in self.cases if not misfit(kind, arguments, case))


def parse(
    name: str,
    value: dict[str, Any],
    *,
    margin: float = Canary().margin,
    path: str | None = None,
    where: Where | None = None,
    load: Load | None = None,
) -> Suite:
    """Build a suite from a value that fits the JSON Schema ``suite``.

    Args:
        name: of the suite.
        value: the parsed file.
        margin: of guardrails that state none.
        path: of the file, for messages.
        where: maps a pointer into ``value`` to its line and column, for messages.
        load: returns the cases of an entry of ``data``; None leaves them out, where only the rest of the suite counts.

    Raises:
        InputError: the parts contradict each other, or a row of the data makes no case.
        RefusedError: data is not the reviewed one.
        PromptopsError: data cannot be read.
    """
    faults = _Faults(path, where)
    metrics: dict[str, Definition] = {}
    for metric, definition in value.get("evaluators", {}).items():
        if metric == EXPECTED:
            faults.refuse(f"`{EXPECTED}` is the metric of the cases' own `expect`", ("evaluators", metric), "rename it")
        arguments = {key: argument for key, argument in definition.items() if key != "type"}
        metrics[metric] = faults.check(Definition(definition["type"], arguments), ("evaluators", metric))
    cases = _cases(value, load, faults)
    suite = Suite(
        name,
        cases,
        metrics,
        _guardrails(value, margin, faults),
        value,
        value.get("repeats", 1),
        harness=_harness(value, faults),
    )
    whole = load is not None or "data" not in value
    for index, rail in enumerate(suite.guardrails):
        _check_metric(suite, rail, ("guardrails", index, "metric"), faults, whole=whole)
    return suite


def _cases(value: dict[str, Any], load: Load | None, faults: _Faults) -> tuple[Case, ...]:
    placed = [(item, ("cases", index), faults) for index, item in enumerate(value.get("cases", ()))]
    for index, entry in enumerate(value.get("data", ())):
        placed += [
            (each.case, ("data", index), _Faults(each.path, partial(_line, each.line)))
            for each in (load(entry) if load else ())
        ]
    cases: dict[str, Case] = {}
    for item, place, of in placed:
        case = _case(item, place, of)
        if place[0] == "data" and any(turn.simulate for view in case.views.values() for turn in view.turns):
            hint = "write the case into the suite, whose digest covers the model"
            of.refuse(f"case {case.id} is data, and cannot simulate a user", place, hint)
        if case.id in cases:
            of.refuse(f"two cases have the id {case.id}", (*place, "id"), "give each case an id of its own")
        cases[case.id] = case
    return tuple(cases.values())


def _line(line: int, _place: Pointer) -> tuple[int, int]:
    """Return where a row is: every part of it stands in the row's line."""
    return line, 1


def _harness(value: dict[str, Any], faults: _Faults) -> Spec | None:
    if "harness" not in value:
        return None
    extra = [key for key in ("cases", "data", "evaluators", "repeats") if key in value]
    if extra:
        faults.refuse(f"a suite with a harness has no `{extra[0]}`", (extra[0],), "the harness asks and scores itself")
    try:
        return harnesses.parse(value["harness"])
    except InputError as error:
        return faults.refuse(error.message, ("harness",), error.hint)


def _case(item: dict[str, Any], place: Pointer, faults: _Faults) -> Case:
    if "views" in item:
        extra = [key for key in ("input", "variables", "turns") if key in item]
        if extra:
            faults.refuse(f"case {item['id']} has both `views` and `{extra[0]}`", place, "move it into the views")
        views = {
            name: _view(view, f"view {name} of case {item['id']}", (*place, "views", name), faults)
            for name, view in item["views"].items()
        }
    else:
        views = {"": _view(item, f"case {item['id']}", place, faults)}
    return Case(
        item["id"],
        views,
        _expectations(item.get("expect", {}), (*place, "expect"), faults),
        item.get("expected", {}),
        tuple(item.get("tags", ())),
        item.get("weight", 1),
    )


def _view(item: dict[str, Any], what: str, place: Pointer, faults: _Faults) -> View:
    given = [key for key in ("input", "variables") if key in item]
    if len(given) != 1:
        found = "both `input` and `variables`" if given else "neither `input` nor `variables`"
        faults.refuse(f"{what} has {found}", place, "`input` fills the prompt's only required variable")
    turns = [_turn(turn, (*place, "turns", index), faults) for index, turn in enumerate(item.get("turns", ()))]
    return View(item.get("input"), item.get("variables"), tuple(turns))


def _turn(item: str | dict[str, Any], place: Pointer, faults: _Faults) -> Turn:
    if isinstance(item, str):
        return Turn(item)
    if "simulate" in item:
        return Turn(None, simulate=Simulation(**item["simulate"]))
    return Turn(item["say"], _expectations(item.get("when", {}), (*place, "when"), faults), item.get("otherwise"))


def _expectations(item: dict[str, Any], place: Pointer, faults: _Faults) -> tuple[Definition, ...]:
    return tuple(faults.expectation(kind, argument, (*place, kind)) for kind, argument in item.items())


def _guardrails(value: dict[str, Any], margin: float, faults: _Faults) -> tuple[Guardrail, ...]:
    rails: dict[str, Guardrail] = {}
    for index, item in enumerate(value.get("guardrails", [])):
        metric = item["metric"]
        if metric in rails:
            faults.refuse(f"two guardrails are on {metric}", ("guardrails", index), "keep one per metric")
        limit = item.get("limit")
        rails[metric] = Guardrail(
            metric,
            "lower" if item["direction"] == "lower" else "higher",
            float(item.get("margin", margin)),
            None if limit is None else float(limit),
        )
    return tuple(rails.values())


def _check_metric(suite: Suite, rail: Guardrail, place: Pointer, faults: _Faults, *, whole: bool) -> None:
    if suite.harness:
        # Which metrics there are, its results say.
        return
    if rail.metric != EXPECTED and rail.metric not in suite.evaluators:
        known = ", ".join([*suite.evaluators, EXPECTED])
        faults.refuse(f"the guardrail's metric {rail.metric} is not defined", place, f"one of: {known}")
    definition = suite.evaluators.get(rail.metric)
    if definition and definition.arguments.get("pair") and rail.limit is not None:
        hint = "take `limit` out: a first release has no baseline to judge it beside"
        faults.refuse("a judge of pairs has no mean of its own to limit", place, hint)
    if whole and not suite.bears_on(rail.metric):
        if rail.metric == EXPECTED:
            faults.refuse("no case has `expect`, so `expected` is never scored", place, "add `expect` to the cases")
        case, definition = suite.cases[0], suite.evaluators[rail.metric]
        why = f"case {case.id}: {misfit(*definition, case)}"
        faults.refuse(f"no case can be read by {rail.metric}, a {definition.type}", place, why)


@dataclass(frozen=True, slots=True)
class _Faults:
    """Where a file is, so that a fault in it can be pointed at; and the expectations in it so far."""

    path: str | None
    where: Where | None
    known: dict[tuple[str, str], Definition] = field(default_factory=dict)

    def refuse(self, message: str, place: Pointer, hint: str | None) -> NoReturn:
        line, column = self.where(place) if self.where else (None, None)
        raise InputError(message, hint=hint, path=self.path, line=line, column=column)

    def check(self, definition: Definition, place: Pointer) -> Definition:
        try:
            evaluators.check(definition)
        except InputError as error:
            self.refuse(error.message, place, error.hint)
        return definition

    def expectation(self, kind: str, argument: Any, place: Pointer) -> Definition:
        """Return the definition of an expectation; cases that expect the same words share one."""
        if not isinstance(argument, str):
            return self.check(evaluators.expectation(kind, argument), place)
        if (kind, argument) not in self.known:
            self.known[kind, argument] = self.check(evaluators.expectation(kind, argument), place)
        return self.known[kind, argument]
