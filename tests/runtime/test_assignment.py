"""The frozen assignment: other programs compute the same, a ramp only adds, and shares are what they say."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from promptops.errors import UsageError
from promptops.runtime import assignment
from promptops.runtime.assignment import SLOTS, arm, slot, weight

FOLDER = Path(__file__).parents[1] / "data" / "assignment"
VECTORS = json.loads((FOLDER / "vectors.json").read_text())


def test_published_vectors_hold():
    assert VECTORS["hash"] == assignment.HASH
    assert [slot(row["salt"], row["unit"]) for row in VECTORS["slots"]] == [row["slot"] for row in VECTORS["slots"]]
    assert [weight(row["share"]) for row in VECTORS["weights"]] == [row["weight"] for row in VECTORS["weights"]]
    found = [arm(row["slot"], row["canary"], row["baseline"]) for row in VECTORS["arms"]]
    assert found == [row["arm"] for row in VECTORS["arms"]]
    assert set(found) == {"canary", "baseline", "stable"}


def test_another_program_computes_the_same_slots(tmp_path):
    for index, row in enumerate(VECTORS["slots"]):
        (tmp_path / f"{index:04}").write_bytes(f"{row['salt']}\0{row['unit']}".encode())
    names = [f"{index:04}" for index in range(len(VECTORS["slots"]))]
    tool = ["sha256sum"] if shutil.which("sha256sum") else ["openssl", "dgst", "-sha256", "-r"]
    done = subprocess.run([*tool, *names], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert [int(line[:8], 16) for line in done.stdout.splitlines()] == [row["slot"] for row in VECTORS["slots"]]


def test_weights_are_exact_decimal_fractions_rounded_down():
    for row in VECTORS["weights"]:
        assert row["weight"] == math.floor(Fraction(row["share"].rstrip("%")) / 100 * SLOTS), row


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_another_language_agrees_and_would_say_if_not(tmp_path):
    command = ["node", str(FOLDER / "check.cjs")]
    done = subprocess.run([*command, str(FOLDER / "vectors.json")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    changed = json.loads(json.dumps(VECTORS))
    changed["slots"][3]["slot"] += 1
    (tmp_path / "changed.json").write_text(json.dumps(changed))
    done = subprocess.run([*command, str(tmp_path / "changed.json")], capture_output=True, text=True, check=False)
    assert done.returncode == 1


def shares():
    return st.integers(0, 100_000).map(lambda thousandths: f"{thousandths / 1000:.3f}%")


@given(st.text(max_size=30), st.text(max_size=30), st.lists(shares(), min_size=2, max_size=6))
def test_a_ramp_takes_nobody_out_of_the_canary_or_the_baseline(salt, unit, ramp):
    weights = sorted(weight(share) for share in ramp)
    number = slot(salt, unit)
    met = [arm(number, canary, min(canary, SLOTS - canary)) for canary in weights if canary <= SLOTS // 2]
    joined = [name for name in met if name != "stable"]
    assert met == ["stable"] * (len(met) - len(joined)) + joined
    assert len(set(joined)) <= 1


@given(st.integers(0, SLOTS - 1), st.integers(0, SLOTS), st.integers(0, SLOTS))
def test_the_arms_share_the_slots_out_without_gap_or_overlap(number, canary, baseline):
    assume(canary + baseline <= SLOTS)
    expected = {"canary": number < canary, "baseline": number >= SLOTS - baseline}
    assert arm(number, canary, baseline) == next((name for name, here in expected.items() if here), "stable")
    assert sum(expected.values()) <= 1


@pytest.mark.parametrize("share", ["1%", "5%", "25%", "50%"])
def test_shares_of_units_are_the_weights(share):
    wanted, count = weight(share), 100_000
    met = {"canary": 0, "baseline": 0, "stable": 0}
    for number in range(count):
        met[arm(slot("3f9a0c71d2be", f"user-{number}"), wanted, wanted)] += 1
    expected = wanted / SLOTS
    for name in ("canary", "baseline"):
        assert abs(met[name] - count * expected) / math.sqrt(count * expected * (1 - expected)) < 4


def test_two_rollouts_do_not_try_the_same_units():
    first, second = ({n for n in range(20_000) if slot(salt, str(n)) < weight("5%")} for salt in ("a1", "b2"))
    expected = 20_000 * 0.05 * 0.05
    assert abs(len(first & second) - expected) / math.sqrt(expected) < 4


@pytest.mark.parametrize(
    "share", ["", "5", "101%", "100.000000001%", "-1%", "5 %", "1e1%", "\u0665%", "0.0000000001%", "%"]
)
def test_what_is_no_share_is_refused(share):
    with pytest.raises(UsageError, match="no share"):
        weight(share)


def test_a_unit_that_utf8_cannot_say_has_a_slot():
    assert slot("s", "\ud800") == slot("s", "\ud800") != slot("s", "\ud801")
