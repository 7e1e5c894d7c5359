"""Projects with releases, made once and copied for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import releasing
import reviewing
from support import make_project, prompt

if TYPE_CHECKING:
    from pathlib import Path

    from support import Repo


@pytest.fixture(scope="session")
def _solo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Repo]:
    fresh = make_project(tmp_path_factory.mktemp("solo"), ("alice", "bob"), solo=True)
    fresh.write("promptops.yaml", releasing.PROJECT)
    fresh.commit("Environments")
    released = reviewing.copy(fresh, tmp_path_factory.mktemp("released"))
    released.promptops("release", "--no-canary", "first")
    released.write(releasing.PROMPT, prompt("Be brief.", version="1.1.0"))
    released.commit("Shorter")
    released.promptops("release", "--no-canary", "second")
    return {"fresh": fresh, "released": released}


@pytest.fixture
def solo(_solo: dict[str, Repo], tmp_path: Path) -> Repo:
    """A project whose policy asks for no approval; ``support/reply`` 1.0.0 is unreleased."""
    return reviewing.copy(_solo["fresh"], tmp_path)


@pytest.fixture
def released(_solo: dict[str, Repo], tmp_path: Path) -> Repo:
    """The same project with the releases 1.0.0 and 1.1.0."""
    return reviewing.copy(_solo["released"], tmp_path)


@pytest.fixture(scope="session")
def _merged(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    project = make_project(tmp_path_factory.mktemp("merged"), ("alice", "bob", "carol"))
    reviewing.change(project)
    reviewing.requested(project)
    reviewing.approved(project)
    project.git("switch", "-q", "main")
    project.git("merge", "-q", "--no-ff", "topic", "-m", "Merge")
    return project


@pytest.fixture
def merged(_merged: Repo, tmp_path: Path) -> Repo:
    """A project of alice, bob and carol whose prompt 1.1.0 alice wrote, bob approved and main has; unreleased."""
    return reviewing.copy(_merged, tmp_path)
