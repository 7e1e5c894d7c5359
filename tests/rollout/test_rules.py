"""The rules in their order: data that is not valid, harm, proof, and holding in between."""

from __future__ import annotations

import pytest
from rollout.plans import START, evidence, guardrail, make_plan, now, rows, state

from promptops.registry import canonical
from promptops.rollout import rules
from promptops.rollout.plan import DAY
from promptops.rollout.state import State, Verdict
from promptops.telemetry.evidence import Exposed, Quality

GOOD = rows((400, 4000), (400, 4000))
BAD = rows((700, 4000), (400, 4000))
THUMBS = {
    "name": "thumbs",
    "role": "proxy",
    "kind": "feedback",
    "direction": "higher",
    "bounds": [0, 1],
    "window": "1d",
}
BACK = {"name": "back", "role": "success", "direction": "higher", "aggregate": "retention", "day": 1, "margin": 0.05}
COST = {"name": "cost", "role": "ops", "direction": "lower", "limit": 0.2, "window": "1d"}


def decide(plan, where=None, found=None, day=10) -> Verdict:
    return rules.decide(plan, where or state(), found, now(day))


def why(verdict: Verdict) -> str:
    return "; ".join(verdict.reasons)


def test_proof_moves_a_rollout_one_stage_and_to_everybody():
    plan = make_plan()
    found = decide(plan, state(0), evidence({"abuse": GOOD}))
    assert (found.action, found.status, found.readings[0].state) == ("advance", "running", "proved")
    assert found.readings[0].low < 0 < found.readings[0].high < 0.02
    found = decide(plan, state(1, days=8), evidence({"abuse": GOOD}))
    assert (found.action, found.status) == ("promote", "promoted")


