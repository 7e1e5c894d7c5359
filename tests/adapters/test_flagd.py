"""Exported flags against the real evaluator of flagd."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext
from serving import ID, NAME, body, entry, rollout

from promptops.adapters import flagd
from promptops.runtime import assignment


def own(canary=0, baseline=0, sequence=2):
    return entry("1.0.0", sequence, rollout(canary, baseline, canary=body("1.1.0")))


def core(entries):
    found = FlagdCore()
    found.set_flags(flagd.serialize("prod", entries).decode())
    return found


def resolved(evaluator, attributes):
    return evaluator.resolve_object_value(NAME, {}, EvaluationContext("somebody", attributes))


@given(
    st.integers(0, assignment.SLOTS).flatmap(
        lambda canary: st.tuples(st.just(canary), st.integers(0, assignment.SLOTS - canary))
    ),
    st.integers(0, assignment.SLOTS - 1),
)
def test_flagd_chooses_the_arm_that_we_choose(weights, slot):
    canary, baseline = weights
    evaluator = core({NAME: own(canary, baseline)})
    for each in {slot, 0, assignment.SLOTS - 1, max(canary - 1, 0), min(canary, assignment.SLOTS - 1)}:
        found = resolved(evaluator, {"promptops": {"slot": each}})
        assert found.variant == assignment.arm(each, canary, baseline)
        assert found.value["version"] == ("1.1.0" if found.variant == "canary" else "1.0.0")


@pytest.mark.parametrize(
    "attributes",
    [{}, {"promptops": {}}, {"promptops": {"slot": None}}, {"promptops": {"slot": -5}}, {"promptops": None},
     {"promptops": {"slot": "x"}}, {"promptops": {"slot": assignment.SLOTS}}, {"slot": 0}],
)  # fmt: skip
def test_whoever_has_no_slot_gets_the_stable_arm(attributes):
    # 40% canary: what JsonLogic takes for 0 would be in it.
    found = resolved(core({NAME: own(assignment.weight("40%"), 100)}), attributes)
    assert (found.variant, found.reason, found.value["version"]) == ("stable", "DEFAULT", "1.0.0")


def test_units_share_their_slot_with_our_own_runtime():
    canary = assignment.weight("30%")
    served = own(canary, canary)
    evaluator = core({NAME: served})
    arms = set()
    for number in range(200):
        unit = f"user-{number}"
        arm = assignment.arm(assignment.slot(ID, unit), canary, canary)
        assert resolved(evaluator, flagd.context(served, unit)).variant == arm
        arms.add(arm)
    assert arms == {"canary", "baseline", "stable"}
    assert flagd.context(served, None) == {}
    assert flagd.context(entry(), "user-1") == {}


def test_metadata_say_what_another_language_needs_for_the_slot():
    found = resolved(core({NAME: own(1, 1)}), {})
    wanted = {"salt": ID, "hash": "sha256-u32/1", "rollout": ID, "decision": 2, "digest": entry()["digest"]}
    assert wanted.items() <= found.flag_metadata.items()
    assert found.flag_metadata["flagSetId"] == "prod"


def test_prompt_without_a_rollout_is_a_static_flag():
    found = resolved(core({NAME: entry()}), {"promptops": {"slot": 0}})
    assert (found.variant, found.reason, found.value["version"]) == ("stable", "STATIC", "1.0.0")


def test_older_decision_never_replaces_a_newer_one():
    newest = flagd.serialize("prod", {NAME: own(sequence=5), "other": own(sequence=1)})
    again = json.loads(flagd.serialize("prod", {NAME: entry("0.9.0", 4)}, newest))
    assert again["flags"] == json.loads(newest)["flags"]
    later = json.loads(flagd.serialize("prod", {NAME: entry("0.9.0", 6)}, newest))
    assert later["flags"][NAME]["variants"]["stable"]["version"] == "0.9.0"


@pytest.mark.parametrize("before", [b"", b"{", b"[]", b'{"flags": {"x": 1}}', b"[" * 100_000])
def test_file_that_cannot_be_read_is_replaced(before):
    assert flagd.serialize("prod", {NAME: entry()}, before) == flagd.serialize("prod", {NAME: entry()})


def test_file_of_another_environment_is_replaced():
    other = flagd.serialize("staging", {NAME: entry(sequence=9)})
    assert flagd.serialize("prod", {NAME: entry()}, other) == flagd.serialize("prod", {NAME: entry()})
