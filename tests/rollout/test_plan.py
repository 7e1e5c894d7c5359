"""Plan files: what they mean, what no rollout can follow, and that a copy means the same."""

from __future__ import annotations

import json

import pytest
from rollout.plans import GUARDRAIL, STAGES, guardrail, make_plan, plan_text

from promptops.errors import InputError
from promptops.registry import canonical
from promptops.rollout.plan import DAY, Plan
from promptops.runtime.assignment import SLOTS, weight


def test_a_plan_is_named_by_its_path_and_has_defaults():
    plan = Plan.parse("rollouts/support/reply.yaml", plan_text())
    assert (plan.prompt, plan.environment, plan.on_expiry, plan.scope) == (
        "support/reply",
        "prod",
        "rollback",
        "immediate",
    )
    assert [stage.dwell for stage in plan.stages] == [DAY, 7 * DAY, 14 * DAY]
    assert plan.alpha == (0.01, 0.005, 0.05, 0.001, 0.05)
    assert plan.measures[0].required
    assert plan.expires == 28 * DAY


def test_one_number_for_alpha_is_split():
    assert make_plan(alpha=0.1).alpha == pytest.approx((0.02, 0.01, 0.1, 0.001, 0.1))
    assert make_plan(alpha={"rollback": 0.02}).alpha == (0.02, 0.005, 0.05, 0.001, 0.05)


def test_arms_are_equally_large_until_the_hold_back():
    plan = make_plan()
    assert plan.weights(0) == {"canary": weight("5%"), "baseline": weight("5%")}
    assert plan.weights(1) == {"canary": SLOTS // 2, "baseline": SLOTS // 2}
    assert plan.weights(2) == {"canary": SLOTS - weight("5%"), "baseline": weight("5%")}
    assert make_plan(stages=[{"share": "80%"}, {"share": "100%"}]).weights(0)["baseline"] == SLOTS - weight("80%")


def test_a_stage_for_everybody_is_added():
    plan = make_plan(stages=[{"share": "5%", "minimum_units": 9}])
    assert [(stage.share, stage.minimum_units) for stage in plan.stages] == [("5%", 9), ("100%", 9)]


def test_a_stage_has_margins_of_its_own():
    stages = [{"share": "5%", "margins": {"abuse": 0.05}}, {"share": "50%", "margins": {"abuse": None}}]
    plan = make_plan(stages=stages)
    assert [plan.margin(plan.measures[0], stage) for stage in range(3)] == [0.05, None, 0.02]


def test_a_query_stands_for_the_events_of_its_metric_and_for_who_answered():
    asked = guardrail(kind="feedback", missing="exclude", query="SELECT unit, ts, value FROM events")
    metrics = make_plan(metrics=[asked, guardrail("other")]).metrics
    assert [(each.name, each.event, each.query is None) for each in metrics] == [
        ("abuse", "abuse", False),
        ("other", "other", True),
        ("abuse.given", "abuse.given", False),
    ]


def test_the_document_of_a_plan_is_the_plan():
    metrics = [
        guardrail(critical=True, bounds=[0, 1], covariate="before"),
        {"name": "back", "role": "success", "direction": "higher", "aggregate": "retention", "day": 7, "event": "exposure"},
        {"name": "cost", "role": "ops", "direction": "lower", "limit": 2, "required": False, "stale_after": "36h"},
        {"name": "thumbs", "role": "proxy", "kind": "feedback", "direction": "higher", "aggregate": "ratio", "over": "opportunity"},
    ]  # fmt: skip
    plan = make_plan(
        metrics=metrics,
        notify={"webhook_env": "HOOK", "on": ["rollback"]},
        expires="30d",
        telemetry={"source_env": "EVENTS"},
        units_per_day=10,
        stages=[{"share": "5%", "dwell": "90m", "margins": {"back": None}}, {"share": "100%"}],
        dry_run=True,
    )
    stored = canonical.loads(canonical.dumps(plan.document()))
    assert Plan.load(stored) == plan
    assert Plan.load(stored).digest == plan.digest
    assert plan.digest != make_plan().digest


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"stages": [{"share": "shadow"}, {"share": "5%"}]}, "shadow stage cannot be carried out"),
        ({"stages": [{"share": "100%"}]}, "everybody at once"),
        ({"stages": [{"share": "5%"}, {"share": "5%"}]}, "no more than the stage before"),
        ({"stages": [{"share": "5%", "margins": {"abus": 0.1}}]}, "no metric abus"),
        ({"holdback": "60%"}, "60% are more than"),
        ({"expires": "8d"}, "expires before"),
        ({"metrics": [guardrail(), guardrail()]}, "two metrics are named abuse"),
        ({"metrics": [{"name": "a", "role": "guardrail", "direction": "lower"}]}, "needs a margin"),
        ({"metrics": [guardrail(role="ops", margin=None)]}, "None is not of type"),
        ({"metrics": [{"name": "a", "role": "ops", "direction": "lower"}]}, "needs a limit or a margin"),
        ({"metrics": [guardrail(margin=1)]}, "as wide as its range"),
        ({"metrics": [guardrail(bounds=[1, 0])]}, "no range"),
        ({"metrics": [guardrail(query="SELECT 1", event="other")]}, "a query has no recorded event"),
        ({"metrics": [guardrail(query="DROP TABLE events")]}, "no single SELECT"),
        ({"metrics": [guardrail(day=1)]}, "a day goes with retention"),
        ({"metrics": [guardrail(aggregate="survival")]}, "survival is only shown"),
        ({"metrics": [guardrail(limit=0.5)]}, "a limit is for ops"),
        ({"metrics": [guardrail(role="success", critical=True)]}, "only a guardrail is critical"),
        (
            {"metrics": [guardrail(missing="exclude", kind="feedback"), guardrail("abuse.given")]},
            "two metrics have one name",
        ),
        ({"metrics": [guardrail(f"m{place}") for place in range(65)]}, "65 metrics"),
        ({"metrics": [guardrail(name="a b")]}, "names hold letters"),
    ],
)
def test_what_no_rollout_can_follow_is_said_with_its_place(members, words):
    text = json.dumps({"version": 1, "stages": STAGES, "metrics": [GUARDRAIL], **members}, indent=1).encode()
    with pytest.raises(InputError) as caught:
        Plan.parse("rollouts/reply.yaml", text)
    assert words in caught.value.message
    assert (caught.value.path, caught.value.line > 1) == ("rollouts/reply.yaml", True)


