from __future__ import annotations

import copy

import pytest

from promptops.errors import InputError
from promptops.evaluation import suite as suites
from promptops.registry import schemas

PIN = "ab" * 32
INSPECT = {"type": "inspect", "task": "evals/task.py@facts", "files": {"evals/task.py": PIN}}
KINDS = [
    INSPECT,
    {"type": "promptfoo", "config": "p.yaml", "files": {"p.yaml": PIN}, "arguments": ["--filter-first-n", "5"]},
    {"type": "pytest", "path": "tests/test_x.py", "files": {"tests/test_x.py": PIN}, "seconds": 60},
    {"type": "command", "argv": ["sh", "run.sh"], "scores": "out/s.jsonl", "variables": {"tone": "calm"}},
    {"type": "command", "argv": ["garak"], "scores": "r.jsonl", "format": "garak-report"},
    {"type": "garak-report", "reports": [{"configuration": f"sha256:{PIN}", "path": "r.jsonl", "sha256": PIN}]},
    {"type": "promptfoo-redteam", "reports": [{"configuration": f"sha256:{PIN}", "path": "r", "sha256": PIN}]},
]


def value(harness, **more):
    rails = [{"metric": "includes", "direction": "higher", "margin": 0.1}]
    return {"version": 1, "harness": copy.deepcopy(harness), "guardrails": rails, **more}


@pytest.mark.parametrize("harness", KINDS, ids=lambda harness: harness["type"])
def test_every_kind_can_be_said(harness):
    stated = value(harness)
    assert schemas.problems("suite", stated) == []
    suite = suites.parse("s", stated)
    assert suite.harness.type == harness["type"]
    assert suite.cases == ()
    assert [rail.metric for rail in suite.guardrails] == ["includes"]


def test_a_task_is_in_a_file():
    assert suites.parse("s", value(INSPECT)).harness.target_path == "evals/task.py"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"files": {"other.py": PIN}}, "`files` does not pin"),
        ({"files": {"evals/task.py": PIN, "../key": PIN}}, "no plain path"),
        ({"files": {"evals/task.py": PIN, "/etc/passwd": PIN}}, "no plain path"),
        ({"files": {"evals/task.py": PIN, ".git/config": PIN}}, "no plain path"),
        ({"files": {"evals/task.py": PIN, "a/../b": PIN}}, "no plain path"),
        ({"files": {"evals/task.py": PIN, "a\nb": PIN}}, "no plain path"),
    ],
)
def test_files_are_pinned_and_lie_in_the_repository(change, message):
    with pytest.raises(InputError, match=message):
        suites.parse("s", value({**INSPECT, **change}))


@pytest.mark.parametrize("path", ["../out.jsonl", "/tmp/out.jsonl", ".hidden"])
def test_scores_are_written_where_the_harness_runs(path):
    with pytest.raises(InputError, match="no plain path"):
        suites.parse("s", value({"type": "command", "argv": ["x"], "scores": path}))


def test_a_configuration_has_one_report():
    harness = copy.deepcopy(KINDS[-1])
    harness["reports"].append({**harness["reports"][0], "path": "other"})
    with pytest.raises(InputError, match="two reports are of one configuration"):
        suites.parse("s", value(harness))


@pytest.mark.parametrize(
    "extra",
    [{"cases": [{"id": "a", "input": "b"}]}, {"evaluators": {"praise": {"type": "praise"}}}, {"repeats": 3}],
)
def test_a_harness_stands_alone(extra):
    with pytest.raises(InputError, match="a suite with a harness has no"):
        suites.parse("s", value(INSPECT, **extra))


@pytest.mark.parametrize(
    "harness",
    [
        {"type": "shell", "argv": ["x"]},
        {"type": "command", "argv": "rm -rf /", "scores": "s"},
        {"type": "inspect", "task": "--help", "files": {"--help": PIN}},
        {"type": "inspect", "task": "t.py@x", "files": {}},
        {"type": "pytest", "path": "t.py"},
        {"type": "garak-report", "reports": []},
        {"type": "garak-report", "reports": [{"path": "r", "sha256": PIN}]},
        {**INSPECT, "files": {"evals/task.py": "short"}},
        {**INSPECT, "shell": True},
    ],
)
def test_what_the_schema_refuses(harness):
    assert schemas.problems("suite", value(harness))


def test_a_suite_has_cases_or_a_harness():
    assert schemas.problems("suite", {"version": 1, "guardrails": []})