def test_dwell_time_units_and_proof_are_asked_for():
    plan = make_plan(stages=[{"share": "5%", "dwell": "3d", "minimum_units": 5000}, {"share": "100%"}])
    found = decide(plan, state(0, days=2), evidence({"abuse": GOOD}))
    assert found.action == "hold"
    assert [(each.what, each.have, each.need) for each in found.missing] == [
        ("dwell", 2 * DAY, 3 * DAY),
        ("units", 4000, 5000),
    ]
    # 4,000 units a day so far: a quarter of a day, and the unit's own day.
    assert [each.expected for each in found.missing] == [now(10) + DAY, now(10) + DAY + DAY // 4]
    assert found.expected == now(10) + DAY + DAY // 4
    tight = decide(make_plan(metrics=[guardrail(margin=0.005)]), state(0), evidence({"abuse": GOOD}))
    (missing,) = tight.missing
    assert (tight.action, missing.what, missing.need) == ("hold", "proof", 0.005)
    assert missing.have > 0.005
    assert missing.expected > now(10) + 2 * DAY


def test_the_expected_day_is_one_on_which_the_proof_comes():
    plan = make_plan(metrics=[guardrail(margin=0.01)])
    found = decide(plan, state(0), evidence({"abuse": GOOD}))
    days = -(-(found.missing[0].expected - now(10)) // DAY)
    grown = [row for day in range(days) for row in rows((400, 4000), (400, 4000), day=20_008 + day)]
    assert decide(plan, state(0), evidence({"abuse": grown}, day=9 + days), day=9 + days).action == "advance"


def test_units_that_never_prove_it_are_not_waited_for():
    found = decide(make_plan(), state(0), evidence({"abuse": rows((480, 4000), (400, 4000))}))
    assert [(each.what, each.expected) for each in found.missing] == [("proof", None)]
    assert (found.action, found.expected) == ("hold", None)


def test_a_stage_s_margin_takes_the_place_of_the_metric_s():
    stages = [{"share": "5%", "margins": {"abuse": 0.06}}, {"share": "100%"}]
    few = evidence({"abuse": rows((100, 1000), (100, 1000))})
    assert decide(make_plan(stages=stages), state(0), few).action == "promote"
    assert decide(make_plan(stages=[{"share": "5%"}, {"share": "100%"}]), state(0), few).action == "hold"


def test_every_guardrail_has_to_be_proved():
    plan = make_plan(metrics=[guardrail(), guardrail("rude", margin=0.003)])
    found = decide(plan, state(0), evidence({"abuse": GOOD, "rude": GOOD}))
    assert (found.action, [each.metric for each in found.missing]) == ("hold", ["rude"])
    shown = make_plan(metrics=[guardrail(), guardrail("rude", margin=0.003, dry_run=True)])
    assert decide(shown, state(0), evidence({"abuse": GOOD, "rude": GOOD})).action == "advance"


def test_a_metric_where_more_is_better_is_turned():
    plan = make_plan(metrics=[guardrail(direction="higher")])
    assert decide(plan, state(0), evidence({"abuse": BAD})).action == "advance"
    assert decide(plan, state(0), evidence({"abuse": rows((100, 4000), (400, 4000))})).action == "rollback"


def test_harm_takes_it_back_before_there_is_proof_and_in_the_last_stage():
    for stage in (0, 1):
        found = decide(make_plan(), state(stage), evidence({"abuse": BAD}))
        assert (found.action, found.status, found.readings[0].state) == ("rollback", "ended", "harmed")
        assert "abuse" in why(found)
    late = [row._replace(stage=2) for row in rows((7000, 40_000), (200, 2000))]
    assert decide(make_plan(), state(2, status="promoted"), evidence({"abuse": late})).action == "rollback"


def test_the_mean_of_the_guardrails_decides_and_a_critical_one_alone():
    # About 1 in 150 by one of four: not enough in the mean, enough for its own budget of 1 in 100.
    worse = rows((475, 4000), (375, 4000))
    others = {f"m{place}": rows((370, 4000), (400, 4000)) for place in range(3)}
    metrics = [guardrail(margin=0.2), *(guardrail(name, margin=0.2) for name in others)]
    found = decide(make_plan(metrics=metrics), state(0), evidence({"abuse": worse, **others}))
    alone = found.readings[0].e_value
    assert found.action == "advance"
    assert found.e_values["harm"] < 100 < alone
    critical = [guardrail(margin=0.2, critical=True), *metrics[1:]]
    budget = {"critical": 1.01 / alone}
    found = decide(make_plan(metrics=critical, alpha=budget), state(0), evidence({"abuse": worse, **others}))
    assert (found.action, "abuse is harmed" in why(found)) == ("rollback", True)
    budget = {"critical": 0.99 / alone}
    assert (
        decide(make_plan(metrics=critical, alpha=budget), state(0), evidence({"abuse": worse, **others})).action
        != "rollback"
    )


def test_a_harm_that_is_plain_needs_no_burn_in():
    days = [row for day in (5, 6, 7) for row in rows((60, 70), (5, 70), day=20_000 + day)]
    assert decide(make_plan(), state(0), evidence({"abuse": days})).action == "rollback"


def test_a_proxy_that_rises_while_a_guardrail_falls_goes_back_and_is_quarantined():
    plan = make_plan(metrics=[guardrail(), THUMBS])
    pleased, harmed = rows((3000, 4000), (2700, 4000)), rows((490, 4000), (400, 4000))
    found = decide(plan, state(0), evidence({"abuse": harmed, "thumbs": pleased}))
    assert (found.action, found.quarantined) == ("rollback", ("thumbs",))
    assert "thumbs rises while guardrails fall: abuse" in why(found)
    assert found.readings[1].state == "quarantined"
    # Neither alone does it.
    assert (
        decide(plan, state(0), evidence({"abuse": harmed, "thumbs": rows((2700, 4000), (2700, 4000))})).action == "hold"
    )
    alone = decide(plan, state(0), evidence({"abuse": GOOD, "thumbs": pleased}))
    assert (alone.action, alone.quarantined) == ("advance", ())
    known = decide(plan, state(0, quarantined=("thumbs",)), evidence({"abuse": harmed, "thumbs": pleased}))
    assert (known.action, known.quarantined) == ("hold", ("thumbs",))


def test_feedback_alone_never_advances():
    plan = make_plan(metrics=[guardrail(kind="feedback"), THUMBS])
    found = decide(plan, state(0), evidence({"abuse": GOOD, "thumbs": rows((3000, 4000), (2700, 4000))}))
    assert (found.action, "feedback alone never suffices" in why(found)) == ("hold", True)
    waived = make_plan(stages=[{"share": "5%", "margins": {"abuse": None}}, {"share": "100%"}])
    assert decide(waived, state(0), evidence({"abuse": GOOD})).action == "hold"


def test_feedback_that_one_arm_gives_more_often_proves_nothing():
    rating = {**THUMBS, "name": "rating", "role": "success", "margin": 0.1}
    plan = make_plan(metrics=[guardrail(), rating])
    assert [metric.name for metric in plan.metrics] == ["abuse", "rating", "rating.given"]
    same = {"abuse": GOOD, "rating": rows((900, 1200), (900, 1200))}
    evenly = {**same, "rating.given": rows((1200, 4000), (1200, 4000))}
    assert decide(plan, state(1, days=8), evidence(evenly)).action == "promote"
    for given in (rows((1500, 4000), (1200, 4000)), rows((1200, 4000), (1500, 4000))):
        found = decide(plan, state(1, days=8), evidence({**same, "rating.given": given}))
        assert (found.action, found.readings[1].state, found.missing[0].metric) == ("hold", "incomparable", "rating")
        assert found.missing[0].expected is None


def test_an_ops_limit_takes_it_back_once_there_are_units():
    plan = make_plan(metrics=[guardrail(), COST])

    def cost(share, units):
        return [row._replace(s=share * row.n, ss=share * row.n) for row in rows((0, units), (0, units))]

    found = decide(plan, state(0), evidence({"abuse": GOOD, "cost": cost(0.3, 600)}))
    assert (found.action, "beyond its limit of 0.2" in why(found)) == ("rollback", True)
    assert decide(plan, state(0), evidence({"abuse": GOOD, "cost": cost(0.3, 400)})).action == "advance"
    assert decide(plan, state(0), evidence({"abuse": GOOD, "cost": cost(0.1, 600)})).action == "advance"


def test_success_is_asked_for_before_everybody_only():
    plan = make_plan(metrics=[guardrail(), BACK])
    found = evidence({"abuse": GOOD, "back": rows((1100, 4000), (1200, 4000))})
    assert decide(plan, state(0), found).action == "advance"
    found = decide(plan, state(1, days=8), found)
    assert (found.action, [each.metric for each in found.missing]) == ("hold", ["back"])
    better = make_plan(metrics=[guardrail(), {key: value for key, value in BACK.items() if key != "margin"}])
    same = evidence({"abuse": GOOD, "back": rows((1200, 4000), (1200, 4000))})
    assert decide(plan, state(1, days=8), same).action == "promote"
    assert decide(better, state(1, days=8), same).action == "hold"
    assert (
        decide(better, state(1, days=8), evidence({"abuse": GOOD, "back": rows((1500, 4000), (1200, 4000))})).action
        == "promote"
    )


# ---- rule 0


def exposed(canary, baseline, day=20_006):
    return [Exposed(day, 0, canary, baseline, 10 * canary)]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (evidence({"abuse": GOOD}, exposed=exposed(4000, 3000)), "do not get the units"),
        (evidence({"abuse": GOOD}, quality=Quality(9000, crossovers=41)), "saw both arms"),
        (evidence({"abuse": GOOD}, quality=Quality(9000, invalid=91)), "no events that this version knows"),
        (evidence({"other": GOOD}), "abuse: the evidence does not have it"),
        (evidence({"abuse": GOOD}, kind="ratio"), "abuse: the evidence has a ratio"),
        (evidence({"abuse": []}, exposed=exposed(900, 900)), "abuse: no data, though 900"),
        (evidence({"abuse": rows((1, 900), (0, 0))}, exposed=exposed(900, 900)), "abuse: no data"),
        (evidence({"abuse": GOOD}, latest=0), "abuse: no data"),
        (evidence({"abuse": GOOD}, latest=1000 * now(7)), "its last event came 72 hours"),
        (evidence({"abuse": GOOD}, day=6), "the evidence ends 96 hours ago"),
        (evidence({"abuse": GOOD}, day=12), "from the future"),
        (None, "no evidence after 240 hours"),
    ],
)
def test_data_that_is_not_valid_freezes_and_a_day_later_goes_back(found, words):
    plan = make_plan()
    first = decide(plan, state(0), found)
    assert (first.action, first.status, first.invalid, first.invalid_since) == ("freeze", "frozen", 1, now(10))
    assert words in why(first)
    again = state(0, status="frozen", invalid=1, invalid_since=now(10))
    soon = rules.decide(plan, again, found, now(10) + DAY - 1)
    assert (soon.action, soon.invalid) == ("freeze", 2)
    # An odd watermark would be right by then.
    if "future" not in words:
        assert rules.decide(plan, again, found, now(11)).action == "rollback"
        frozen = rules.decide(make_plan(on_invalid="freeze"), again, found, now(11))
        assert frozen.action == "freeze"


