"""A branch that picks its own exam: whatever it changes, the tip of its target says how it is judged."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from evaluation.canaries import FLATTERY, STYLE, flattering, text_by
from inference.faults import KEY, FaultServer
from reviewing import Repo

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = """\
version: 1
canary: {share: "5%", minimum: 40, suites_required: [tone], margin: 0.15, budget: {requests: 600}}
environments: {prod: {}}
"""
LENIENT = """\
version: 1
canary: {share: "1%", minimum: 1, margin: 0.99, budget: {requests: 1}, on_inconclusive: warn}
enforcement: {PO104: off, PO301: off, PO401: off, baseline: accepted.json}
environments: {}
"""
JUDGE = f"def calm(case, reply):\n    return 0.0 if {FLATTERY!r} in reply.text else 1.0\n"


def tone(code: str, margin: float = 0.15) -> str:
    sha256 = hashlib.sha256(code.encode()).hexdigest()
    evaluator = {"type": "python", "callable": "evals.tone:calm", "sha256": sha256}
    rail = {"metric": "calm", "direction": "higher", "margin": margin, "limit": 0.6}
    return json.dumps({**STYLE, "evaluators": {"calm": evaluator}, "guardrails": [rail]})


@pytest.fixture
def branch(registry, tmp_path, monkeypatch):
    """A clone on the branch ``topic``, whose prompt flatters; its remote's main judges by a Python evaluator."""
    registry.write("promptops.yaml", PROJECT)
    registry.write("evals/tone.yaml", tone(JUDGE))
    registry.write("evals/tone.py", JUDGE)
    registry.write("evals/style.yaml", json.dumps(STYLE))
    registry.write("prompts/reply.yaml", flattering("Answer.", "[tone]"))
    registry.commit("Suites")
    clone = registry.clone(tmp_path / "clone")
    clone.git("switch", "-q", "-c", "topic")
    clone.write("prompts/reply.yaml", flattering("Answer. Flatter.", "[tone]"))
    clone.commit("Flatter")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return clone


def judged(repo: Repo, *args: str) -> tuple[int, dict]:
    done = repo.cli("canary", "reply", "--base", "origin/main", "--json", *args)
    assert done.out, done.err
    return done.code, json.loads(done.out)


def trap(marker: Path) -> str:
    """Python that leaves a trace where it runs, and finds everything perfect."""
    return f"open({str(marker)!r}, 'a').close()\ndef calm(case, reply):\n    return 1.0\n"


def test_a_branch_that_changes_everything_changes_nothing_about_its_exam(branch, serve, tmp_path, monkeypatch):
    """All at once, committed, and in a process that starts in the branch's files, as a CI job does."""
    ran = tmp_path / "ran"
    branch.write("promptops.yaml", LENIENT)
    branch.write("evals/tone.py", trap(ran))
    branch.write("evals/tone.yaml", tone(trap(ran), margin=0.99))
    for module in ("openai.py", "numpy.py", "sitecustomize.py", "jinja2.py", "promptops/__init__.py", "conftest.py"):
        branch.write(module, trap(ran))
    model = branch.read("models/gpt.yaml").replace("OPENAI_BASE_URL", "ELSEWHERE")
    branch.write("models/gpt.yaml", model + "price: {input: 0.0, output: 0.0}\n")
    branch.commit("My own exam")
    serve(text_by(0.8))
    with FaultServer(text_by(0.0)) as elsewhere:
        monkeypatch.setenv("ELSEWHERE", elsewhere.url)
        # Like the installed script, -P puts no folder of the caller's before the installed packages.
        command = [sys.executable, "-P", "-m", "promptops", "canary", "reply", "--base", "origin/main", "--json"]
        done = subprocess.run(
            command, cwd=branch.root, env=dict(os.environ), capture_output=True, text=True, check=False
        )
    told = json.loads(done.stdout)
    assert (done.returncode, told["verdict"]) == (1, "fail")
    assert {(row["suite"], row["margin"]) for row in told["guardrails"]} == {("tone", 0.15)}
    assert elsewhere.requests == []
    assert not ran.exists()
    assert KEY not in done.stdout + done.stderr


