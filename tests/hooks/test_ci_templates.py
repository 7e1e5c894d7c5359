"""The CI templates fetch what a verdict needs and give a fork nothing to run or steal."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from ruamel.yaml import YAML
from yaml_hooks import ROOT

from promptops import __version__

CI = ROOT / "templates" / "ci"
PAGE = (ROOT / "docs" / "canary.md").read_text()


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


def documented_canary():
    """The workflow with a key that docs/canary.md shows."""
    (text,) = re.findall(r"```yaml\n(# .github/workflows/canary.yml\n.*?)```", PAGE, re.DOTALL)
    return text


@pytest.mark.parametrize("text", [(CI / "github.yml").read_text(), documented_canary()], ids=["check", "canary"])
def test_a_fork_runs_nothing_beside_a_secret(text):
    """A job that is given a secret is closed to forks, and no trigger hands a fork's commit the target's secrets."""
    workflow = YAML(typ="safe").load(text)
    assert set(workflow.get("on") or workflow[True]) == {"pull_request"}
    for job in workflow["jobs"].values():
        given = "secrets." in str(job)
        assert not given or job["if"] == "github.event.pull_request.head.repo.full_name == github.repository"
        assert job["permissions"] == {"contents": "read"}
        assert job["env"]["PYTHONSAFEPATH"] == "1"
        assert job["steps"][0]["with"]["persist-credentials"] is False
        for step in job["steps"]:
            # Nothing that the checkout holds is installed or run: only what was released is.
            assert "${{" not in step.get("run", "")
            assert re.match(r"(python -m pip install .*promptops-git\[?|promptops )", step.get("run", "promptops "))
            assert not step.get("uses", "").startswith(".")


def test_only_the_step_that_asks_the_model_sees_the_key():
    (job,) = YAML(typ="safe").load(documented_canary())["jobs"].values()
    seeing = [step for step in job["steps"] if "secrets." in str(step)]
    assert [step["run"].split()[:2] for step in seeing] == [["promptops", "canary"]]
    assert "--base" in seeing[0]["run"]
    assert f"promptops-git[release]=={__version__}" in documented_canary()
    assert "secrets." not in str(job["env"])


@pytest.mark.parametrize(("project", "code"), [("7", 0), ("8", 3)])
def test_gitlab_refuses_to_judge_in_a_fork(project, code):
    """There the target's branch, and so the policy, would be the fork's own."""
    (guard,) = [line for line in load("gitlab.yml")["promptops"]["before_script"] if "CI_PROJECT_ID" in line]
    env = {"PATH": os.environ["PATH"], "CI_PROJECT_ID": project, "CI_MERGE_REQUEST_PROJECT_ID": "7"}
    done = subprocess.run(["sh", "-e", "-c", guard], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, "runs in a fork" in done.stderr) == (code, code == 3)
    assert load("gitlab.yml")["promptops"]["before_script"][0] == guard


def test_python_in_the_checkout_shadows_nothing(tmp_path):
    (tmp_path / "pip.py").write_text("open('ran', 'w').close()\n")
    for name in ("github.yml", "gitlab.yml"):
        document = load(name)
        (job,) = document.get("jobs", document).values()
        settings = {**job.get("variables", {}), **job.get("env", {})}
        env = {"PATH": os.environ["PATH"], "PYTHONSAFEPATH": settings["PYTHONSAFEPATH"]}
        subprocess.run([sys.executable, "-m", "pip", "--version"], cwd=tmp_path, env=env, check=True)
        assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["github.yml", "gitlab.yml"])
def test_both_pin_this_version_and_judge_against_the_target(name):
    text = (CI / name).read_text()
    assert f'PROMPTOPS_VERSION: "{__version__}"' in text
    assert '"promptops-git==${PROMPTOPS_VERSION}"' in text
    assert "promptops check --base" in text
