"""From a release to everybody, or back: the whole way through the command line, with real events."""

from __future__ import annotations

import json

from rolling import NAME, REF, decisions, events, newest, rollout, snapshot, started

OLD, NEW = "prompt/support/reply@v1.0.0", "prompt/support/reply@v1.1.0"


def test_proof_takes_a_release_to_everybody_and_the_snapshot_follows(ramp_, tmp_path):
    source = ("--events", str(tmp_path / "events"))
    one = started(ramp_)
    first = newest(ramp_)
    assert (first.action, first.tag, first.rollout.canary.tag) == ("start", OLD, NEW)
    assert first.rollout.weights == (2**32 // 20, 2**32 // 20)
    entry = json.loads((snapshot(ramp_), ramp_.root.parent / "snapshot.json")[1].read_text())["prompts"][NAME]
    assert (entry["version"], entry["rollout"]["arms"]["canary"]["version"]) == ("1.0.0", "1.1.0")
    assert entry["rollout"]["arms"]["baseline"] is None
    events(tmp_path / "events", one, units=400)
    assert "advance" in rollout(ramp_, "tick", *source).stdout
    assert (newest(ramp_).action, newest(ramp_).rollout.share) == ("advance", "50%")
    events(tmp_path / "events", one, units=400, stage=1, prefix="b")
    rollout(ramp_, "tick", *source)
    last = newest(ramp_)
    assert (last.action, last.tag, last.rollout.state) == ("promote", NEW, "promoted")
    assert last.rollout.weights == (2**32 - 2**32 // 20, 2**32 // 20)
    entry = json.loads((snapshot(ramp_), ramp_.root.parent / "snapshot.json")[1].read_text())["prompts"][NAME]
    assert (entry["version"], entry["rollout"]["arms"]["baseline"]["version"]) == ("1.1.0", "1.0.0")
    assert ramp_.git("rev-parse", REF) == ramp_.git("rev-parse", f"refs/promptops/rollouts/prod/{NAME}/{one}")


def test_harm_takes_it_back_for_good(ramp_, tmp_path):
    source = ("--events", str(tmp_path / "events"))
    one = started(ramp_)
    events(tmp_path / "events", one, harm=0.4)
    assert "rollback" in rollout(ramp_, "tick", *source, code=1).stdout
    last = newest(ramp_)
    assert (last.action, last.tag, last.left, last.rollout.weights) == ("rollback", OLD, NEW, (0, 0))
    assert snapshot(ramp_).load(NAME).version == "1.0.0"
    assert "final" in rollout(ramp_, "start", code=1).stderr
    assert "no rollout" in rollout(ramp_, "tick", *source, code=3).stderr
    assert "final" in ramp_.promptops("promote", NAME, "--env", "prod", "--reason", "x", check=1).stderr


def test_nothing_is_written_where_nothing_changes(ramp_, tmp_path):
    source = ("--events", str(tmp_path / "events"))
    one = started(ramp_)
    events(tmp_path / "events", one, units=20)
    rollout(ramp_, "tick", *source)
    count = len(decisions(ramp_))
    for _ in range(2):
        rollout(ramp_, "tick", *source)
    assert len(decisions(ramp_)) == count
