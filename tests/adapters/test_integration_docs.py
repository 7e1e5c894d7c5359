"""The snippets of docs/integrations.md, run one after the other as a reader would."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from serving import ramp
from witness import events, unit_of

from promptops.adapters import flagd, gateway, otel
from promptops.runtime import assignment, recording
from promptops.runtime.document import serialize

PAGE = (Path(__file__).parents[2] / "docs/integrations.md").read_text()
NAME = "support/reply"


def snippets(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def own(tmp_path, monkeypatch, recorded):
    """A folder with the files that the page names."""
    own = ramp("30%")
    (tmp_path / "promptops-snapshot.json").write_bytes(serialize("prod", 1000, {NAME: own}))
    flagd.write(str(tmp_path / "prompts.flagd.json"), "prod", {NAME: own})
    monkeypatch.chdir(tmp_path)
    return own


def run(code):
    names = {}
    exec(compile(code, "docs/integrations.md", "exec"), names)
    return names


def test_python_snippets(own, recorded):
    openfeature, slot, telemetry = snippets("python")
    names = run(openfeature)
    names["api"].clear_providers()
    wanted = assignment.arm(assignment.slot(own["rollout"]["salt"], "user-17"), *own["rollout"]["weights"].values())
    assert names["details"].variant == wanted
    assert names["request"]["messages"][0]["content"].endswith("It broke")
    assert [event["type"] for event in events(recorded)] == ["exposure", "opportunity", "outcome"]
    assert run(slot)["context"] == flagd.context(own, "user-17")
    try:
        run(telemetry)
    finally:
        recording.use()


def test_requests_to_the_gateway_are_read(own, recorded):
    send, feedback = map(json.loads, snippets("json"))
    send["user"] = unit_of("canary", own)
    # The conversation of the other snippets began with another release.
    send["metadata"]["promptops"]["session"] = "c-2"
    asked = gateway.read(send)
    found = gateway.load(asked, "promptops-snapshot.json")
    assert gateway.fill(send, found, asked)["messages"][0]["content"] == "1.1.0: It broke"
    asked = gateway.read(feedback)
    assert gateway.feedback(asked, found)
    assert [event["type"] for event in events(recorded)] == ["opportunity", "outcome"]


def test_tables_name_what_there_is():
    rows = re.findall(r"^\| ([a-z]+) \| `([\w.]+)` \| (.*) \|$", PAGE, re.MULTILINE)
    assert {kind: name for kind, name, _ in rows} == {kind: name for kind, (name, _) in otel.EVENTS.items()}
    named = {name for _, _, metrics in rows for name in re.findall(r"`([\w.]+)`", metrics)}
    assert named == {metric.name for metric in otel.METRICS.values()} | {otel.SCORES.name}