@pytest.mark.parametrize("value", [None, [], {}, {"version": 1}, {**json.loads(plan_text())}])
def test_a_decision_without_a_plan_is_refused(value):
    with pytest.raises(InputError):
        Plan.load(value)


@pytest.mark.parametrize(
    "members",
    [
        {"alpha": 5e-324},
        {"alpha": {"srm": 1e-300}},
        {"expires": "9" * 5000 + "d"},
        {"units_per_day": 1e300},
        {"burn_in": 10**300},
        {"target_units": 10**18},
        {"stages": [{"share": "5%", "dwell": "999999d"}]},
        {"metrics": [guardrail(deviation=1e308)]},
        {"metrics": [guardrail(bounds=[-1e308, 1e308])]},
        {"metrics": [guardrail(baseline=1e308)]},
        {"metrics": [guardrail(margin=1e300)]},
    ],
    ids=lambda members: next(iter(members)),
)
def test_numbers_that_no_rollout_can_have_are_refused_with_the_plan_s_path(members):
    with pytest.raises(InputError) as caught:
        Plan.parse("rollouts/reply.yaml", plan_text(**members))
    assert caught.value.path == "rollouts/reply.yaml"
    assert len(caught.value.message) < 500


@pytest.mark.parametrize("alpha", [1e-8, {"rollback": 1e-9}])
def test_the_smallest_budget_survives_being_frozen(alpha):
    plan = make_plan(alpha=alpha, units_per_day=10**9)
    assert Plan.load(plan.document()) == plan
