"""The CI templates fetch what a verdict needs and give a fork nothing to run or steal."""

from __future__ import annotations

import re

import pytest
from ruamel.yaml import YAML
from yaml_hooks import ROOT

from promptops import __version__

CI = ROOT / "templates" / "ci"


def load(name):
    return YAML(typ="safe").load((CI / name).read_text())


def test_github_asks_for_little_and_fetches_enough():
    workflow = load("github.yml")
    (job,) = workflow["jobs"].values()
    checkout = job["steps"][0]
    assert workflow["permissions"] == {}
    assert job["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in (workflow.get("on") or workflow[True])
    assert checkout["with"]["fetch-depth"] == 0
    assert checkout["with"]["persist-credentials"] is False


def test_github_pins_actions_and_pastes_nothing_into_scripts():
    (job,) = load("github.yml")["jobs"].values()
    for step in job["steps"]:
        assert "uses" not in step or re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"])
        assert "${{" not in step.get("run", "")


def test_gitlab_fetches_enough():
    job = load("gitlab.yml")["promptops"]
    assert job["variables"]["GIT_DEPTH"] == "0"
    assert any("--tags" in line for line in job["script"])


@pytest.mark.parametrize("name", ["github.yml", "gitlab.yml"])
def test_both_pin_this_version_and_judge_against_the_target(name):
    text = (CI / name).read_text()
    assert f'PROMPTOPS_VERSION: "{__version__}"' in text
    assert '"promptops-git==${PROMPTOPS_VERSION}"' in text
    assert "promptops check --base" in text
