"""Status and report of a rollout that really runs: from the plan on main and the events of users."""

from __future__ import annotations

import json

import rolling


def test_status_and_report_of_a_running_rollout(ramp_, tmp_path):
    name = rolling.begin(ramp_)
    source = rolling.events(tmp_path / "events", name)
    assert rolling.tick(ramp_, source).decision.action == "advance"
    asked = ("rollout", "status", rolling.NAME, "--env", "prod", "--events")
    shown = ramp_.cli(*asked, source).out
    lines = shown.splitlines()
    assert lines[0] == f"{rolling.NAME} in prod: running"
    assert lines[1].split() == ["canary", "50.0000%", f"prompt/{rolling.NAME}@v1.1.0"]
    assert f"rollout  {name}" in shown
    assert "] +0.0000 [" in shown
    assert max(map(len, lines)) <= 100
    verdict = json.loads(ramp_.cli(*asked, source, "--json").out)[0]["verdict"]
    assert [each["metric"] for each in verdict["readings"]] == ["abuse"]
    page = tmp_path / "page.html"
    assert ramp_.cli("rollout", "report", rolling.NAME, "--env", "prod", "-o", str(page)).code == 0
    text = page.read_text()
    assert (text.count("<svg"), name in text, "No forecast" in text) == (2, True, True)


def test_status_without_an_engine_says_so(ramp_, tmp_path):
    rolling.begin(ramp_)
    shown = rolling.rollout(ramp_, "status", "--events", str(tmp_path / "nowhere")).stdout
    assert "note: no new evidence: " in shown
    assert "no estimate yet" in shown
