"""Evaluation suites: cases, the evaluators that score their replies, and the guardrails that a canary decides on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from promptops.errors import InputError
from promptops.evaluation import evaluators
from promptops.evaluation.evaluators import Definition
from promptops.evaluation.harm import Guardrail
from promptops.registry.project import Canary

EXPECTED = "expected"
Pointer: TypeAlias = tuple[str | int, ...]
Where: TypeAlias = Callable[[Pointer], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Case:
    """One question to a prompt.

    Attributes:
        id: unique in the suite.
        input: value of the prompt's only required variable, or None.
        variables: values by variable name, or None.
        expect: what the reply must satisfy; empty when the case only feeds the suite's evaluators.
    """

    id: str
    input: str | None
    variables: dict[str, Any] | None
    expect: tuple[Definition, ...] = ()

    @property
    def said(self) -> str:
        """The user's own words: every text among the values."""
        if self.input is not None:
            return self.input
        return "\n".join(value for value in (self.variables or {}).values() if isinstance(value, str))

    def bind(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the variables to render a prompt with.

        Args:
            schema: the prompt's variables, JSON Schema by name; one with a ``default`` is optional.

        Raises:
            InputError: the case does not fit the prompt's variables.
        """
        required = [name for name, rule in schema.items() if not (isinstance(rule, dict) and "default" in rule)]
        if self.input is not None:
            target = required or list(schema)
            if len(target) != 1:
                raise InputError(
                    f"case {self.id} has `input`, but the prompt has {len(target)} variables that it could fill",
                    hint=f"write `variables: {{{', '.join(f'{name}: ...' for name in target)}}}` in the case",
                )
            return {target[0]: self.input}
        given = dict(self.variables or {})
        unknown, missing = sorted(given.keys() - schema.keys()), sorted(set(required) - given.keys())
        if unknown or missing:
            parts = [f"unknown: {', '.join(unknown)}"] * bool(unknown) + [f"missing: {', '.join(missing)}"] * bool(
                missing
            )
            raise InputError(
                f"variables of case {self.id} do not fit the prompt ({'; '.join(parts)})",
                hint=f"the prompt's variables are: {', '.join(schema) or 'none'}",
            )
        return given


@dataclass(frozen=True, slots=True)
class Suite:
    """An evaluation suite.

    Attributes:
        name: file name below ``evals/`` without suffix.
        cases: in file order, ids unique.
        evaluators: definitions by metric name; each scores every case.
        guardrails: at most one per metric.
        value: the parsed file, from which the digest is made.
    """

    name: str
    cases: tuple[Case, ...]
    evaluators: dict[str, Definition]
    guardrails: tuple[Guardrail, ...]
    value: dict[str, Any]

    def bears_on(self, metric: str) -> frozenset[str]:
        """Return the ids of the cases that have a score of ``metric``."""
        return frozenset(case.id for case in self.cases if metric != EXPECTED or case.expect)


def parse(
    name: str,
    value: dict[str, Any],
    *,
    margin: float = Canary().margin,
    path: str | None = None,
    where: Where | None = None,
) -> Suite:
    """Build a suite from a value that fits the JSON Schema ``suite``.

    Args:
        name: of the suite.
        value: the parsed file.
        margin: of guardrails that state none.
        path: of the file, for messages.
        where: maps a pointer into ``value`` to its line and column, for messages.

    Raises:
        InputError: the parts contradict each other.
    """
    faults = _Faults(path, where)
    metrics: dict[str, Definition] = {}
    for metric, definition in value.get("evaluators", {}).items():
        if metric == EXPECTED:
            faults.refuse(f"`{EXPECTED}` is the metric of the cases' own `expect`", ("evaluators", metric), "rename it")
        arguments = {key: argument for key, argument in definition.items() if key != "type"}
        metrics[metric] = faults.check(Definition(definition["type"], arguments), ("evaluators", metric))
    cases = tuple(_case(item, ("cases", index), faults) for index, item in enumerate(value["cases"]))
    seen: set[str] = set()
    for index, case in enumerate(cases):
        if case.id in seen:
            faults.refuse(f"two cases have the id {case.id}", ("cases", index, "id"), "give each case an id of its own")
        seen.add(case.id)
    suite = Suite(name, cases, metrics, _guardrails(value, margin, faults), value)
    for index, rail in enumerate(suite.guardrails):
        _check_metric(suite, rail, ("guardrails", index, "metric"), faults)
    return suite


def _case(item: dict[str, Any], place: Pointer, faults: _Faults) -> Case:
    given = [key for key in ("input", "variables") if key in item]
    if len(given) != 1:
        found = "both `input` and `variables`" if given else "neither `input` nor `variables`"
        faults.refuse(f"case {item['id']} has {found}", place, "`input` fills the prompt's only required variable")
    expect = tuple(
        faults.check(evaluators.expectation(kind, argument), (*place, "expect", kind))
        for kind, argument in item.get("expect", {}).items()
    )
    return Case(item["id"], item.get("input"), item.get("variables"), expect)


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


def _check_metric(suite: Suite, rail: Guardrail, place: Pointer, faults: _Faults) -> None:
    if rail.metric != EXPECTED and rail.metric not in suite.evaluators:
        known = ", ".join([*suite.evaluators, EXPECTED])
        faults.refuse(f"the guardrail's metric {rail.metric} is not defined", place, f"one of: {known}")
    if not suite.bears_on(rail.metric):
        faults.refuse("no case has `expect`, so `expected` is never scored", place, "add `expect` to the cases")


@dataclass(frozen=True, slots=True)
class _Faults:
    """Where a file is, so that a fault in it can be pointed at."""

    path: str | None
    where: Where | None

    def refuse(self, message: str, place: Pointer, hint: str | None) -> None:
        line, column = self.where(place) if self.where else (None, None)
        raise InputError(message, hint=hint, path=self.path, line=line, column=column)

    def check(self, definition: Definition, place: Pointer) -> Definition:
        try:
            evaluators.check(definition)
        except InputError as error:
            self.refuse(error.message, place, error.hint)
        return definition
