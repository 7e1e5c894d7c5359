"""Scenes in which a command is broken off: made once, copied for each fault."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
import releasing
import reviewing
import rolling
from faulting import Scene
from support import MODEL, make_project, prompt

if TYPE_CHECKING:
    from pathlib import Path

    from support import Repo

CLOSE = "prompts/support/close.yaml"
# One call at a time, so that the order of points is the same in every run.
PROJECT = releasing.PROJECT + "canary: {minimum: 1, budget: {requests: 200}}\n"
SUITE = {
    "version": 1,
    "guardrails": [{"metric": "expected", "direction": "higher", "margin": 0.5, "limit": 0.5}],
    "cases": [
        {"id": f"f{n}", "input": f"When does parcel {n} arrive?", "expect": {"contains": "Wednesday"}} for n in range(8)
    ],
}


def stage(repo: Repo, folder: Path) -> Scene:
    """Move a repository into a scene and give it a remote, by a path that holds in every copy."""
    folder.mkdir()
    (folder / "tmp").mkdir()
    shutil.move(repo.root, folder / "repo")
    scene = Scene(folder, repo.home, repo.people)
    subprocess.run(["git", "clone", "-q", "--bare", "--no-local", folder / "repo", folder / "remote.git"], check=True)
    scene.repo.git("remote", "add", "origin", "../remote.git")
    scene.repo.git("fetch", "-q", "origin")
    return scene


@pytest.fixture(scope="session")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Three releases, of which each went live in prod; a commit changes two prompts without a version."""
    base = tmp_path_factory.mktemp("serving")
    repo = make_project(base, solo=True)
    repo.write("promptops.yaml", PROJECT)
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        repo.write(releasing.PROMPT, prompt(f"Version {version}.", version=version))
        repo.commit("Change")
        repo.promptops("release", "--no-canary", "by hand")
        repo.promptops("promote", "support/reply", "--env", "prod", "--reason", f"try {version}")
    repo.write(CLOSE, prompt("Bye."))
    repo.commit("Another prompt")
    repo.promptops("release", "--no-canary", "by hand")
    repo.write(CLOSE, prompt("Goodbye."))
    repo.write(releasing.PROMPT, prompt("Another text.", version="1.2.0"))
    repo.commit("Without a version")
    scene = stage(repo, base / "scene")
    scene.repo.git("push", "-q", "--mirror", "origin")
    return scene


@pytest.fixture(scope="session")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Two releases, of which the first serves everybody in prod, and a plan for the second."""
    base = tmp_path_factory.mktemp("planned")
    repo = make_project(base, solo=True)
    repo.write("promptops.yaml", PROJECT)
    repo.commit("Environments")
    repo.promptops("release", "--no-canary", "by hand")
    repo.write(releasing.PROMPT, prompt("Be brief.", version="1.1.0"))
    repo.commit("Shorter")
    repo.promptops("release", "--no-canary", "by hand")
    rolling.ready(repo)
    scene = stage(repo, base / "scene")
    scene.repo.git("push", "-q", "--mirror", "origin")
    return scene


@pytest.fixture(scope="session")
def rolling_(planned: Scene, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A rollout whose first stage is proved."""
    scene = planned.copy(tmp_path_factory.mktemp("rolling") / "scene")
    one = rolling.started(scene.repo, "--push")
    rolling.events(scene.folder / "events", one, units=400)
    return scene


@pytest.fixture(scope="session")
def canaried(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A release, and two prompts to release that a canary compares."""
    base = tmp_path_factory.mktemp("canaried")
    repo = make_project(base, solo=True)
    repo.write("promptops.yaml", PROJECT)
    repo.write("models/gpt-4o.yaml", MODEL + "limits: {concurrency: 1}\n")
    repo.write("evals/facts.yaml", json.dumps(SUITE))
    repo.commit("Suite")
    repo.promptops("release", "--no-canary", "by hand")
    repo.write(releasing.PROMPT, prompt("Be brief.", version="1.1.0", extra="evals: [facts]\n"))
    repo.write(CLOSE, prompt("Bye.", extra="evals: [facts]\n"))
    repo.commit("Two to release")
    scene = stage(repo, base / "scene")
    scene.repo.git("push", "-q", "--mirror", "origin")
    return scene


@pytest.fixture(scope="session")
def reviewable(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A branch whose change alice requested approval for; a second change on it is not requested yet."""
    base = tmp_path_factory.mktemp("reviewable")
    repo = make_project(base, ("alice", "bob"))
    reviewing.change(repo)
    reviewing.requested(repo)
    return stage(repo, base / "scene")
