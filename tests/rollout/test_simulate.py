"""What a plan does to drawn evidence, and what the command prints of it."""

from __future__ import annotations

import json
import random
from statistics import fmean, pvariance

import pytest
from rollout.plans import guardrail, make_plan, plan_text

from promptops.errors import InputError
from promptops.rollout import power, simulate
from promptops.rollout.simulate import Truth

# The plan of the published table: three guardrails at 10, 5 and 40 %, a thousand users a day in each arm.
THREE = [
    guardrail("ten", margin=0.02, baseline=0.10),
    guardrail("five", margin=0.015, baseline=0.05),
    guardrail("forty", margin=0.03, baseline=0.40),
]
HALF = [{"share": "50%"}, {"share": "100%"}]
THUMBS = {"name": "thumbs", "role": "proxy", "direction": "higher", "window": "1d", "bounds": [0, 1], "baseline": 0.6}


def characteristics(runs, units=2000, truths=None, **members):
    plan = make_plan(**{"stages": HALF, "metrics": THREE, "on_expiry": "hold", **members})
    rows = simulate.simulate(plan, truths or simulate.truths(plan), units_per_day=units, days=28, runs=runs, seed=1)
    return {row.truth.split(" (")[0]: row for row in rows}


def test_it_has_the_shape_of_the_published_table():
    rows = characteristics(80)
    assert rows["A/A"].promote >= 0.95
    assert 4 <= rows["A/A"].day <= 9
    assert rows["small harm"].promote >= 0.9
    assert rows["harm at the margin"].rollback >= 0.9
    assert rows["large harm"].rollback == 1.0
    assert rows["large harm"].day < rows["harm at the margin"].day
    assert rows["large harm"].exposed < rows["A/A"].exposed
    assert all(row.promote + row.rollback + row.hold == pytest.approx(1) for row in rows.values())


def test_few_users_hold_about_half_of_the_releases_that_change_nothing():
    row = characteristics(40, units=400, truths=[Truth("A/A", {})])["A/A"]
    assert 0.25 <= row.hold <= 0.75
    assert row.rollback <= 0.05


def test_flattery_goes_back():
    row = characteristics(20, metrics=[*THREE, THUMBS])["proxy up, guardrail down"]
    assert row.rollback >= 0.9


def test_stages_and_maturity_take_their_time():
    stages = [{"share": "5%", "dwell": "2d"}, {"share": "50%", "dwell": "4d"}, {"share": "100%"}]
    metrics = [guardrail("slow", margin=0.2, window="3d", baseline=0.1)]
    plan = make_plan(stages=stages, metrics=metrics, burn_in=100)
    (row,) = simulate.simulate(plan, [Truth("A/A", {})], units_per_day=20_000, days=28, runs=3, seed=1)
    # The first units mature at the end of day 3; the second stage lasts four more days.
    assert (row.promote, row.day) == (1.0, 7)
    assert row.exposed == pytest.approx(3 * 1000 + 4 * 10_000, rel=0.05)


def test_means_need_a_deviation_and_are_drawn_with_it():
    words = {"name": "words", "role": "guardrail", "direction": "lower", "window": "1d", "margin": 5, "baseline": 100}
    with pytest.raises(InputError, match="no rate"):
        characteristics(1, metrics=[words])
    rows = characteristics(20, metrics=[{**words, "deviation": 40}])
    assert (rows["A/A"].promote, rows["large harm"].rollback) == (1.0, 1.0)
    with pytest.raises(InputError, match="no baseline"):
        characteristics(1, metrics=[{key: value for key, value in words.items() if key != "baseline"}])


@pytest.mark.parametrize(("n", "p"), [(40, 0.1), (2000, 0.004), (5000, 0.3), (50, 0.9), (3, 1.0), (0, 0.5)])
def test_binomial_numbers_have_their_mean_and_variance(n, p):
    draw = random.Random(7)
    numbers = [simulate._binomial(draw, n, p) for _ in range(4000)]
    assert all(0 <= number <= n for number in numbers)
    variance = n * p * (1 - p)
    assert abs(fmean(numbers) - n * p) <= 4 * (variance / 4000) ** 0.5
    assert abs(pvariance(numbers) - variance) <= 0.12 * variance


def test_the_command_prints_a_table_and_json(registry):
    registry.write("rollouts/reply.yaml", plan_text(stages=HALF, metrics=THREE, units_per_day=4000))
    done = registry.cli("rollout", "simulate", "reply", "--runs", "3")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].split() == ["truth", "promote", "rollback", "hold", "median", "day", "users", "exposed"]
    assert lines[-1] == "3 runs each, 4,000 new users a day, 28 days"
    asked = (
        "rollout",
        "simulate",
        "rollouts/reply.yaml",
        "--runs",
        "3",
        "--days",
        "5",
        "--units-per-day",
        "100",
        "--json",
    )
    first, second = (registry.cli(*asked) for _ in range(2))
    assert first == second
    found = json.loads(first.out)
    assert (found["prompt"], found["days"], found["units_per_day"], found["runs"]) == ("reply", 5, 100, 3)
    assert [row["hold"] for row in found["rows"]] == [1.0] * 4


def test_the_command_says_what_is_missing(registry):
    assert registry.cli("rollout", "simulate", "reply").code == 2
    registry.write("rollouts/reply.yaml", plan_text())
    done = registry.cli("rollout", "simulate", "reply")
    assert (done.code, "--units-per-day N" in done.err) == (2, True)
    registry.write("rollouts/reply.yaml", plan_text(stages=[{"share": "shadow"}]))
    done = registry.cli("rollout", "simulate", "reply")
    assert (done.code, "rollouts/reply.yaml:1:" in done.err) == (1, True)


@pytest.mark.parametrize("units", [300, 1000])
def test_the_quick_estimate_agrees_with_the_rules(units):
    members = {"stages": HALF, "metrics": THREE[:1], "expires": "10d", "on_expiry": "rollback", "units_per_day": units}
    found = characteristics(150, units=units, truths=[Truth("A/A", {})], **members)["A/A"]
    assert power.share_held(make_plan(**members)) == pytest.approx(found.hold, abs=0.15)