def test_harm_in_data_that_is_not_valid_is_no_reason():
    found = decide(make_plan(), state(0), evidence({"abuse": BAD}, exposed=exposed(4000, 3000)))
    assert found.action == "freeze"


def test_valid_data_thaws():
    frozen = state(0, status="frozen", invalid=3, invalid_since=now(9))
    found = decide(make_plan(), frozen, evidence({"abuse": GOOD}))
    assert (found.action, found.status, found.invalid, found.invalid_since) == ("advance", "running", 0, None)


def test_what_is_not_there_yet_is_no_fault():
    plan = make_plan()
    fresh = State(0, START, START)
    found = rules.decide(plan, fresh, None, START + DAY)
    assert (found.action, found.status) == ("hold", "running")
    young = evidence({"abuse": []}, exposed=exposed(900, 900, day=20_009))
    assert decide(plan, state(0), young).action == "hold"
    few = evidence({"abuse": []}, exposed=exposed(400, 400))
    assert decide(plan, state(0), few).action == "hold"
    two = evidence({"abuse": GOOD}, exposed=exposed(100, 100), quality=Quality(200, crossovers=2))
    assert decide(plan, state(0), two).action == "advance"


def test_a_metric_that_is_not_required_may_be_missing():
    plan = make_plan(metrics=[guardrail(), {**COST, "required": False}])
    assert decide(plan, state(0), evidence({"abuse": GOOD})).action == "advance"
    plan = make_plan(metrics=[guardrail(), COST])
    assert decide(plan, state(0), evidence({"abuse": GOOD})).action == "freeze"


