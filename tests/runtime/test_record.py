"""What is recorded of a loaded prompt, in the files that applications write."""

from __future__ import annotations

import json
import threading

import pytest
from serving import ID, NAME, put, ramp

import promptops
from promptops.runtime import Snapshot, assignment
from promptops.runtime.assignment import SLOTS, weight

UNIT = next(str(n) for n in range(1000) if assignment.slot(ID, str(n)) < weight("5%"))


@pytest.fixture
def served(tmp_path, monkeypatch):
    monkeypatch.setenv("PROMPTOPS_EVENTS", str(tmp_path / "events"))
    put(tmp_path / "snapshot.json", ramp("5%", 4))
    return Snapshot(str(tmp_path / "snapshot.json"))


def events(tmp_path):
    lines = [line for path in sorted((tmp_path / "events").glob("*.jsonl")) for line in path.read_text().splitlines()]
    return [json.loads(line) for line in lines if line]


def test_an_exposure_is_written_at_use_and_once(served, tmp_path):
    found = served.load(NAME, unit=UNIT, session="talk")
    found.render(ticket="x")
    assert not (tmp_path / "events").exists()
    found.record(response_id="r1", turn=1)
    found.record("thumbs", 1, response_id="r1", turn=1, source="user")
    found.record("grade", None, missing="timeout", source="judge", unit_of="session")
    found.opportunity("thumbs", turn=1)
    written = events(tmp_path)
    assert [each["type"] for each in written] == ["exposure", "outcome", "outcome", "opportunity"]
    exposure = written[0]
    expected = {
        "env": "prod", "prompt": NAME, "release": found.digest, "rollout": ID, "decision": 4, "stage": 2,
        "arm": "canary", "slot": assignment.slot(ID, UNIT), "hash": "sha256-u32/1", "unit_type": "user",
        "reason": "SPLIT", "propensity": weight("5%"), "turn": 1, "response_id": "r1",
    }  # fmt: skip
    assert {key: exposure[key] for key in expected} == expected
    # One unit and one session in all of them, and neither is told.
    assert {(each["unit"], each["session"]) for each in written} == {(exposure["unit"], exposure["session"])}
    assert UNIT not in (exposure["unit"], exposure["session"])
    assert (written[2]["value"], written[2]["missing"], written[2]["unit_of"]) == (None, "timeout", "session")


def test_each_turn_is_an_exposure_and_says_why(served, tmp_path):
    for turn in (1, 2):
        served.load(NAME, unit=UNIT, session="talk").record(turn=turn)
    served.load(NAME).record()
    assert [(each["reason"], each["arm"]) for each in events(tmp_path)] == [
        ("SPLIT", "canary"),
        ("STICKY", "canary"),
        ("DEFAULT", "stable"),
    ]
    assert events(tmp_path)[2]["propensity"] == SLOTS - 2 * weight("5%")


def test_threads_that_record_one_request_write_one_exposure(served, tmp_path):
    found = served.load(NAME, unit=UNIT)
    threads = [threading.Thread(target=found.record, args=("thumbs", 1)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kinds = [each["type"] for each in events(tmp_path)]
    assert (kinds.count("exposure"), kinds.count("outcome")) == (1, 8)


def test_the_package_records_where_no_request_is_at_hand(served, tmp_path):
    served.load(NAME, unit=UNIT, session="talk").record()
    promptops.record("resolved", 1, prompt=NAME, environment="prod", unit=UNIT, session="talk")
    promptops.opportunity("resolved", prompt=NAME, environment="prod", unit=UNIT, session="talk")
    written = events(tmp_path)
    assert [each["type"] for each in written] == ["exposure", "outcome", "opportunity"]
    assert len({(each["unit"], each["session"]) for each in written}) == 1
