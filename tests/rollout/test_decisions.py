"""Who may take which step of a rollout, and what no step may do."""

from __future__ import annotations

import json

import pytest
import rolling
from rolling import NAME, back, begin, by_hand, decisions, events, forge, newest, rollout, snapshot, tick, verified

from promptops.errors import PromptopsError, RefusedError
from promptops.release import ramp, stepping
from promptops.rollout.plan import Plan

OLD, NEW = "prompt/support/reply@v1.0.0", "prompt/support/reply@v1.1.0"


def test_pause_holds_and_resume_goes_on(ramp_, tmp_path):
    one = begin(ramp_)
    by_hand(ramp_, ramp.PAUSE)
    source = events(tmp_path / "events", one, units=400)
    assert tick(ramp_, source).decision is None
    assert newest(ramp_).rollout.state == "paused"
    with pytest.raises(RefusedError, match="nothing to pause"):
        by_hand(ramp_, ramp.PAUSE)
    by_hand(ramp_, ramp.RESUME)
    assert tick(ramp_, source).decision.action == "advance"
    assert verified(ramp_) == []


def test_harm_ends_a_pause(ramp_, tmp_path):
    one = begin(ramp_)
    by_hand(ramp_, ramp.PAUSE)
    assert tick(ramp_, events(tmp_path / "events", one, harm=0.5)).decision.action == "rollback"


def test_override_is_a_step_without_proof_and_needs_its_role(ramp_):
    rolling.roles(ramp_, override=["bob"])
    begin(ramp_)
    with pytest.raises(RefusedError, match="override"):
        by_hand(ramp_, ramp.OVERRIDE)
    by_hand(ramp_, ramp.OVERRIDE, by="bob")
    by_hand(ramp_, ramp.OVERRIDE, by="bob")
    last = newest(ramp_)
    assert (last.action, last.tag, last.rollout.state) == ("override", NEW, "promoted")
    assert snapshot(ramp_).load(NAME).version == "1.1.0"
    assert verified(ramp_) == []


def test_advance_says_what_is_missing_and_takes_no_step_without_proof(ramp_, tmp_path):
    source = events(tmp_path / "events", begin(ramp_), units=20)
    done = rollout(ramp_, "advance", "--events", source, code=4)
    assert "not prove" in done.stderr
    assert newest(ramp_).action == "start"
    events(tmp_path / "events", newest(ramp_).rollout.id, units=400)
    assert "is proved" in rollout(ramp_, "advance", "--events", source, "--dry-run").stdout
    assert newest(ramp_).action == "start"
    assert json.loads(rollout(ramp_, "advance", "--events", source, "--json").stdout)["action"] == "advance"


def test_one_rollout_runs_and_another_names_what_it_replaces_and_starts_over(ramp_, tmp_path):
    one = begin(ramp_)
    tick(ramp_, events(tmp_path / "events", one, units=400))
    rolling.third(ramp_)
    with pytest.raises(RefusedError, match=f"rollout {one} of {NAME} runs"):
        begin(ramp_)
    two = begin(ramp_, supersedes=one)
    last = newest(ramp_)
    assert (last.rollout.stage, last.rollout.supersedes, last.tag, last.rollout.canary.tag[-5:]) == (
        0,
        one,
        OLD,
        "1.2.0",
    )
    assert two != one
    assert verified(ramp_) == []
    # What was replaced was not rolled back, and may be tried again.
    assert begin(ramp_, version="1.1.0", supersedes=two)


def test_rollback_of_a_running_rollout_leaves_the_candidate_for_good(ramp_):
    begin(ramp_)
    found = json.loads(ramp_.promptops("rollback", NAME, "--env", "prod", "--reason", "it flatters", "--json").stdout)
    assert (found["tag"], found["left"], found["rollout"]["weights"]) == (OLD, NEW, {"canary": 0, "baseline": 0})
    with pytest.raises(RefusedError, match="final"):
        begin(ramp_)
    assert verified(ramp_) == []


def test_rollback_after_promotion_takes_everybody_back(ramp_):
    begin(ramp_)
    by_hand(ramp_, ramp.OVERRIDE)
    by_hand(ramp_, ramp.OVERRIDE)
    assert (back(ramp_).tag, newest(ramp_).left) == (OLD, NEW)
    assert snapshot(ramp_).load(NAME).version == "1.0.0"


def test_conversations_may_end_with_what_they_began(ramp_):
    begin(ramp_)
    rollout(ramp_, "rollback", "--scope", "new-conversations")
    snapshot(ramp_)
    entry = json.loads((ramp_.root.parent / "snapshot.json").read_text())["prompts"][NAME]["rollout"]
    assert (entry["scope"], entry["weights"]["canary"]) == ("new-conversations", 0)
    assert entry["arms"]["canary"]["version"] == "1.1.0"