def test_after_everybody_was_served_missing_data_only_holds():
    again = state(2, status="promoted", invalid=4, invalid_since=now(1))
    found = decide(make_plan(), again, None)
    assert (found.action, found.status) == ("freeze", "promoted")


# ---- rule 3


@pytest.mark.parametrize(
    ("on_expiry", "day", "action"),
    [
        ("rollback", 27, "hold"),
        ("rollback", 28, "rollback"),
        ("hold", 28, "hold"),
        ("human", 28, "hold"),
        ("extend", 28, "hold"),
        ("extend", 56, "rollback"),
    ],
)
def test_what_happens_when_the_time_is_up(on_expiry, day, action):
    plan = make_plan(on_expiry=on_expiry, expires="28d")
    unclear = evidence({"abuse": rows((100, 1000), (100, 1000))}, day=day)
    assert decide(plan, state(0, days=1), unclear, day=day).action == action
    # Only a person moves on what waits for a person.
    proved = decide(plan, state(0, days=1)._replace(since=START), evidence({"abuse": GOOD}, day=day), day=day)
    assert proved.action == ("hold" if on_expiry == "human" else "advance")


def test_what_a_person_paused_goes_back_but_not_on():
    paused = state(0, status="paused")
    assert decide(make_plan(), paused, evidence({"abuse": GOOD})).action == "hold"
    assert decide(make_plan(), paused, evidence({"abuse": BAD})).action == "rollback"
    assert decide(make_plan(), state(0, status="ended"), evidence({"abuse": BAD})).action == "hold"


def test_the_hold_back_ends_with_its_time_and_with_proof():
    plan = make_plan()
    held = state(2, days=15, status="promoted")
    assert decide(plan, held, evidence({"abuse": GOOD})).action == "end"
    assert decide(plan, held._replace(since=now(0)), evidence({"abuse": GOOD})).action == "hold"
    assert decide(plan, held, evidence({"abuse": rows((100, 1000), (100, 1000))})).action == "hold"
    nobody = make_plan(holdback="0%")
    assert decide(nobody, held, evidence({"abuse": rows((100, 1000), (100, 1000))})).action == "end"


# ---- what is compared


def ramp(stage, canary, baseline, rate, day):
    return rows((round(rate * canary), canary), (round(rate * baseline), baseline), stage=stage, day=day)


def test_a_trend_that_all_share_is_no_effect_though_the_arms_grow_apart():
    stages = [{"share": "5%"}, {"share": "50%"}, {"share": "100%"}]
    # The rate falls from 30 % to 10 % for everybody, while the canary grows from half to nineteen twentieths.
    days = [*ramp(0, 2000, 2000, 0.3, 20_001), *ramp(1, 4000, 4000, 0.2, 20_003), *ramp(2, 38_000, 2000, 0.1, 20_005)]
    found = decide(make_plan(stages=stages), state(2, status="promoted"), evidence({"abuse": days}))
    assert found.readings[0].estimate == pytest.approx(0)
    pooled = [
        sum(row.s for row in days if row.arm == arm) / sum(row.n for row in days if row.arm == arm)
        for arm in ("canary", "baseline")
    ]
    assert pooled[0] - pooled[1] < -0.08


def test_the_last_stage_is_left_out_where_users_join_it_late():
    stages = [{"share": "25%"}, {"share": "100%"}]
    days = [*ramp(0, 2000, 2000, 0.3, 20_001), *rows((0, 38_000), (2000, 2000), stage=1, day=20_005)]
    found = decide(make_plan(stages=stages), state(1, status="promoted"), evidence({"abuse": days}))
    assert (found.readings[0].estimate, found.readings[0].n) == (0.0, 2000)


def test_a_verdict_is_the_same_bytes_every_time_and_carries_the_next_state():
    plan = make_plan(metrics=[guardrail(), THUMBS, BACK])
    found = evidence({"abuse": GOOD, "thumbs": GOOD, "back": []}, exposed=exposed(900, 900))
    first = decide(plan, state(0), found)
    assert first.action == "freeze"
    stored = canonical.dumps(first.document())
    assert (
        canonical.dumps(
            decide(type(plan).load(plan.document()), state(0), type(found).parse(found.document())).document()
        )
        == stored
    )
    rollout = {
        "stage": 0,
        "since": 1,
        "started": 1,
        "state": first.status,
        "verdict": canonical.loads(stored),
        "quarantined": [],
    }
    assert State.of(rollout) == State(0, 1, 1, "frozen", 1, now(10))