@pytest.mark.parametrize("change", ["evaluator", "deleted evaluator", "deleted suite", "not required", "no evals"])
def test_the_evaluators_of_the_target_judge(branch, serve, tmp_path, change):
    ran = tmp_path / "ran"
    if change == "evaluator":
        branch.write("evals/tone.py", trap(ran))
    elif change == "deleted evaluator":
        branch.git("rm", "-q", "evals/tone.py")
    elif change == "deleted suite":
        branch.git("rm", "-q", "evals/tone.yaml")
    elif change == "not required":
        branch.write("promptops.yaml", PROJECT.replace("suites_required: [tone], ", ""))
    else:
        branch.write("prompts/reply.yaml", flattering("Answer. Flatter.", "[style]"))
    branch.commit("Another exam")
    serve(text_by(0.8))
    code, told = judged(branch)
    assert (code, told["verdict"]) == (1, "fail")
    assert "tone" in told["suites"]
    assert not ran.exists()


def test_a_suite_of_the_branch_runs_no_python(branch, serve, tmp_path):
    ran = tmp_path / "ran"
    branch.write("evals/tone.py", trap(ran))
    branch.write("evals/mine.yaml", tone(trap(ran)))
    branch.write("prompts/reply.yaml", flattering("Answer. Flatter.", "[tone, mine]"))
    branch.commit("A judge of my own")
    server = serve(text_by(0.0))
    done = branch.cli("canary", "reply", "--base", "origin/main")
    assert done.code == 1
    assert "the suite runs Python code (evals.tone:calm), which is not allowed here" in done.err
    assert not ran.exists()
    assert len(server.requests) < 100


def test_the_tip_of_the_target_judges_and_not_the_merge_base(branch, serve, tmp_path):
    origin = Repo(tmp_path / "repo", branch.home, branch.people)
    origin.write("promptops.yaml", PROJECT.replace("margin: 0.15", "margin: 0.1").replace("[tone]", "[tone, style]"))
    origin.commit("Stricter")
    branch.git("fetch", "-q")
    serve(text_by(0.8))
    code, told = judged(branch)
    assert code == 1
    assert told["suites"].keys() == {"tone", "style"}


def test_the_same_model_under_another_name_costs_what_it_costs(branch, serve, tmp_path):
    origin = Repo(tmp_path / "repo", branch.home, branch.people)
    origin.write("models/gpt.yaml", origin.read("models/gpt.yaml") + "price: {input: 2.0, output: 10.0}\n")
    origin.commit("Price")
    branch.git("fetch", "-q")
    branch.write("models/free.yaml", branch.read("models/gpt.yaml") + "price: {input: 0.0, output: 0.0}\n")
    branch.write("prompts/reply.yaml", flattering("Answer. Flatter.", "[tone]").replace("model: gpt", "model: free"))
    branch.commit("Free of charge")
    code, planned = judged(branch, "--plan")
    assert code == 0
    assert planned["cost"]["expected"] > 0


def test_a_branch_switches_off_no_check_and_accepts_no_finding(branch):
    text = branch.read("prompts/reply.yaml").replace("{{ ticket }}", "{{ unheard_of }}")
    branch.write("prompts/reply.yaml", text)
    branch.commit("Two mistakes")
    before = json.loads(branch.cli("check", "--base", "origin/main", "--json").out)["findings"]
    assert {"PO104", "PO301"} <= {finding["rule"] for finding in before}
    branch.write("promptops.yaml", LENIENT)
    accepted = [{key: finding[key] for key in ("rule", "path", "message")} for finding in before]
    branch.write("accepted.json", json.dumps({"accepted": accepted}))
    branch.commit("Nothing to see")
    done = branch.cli("check", "--base", "origin/main", "--json")
    assert done.code == 1
    assert json.loads(done.out)["findings"] == before
    # The same settings are obeyed where they are in force.
    assert branch.cli("check", "--all").code == 0
