"""doctor: each defect of a machine or a clone, made for real, with what mends it."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace

import pytest


def probes(repo, *args, **env):
    done = repo.promptops("doctor", "--json", *args, check=None, **env)
    assert done.returncode in {0, 1}, done.stderr
    return {probe["name"]: probe for probe in json.loads(done.stdout)}


@pytest.fixture
def project(registry):
    registry.write(".promptops/policy.yaml", "version: 1\n")
    for hook in ("pre-commit", "pre-merge-commit", "pre-push"):
        registry.write(f".git/hooks/{hook}", "#!/bin/sh\n").chmod(0o755)
    return registry


def test_nothing_is_missing_in_a_project_that_is_set_up(project):
    done = project.promptops("doctor")
    assert not [line for line in done.stdout.splitlines() if line.startswith("missing")]
    found = probes(project)
    states = {
        name: probe["state"] for name, probe in found.items() if not name.startswith(("extra", "model", "command"))
    }
    assert set(states.values()) == {"ok"}
    assert all(bool(probe["mend"]) == (probe["state"] != "ok") for probe in found.values())


def test_a_repository_that_is_not_set_up(repo):
    assert repo.promptops("doctor", check=1).stdout.count("promptops init") == 2
    found = probes(repo)
    assert found["hooks"]["mend"] == "pre-commit install -t pre-commit -t pre-merge-commit -t pre-push"


def test_outside_a_repository(repo, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    found = probes(replace(repo, root=elsewhere), GIT_CEILING_DIRECTORIES=str(tmp_path))
    assert found["repository"]["state"] == "missing"
    assert found["repository"]["mend"].startswith("git init")


def test_core_hooks_path_hides_the_hooks(project):
    project.git("config", "core.hooksPath", "/nowhere")
    found = probes(project)["hooks"]
    assert found["state"] == "warn"
    assert "core.hooksPath is /nowhere" in found["detail"]
    assert "--unset-all core.hooksPath" in found["mend"]


def test_shallow_clone_and_missing_tags(project, tmp_path):
    project.commit("Second")
    shallow = project.clone(tmp_path / "shallow", "--depth=1", "--no-local")
    assert probes(shallow)["history"] | {"name": ""} == {
        "name": "", "state": "warn", "detail": "this clone is shallow", "mend": "git fetch --unshallow --tags",
    }  # fmt: skip
    full = project.clone(tmp_path / "full", "--no-tags")
    assert probes(full)["history"]["mend"] == "git fetch --tags origin"


def test_no_identity_and_no_key(project):
    found = probes(project, GIT_CONFIG_GLOBAL=os.devnull, PROMPTOPS_SIGNING_KEY="")
    assert found["identity"]["state"] == "missing"
    assert found["signing key"]["state"] == "missing"


def test_signatures_that_git_log_would_show(project):
    project.git("config", "log.showSignature", "true")
    assert probes(project)["clock"]["state"] == "ok"


def test_a_commit_from_the_future(project):
    replace(project, extra_env={"GIT_COMMITTER_DATE": "2099-01-01T00:00:00Z"}).commit("Future")
    assert probes(project)["clock"]["state"] == "warn"


def tools(tmp_path, **scripts):
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, body in scripts.items():
        (folder / name.replace("_", "-")).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name.replace("_", "-")).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def test_old_git_and_old_ssh_keygen(project, tmp_path):
    real = shutil.which("git")
    path = tools(
        tmp_path,
        git=f'case "$*" in *--version) echo git version 2.30.2;; *) exec {real} "$@";; esac',
        ssh_keygen="echo 'unknown option -- Y' >&2; exit 1",
    )
    found = probes(project, PATH=path)
    assert found["git"]["mend"] == "install git 2.38 or newer"
    assert found["ssh-keygen"]["mend"] == "install OpenSSH 8.9 or newer"


def test_without_git_nothing_can_be_checked(project, tmp_path):
    (tmp_path / "empty").mkdir()
    done = project.promptops("doctor", check=3, PATH=str(tmp_path / "empty"))
    assert "git is not on PATH" in done.stderr


def test_missing_extras_and_a_rival_distribution(project, tmp_path):
    rival = tmp_path / "site" / "rival-1.0.dist-info"
    rival.mkdir(parents=True)
    (rival / "METADATA").write_text("Metadata-Version: 2.1\nName: rival\nVersion: 1.0\n")
    (rival / "entry_points.txt").write_text("[console_scripts]\npromptops = rival:main\n")
    (rival / "RECORD").write_text("promptops/__init__.py,,\n")
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name in {'numpy', 'xllamacpp'} else find(name, package)\n"
    )
    path = os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    found = probes(project, PYTHONPATH=path)
    assert found["extra release"]["mend"] == "pip install 'promptops-git[release]'"
    assert found["extra local"]["detail"] == "no xllamacpp"
    assert "rival" in found["command"]["detail"]
    assert "rival" in found["package"]["detail"]