def test_promotion_in_one_step_replaces_a_running_rollout(ramp_):
    one = begin(ramp_)
    ramp_.promptops("promote", f"{NAME}@1.1.0", "--env", "prod", "--reason", "urgent")
    assert (newest(ramp_).rollout, newest(ramp_).tag) == (None, NEW)
    assert ramp_.git("rev-parse", f"refs/promptops/rollouts/prod/{NAME}/{one}") == decisions(ramp_)[1].oid
    assert verified(ramp_) == []


def test_a_withdrawn_canary_gets_nobody_and_stops_no_other(ramp_):
    begin(ramp_)
    ramp_.promptops("withdraw", NEW, "--reason", "flatters")
    snapshot(ramp_, code=1)
    entry = json.loads((ramp_.root.parent / "snapshot.json").read_text())["prompts"][NAME]
    assert (entry["version"], entry["rollout"]["weights"]["canary"]) == ("1.0.0", 0)


def test_first_release_has_nothing_to_be_compared_with(released):
    rolling.planned(released)
    assert "promptops promote" in rollout(released, "start", code=1).stderr


def test_start_needs_a_plan_of_the_protected_branch(ramp_):
    ramp_.git("rm", "-q", f"rollouts/{NAME}.yaml")
    ramp_.commit("No plan")
    assert "no plan" in rollout(ramp_, "start", code=3).stderr


def test_trial_moves_nobody_and_leaves_nothing(ramp_, tmp_path):
    rolling.planned(ramp_, dry_run=True)
    one = begin(ramp_)
    assert newest(ramp_).rollout.weights == (0, 0)
    assert tick(ramp_, events(tmp_path / "events", one, harm=0.5)).decision.action == "end"
    assert (newest(ramp_).tag, newest(ramp_).left) == (OLD, None)
    assert verified(ramp_) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"weights": (2**31, 2**31)}, "who gets what"),
        ({"stage": 1, "share": "50%"}, "who gets what"),
        ({"action": "advance", "stage": 1, "share": "50%", "weights": (2**31, 2**31)}, "does not prove"),
        ({"action": "promote", "stage": 2, "share": "100%", "state": "promoted"}, "not the next stage"),
        ({"plan": {"version": 1}}, "plan.json"),
        ({"canary": ramp.Arm("prompt/other@v1.0.0", "0" * 40, "0" * 64)}, "never changes"),
        ({"quarantined": ("thumbs",), "state": "ended"}, "hold does not follow"),
        ({"at": 1}, "dated before"),
    ],
)
def test_step_that_does_not_follow_is_served_by_nobody(ramp_, change, reason):
    rolling.roles(ramp_, override=["bob"])
    begin(ramp_)
    good = snapshot(ramp_)
    assert good.load(NAME).version == "1.0.0"
    change = dict(change)
    at = {"since": newest(ramp_).time} if "advance" in change.values() else {}
    forge(ramp_, **change | at)
    assert reason in ramp_.promptops("snapshot", "--env", "prod", check=1).stderr
    assert verified(ramp_)
    with pytest.raises(PromptopsError):
        by_hand(ramp_, ramp.PAUSE)


def test_step_of_a_stranger_is_served_by_nobody_though_somebody_holds_on_top(ramp_):
    begin(ramp_)
    wide = {"stage": 1, "share": "50%", "weights": (2**31, 2**31), "since": newest(ramp_).time}
    forge(ramp_, by="mallory", action="override", **wide)
    forge(ramp_, reasons=("on top",))
    assert "not in allowed_signers" in ramp_.promptops("snapshot", "--env", "prod", check=1).stderr


def test_release_that_was_left_is_not_started_again(ramp_):
    begin(ramp_)
    last = newest(ramp_)
    back(ramp_)
    here = newest(ramp_)
    again = ramp.identity("prod", NAME, last.rollout.canary, last.rollout.plan, here.oid)
    forge(
        ramp_, action="start", before=here, id=again, salt=again, state="running", weights=last.rollout.weights,
        since=here.time, started=here.time,
    )  # fmt: skip
    assert f"serves {NEW} again" in ramp_.promptops("snapshot", "--env", "prod", check=1).stderr
    assert "again" in verified(ramp_)[0]["problem"]


def test_plan_that_was_never_on_the_protected_branch_rolls_nothing_out(ramp_):
    begin(ramp_)
    start, before = decisions(ramp_)
    ramp_.git("update-ref", rolling.REF, before.oid)
    lax = json.dumps(rolling.PLAN | {"metrics": [rolling.PLAN["metrics"][0] | {"margin": 0.9}]})
    plan = Plan.parse(f"rollouts/{NAME}.yaml", lax.encode())
    one = ramp.identity("prod", NAME, start.rollout.canary, plan.digest, before.oid)
    now = start.rollout._replace(id=one, salt=one, plan=plan.digest, since=start.time, started=start.time)
    with rolling.desk(ramp_) as place:
        stepping.record(
            place, before, ramp.START, now, serves=now.baseline, reason="lax", at=start.time,
            files={"plan.json": plan.document()},
        )  # fmt: skip
    assert "protected branch" in ramp_.promptops("snapshot", "--env", "prod", check=1).stderr
    assert "protected branch" in verified(ramp_)[0]["problem"]
