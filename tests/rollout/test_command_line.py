"""What the commands about rollouts say, and how they end where something around them fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from rolling import NAME, begin, by_hand, decisions, desk, events, rollout, tick

from promptops.cli import rollout_tick
from promptops.cli.rollout import command as group
from promptops.release import ramp
from promptops.rollout import controller


def ended(repo, *args, stdout):
    """Run ``promptops rollout ARGS`` with this standard output, and return its exit code and what it complained of."""
    done = subprocess.run(
        [sys.executable, "-m", "promptops", "rollout", *args],
        cwd=repo.root,
        env=repo.env("alice"),
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stderr


def test_run_ends_with_its_reader(ramp_, tmp_path):
    begin(ramp_)
    reading, writing = os.pipe()
    os.close(reading)
    code, said = ended(ramp_, "run", "--env", "prod", "--events", str(tmp_path / "none"), stdout=writing)
    os.close(writing)
    assert (code, said) == (141, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no device that is always full")
def test_run_ends_where_its_output_has_no_room(ramp_, tmp_path):
    begin(ramp_)
    with open("/dev/full", "wb") as full:
        code, said = ended(ramp_, "run", "--env", "prod", "--events", str(tmp_path / "none"), stdout=full)
    assert (code, said.splitlines()[0]) == (3, "error: No space left on device")


def test_every_rollout_is_looked_at_though_nobody_hears_of_the_first(ramp_, monkeypatch):
    begin(ramp_)
    looked = []

    def tick(_place, prompt, _environment, _order):
        looked.append(prompt)
        raise BrokenPipeError

    monkeypatch.setattr(controller, "tick", tick)
    monkeypatch.setattr("promptops.cli.guard.is_unheard", lambda: True)
    with desk(ramp_) as place, pytest.raises(BrokenPipeError):
        rollout_tick.look_at(place, "prod", [NAME, "support/other"], source=None, dry_run=False, as_json=False)
    assert looked == [NAME, "support/other"]


@pytest.mark.parametrize(
    "args",
    [("tick", "--all"), ("tick", NAME), ("advance", NAME), ("run",), ("status",), ("verify", NAME), ("history", NAME)],
    ids=" ".join,
)
def test_environment_that_the_project_has_not_is_wrong_usage(ramp_, args):
    said = ramp_.promptops("rollout", *args, "--env", "nope", check=2).stderr
    assert "nope" in said
    assert "prod" in said


def test_look_without_new_evidence_says_that_nothing_goes_on(ramp_, tmp_path):
    source = events(tmp_path / "events", begin(ramp_), units=400)
    assert tick(ramp_, source, dry_run=True).verdict.action == "advance"
    said = rollout(ramp_, "tick", "--events", str(tmp_path / "none"), code=3).stdout
    assert said == f"{NAME} in prod: hold, no new evidence: nothing goes on\n"


def test_json_is_one_document_whatever_is_recorded(ramp_, tmp_path):
    every = ("rollout", "tick", "--all", "--env", "prod", "--json", "--events", str(tmp_path / "events"))
    assert json.loads(ramp_.promptops(*every).stdout) == []
    trial = json.loads(rollout(ramp_, "start", "--dry-run", "--json").stdout)
    assert trial == {"prompt": NAME, "environment": "prod", "decision": None}
    one = begin(ramp_)
    source = events(tmp_path / "events", one, units=400)
    trial = json.loads(rollout(ramp_, "advance", "--dry-run", "--json", "--events", source).stdout)
    assert (trial["rollout"], trial["decision"], trial["verdict"]["action"]) == (one, None, "advance")
    (trial,) = json.loads(ramp_.promptops(*every, "--dry-run").stdout)
    assert (trial["rollout"], trial["decision"]) == (one, None)
    (made,) = json.loads(ramp_.promptops(*every).stdout)
    assert (made["action"], made["rollout"]["id"]) == ("advance", one)


def test_start_that_was_recorded_already_is_told_and_not_taken_twice(ramp_):
    first = rollout(ramp_, "start").stdout
    assert rollout(ramp_, "start").stdout == first
    assert rollout(ramp_, "start", "--version", "1.1.0").stdout == first
    assert len(decisions(ramp_)) == 2
    assert "--supersedes" in rollout(ramp_, "start", "--dry-run", code=1).stderr
    again = ("rollout", "start", NAME, "--env", "prod", "--reason", "something else")
    assert "--supersedes" in ramp_.promptops(*again, check=1).stderr
    by_hand(ramp_, ramp.PAUSE)
    assert "--supersedes" in rollout(ramp_, "start", code=1).stderr


def test_every_command_has_the_name_that_it_is_called_by():
    assert {name: command.name for name, command in group.commands.items()} == {name: name for name in group.commands}


def test_report_goes_to_standard_output_or_to_a_file_that_can_be(ramp_):
    begin(ramp_)
    asked = ("rollout", "report", NAME, "--env", "prod", "--runs", "1", "-o")
    assert ramp_.promptops(*asked, "-").stdout.startswith("<!")
    assert not (ramp_.root / "-").exists()
    for place in (".", "nowhere/page.html"):
        assert f"error: {place} is no place" in ramp_.promptops(*asked, place, check=2).stderr


def test_what_paid_nothing_claims_no_payment_when_interrupted(ramp_, tmp_path):
    begin(ramp_)
    with subprocess.Popen(
        [sys.executable, "-m", "promptops", "rollout", "run", "--env", "prod", "--events", str(tmp_path / "none")],
        cwd=ramp_.root,
        env=ramp_.env("alice"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=120)[1]
    assert (process.returncode, said.splitlines()[-1]) == (130, "interrupted")


def test_shallow_clone_is_told_how_to_get_the_other_decisions(ramp_, tmp_path):
    begin(ramp_)
    shallow = ramp_.clone(tmp_path / "shallow", "--no-local", "--depth", "1")
    refs = "refs/promptops/live/*:refs/promptops/live/*"
    shallow.git("fetch", "-q", "--depth", "1", "origin", refs)
    said = rollout(shallow, "history", code=3).stderr
    assert f"git fetch --unshallow origin '{refs}'" in said
    shallow.git("fetch", "-q", "--unshallow", "origin", refs)
    assert len(rollout(shallow, "history").stdout.splitlines()) == 2
