"""Validity floors: a measure that has not measured decides nothing."""

from __future__ import annotations

import pytest

from promptops.errors import InputError
from promptops.evaluation import gate_evidence
from promptops.evaluation.floors import Floor
from promptops.evaluation.gate import Gate, Rules
from promptops.evaluation.harm import Guardrail

RAILS = {"s/flip": Guardrail("flip", "lower", 0.2, 0.3), "s/tone": Guardrail("tone", "lower", 0.2, 0.3)}
FLOORS = {
    "s/flip/accuracy": (Floor(low=0.5), frozenset({"s/flip"})),
    "s/flip/position": (Floor(low=0.2, high=0.8), frozenset({"s/flip"})),
}
RULES = Rules(minimum=20)
GOOD = {"s/flip/accuracy": 0.9, "s/flip/position": 0.5}


def gate_of(marks, pairs=60, rules=RULES, flip=0.0):
    gate = Gate(RAILS, rules, FLOORS)
    for _ in range(pairs):
        arms = {"baseline": {**GOOD, **marks.get("baseline", {})}, "candidate": {**GOOD, **marks.get("candidate", {})}}
        gate.add({"s/flip": (0.0, flip), "s/tone": (0.0, 0.0)}, floors=arms)
    return gate


def reasons(gate):
    return {row.name: row.reason for row in gate.verdict().rows}


def test_proved_floors_let_a_guardrail_decide():
    assert gate_of({}).decision == "pass"
    assert gate_of({}, flip=1.0).decision == "fail"


@pytest.mark.parametrize("arm", ["baseline", "candidate"])
def test_an_arm_that_always_answers_the_same_letter_was_not_measured(arm):
    gate = gate_of({arm: {"s/flip/position": 1.0, "s/flip/accuracy": 0.5}})
    assert gate.decision == "inconclusive"
    assert "s/flip/position" in reasons(gate)["s/flip"]
    assert "is not above 0.2 and below 0.8" in reasons(gate)["s/flip"]
    assert reasons(gate)["s/tone"].startswith("proved not worse")


def test_a_refuted_floor_ends_the_run_and_an_open_one_does_not():
    refuted = gate_of({"candidate": {"s/flip/position": 1.0}})
    assert (refuted.undecided, refuted.open) == (frozenset(), False)
    chance = gate_of({"candidate": {"s/flip/accuracy": 0.5}})
    assert (chance.undecided, chance.open) == ({"s/flip"}, True)
    assert "is not proved to be above 0.5" in reasons(chance)["s/flip"]


def test_harm_below_the_floor_is_no_harm():
    gate = gate_of({"candidate": {"s/flip/position": 0.0}}, flip=1.0)
    assert gate.decision == "inconclusive"


def test_a_first_release_is_held_to_its_own_floors():
    rules = Rules("absolute", minimum=20)
    assert gate_of({"baseline": {"s/flip/position": 1.0}}, rules=rules, pairs=90).decision == "pass"
    assert gate_of({"candidate": {"s/flip/position": 1.0}}, rules=rules, pairs=90).decision == "inconclusive"


@pytest.mark.parametrize("marks", [{}, {"candidate": {"s/flip/position": 1.0}}])
def test_evidence_gives_the_same_verdict_again(marks):
    gate = gate_of(marks)
    again = gate_evidence.resume(gate.evidence())
    assert again.verdict() == gate.verdict()
    assert again.evidence() == gate.evidence()
    assert gate_evidence.floors(gate.evidence()) == FLOORS


@pytest.mark.parametrize(
    "edit",
    [
        lambda floors: floors.append(floors[0]),
        lambda floors: floors[0].update(low=2.0),
        lambda floors: floors[0].update(low="0.5"),
        lambda floors: floors[0].pop("marks"),
        lambda floors: floors[0]["marks"].pop("baseline"),
        lambda floors: floors[0]["marks"].update(candidate="60-"),
        lambda floors: floors[0]["marks"].update(candidate="59+"),
        lambda floors: floors[0].update(guardrails="s/flip"),
        lambda floors: floors.append(1),
    ],
)
def test_edited_floors_are_refused(edit):
    evidence = gate_of({}).evidence()
    edit(evidence["floors"])
    with pytest.raises(InputError):
        gate_evidence.resume(evidence)


def test_a_floor_that_nothing_could_meet_is_refused():
    with pytest.raises(InputError, match="strictly between"):
        Gate(RAILS, RULES, {"s/flip/x": (Floor(low=1.0), frozenset({"s/flip"}))})
