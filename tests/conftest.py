"""One environment for every test: no identity, key, signing or hook of the machine leaks in."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import reviewing
from hypothesis import HealthCheck, settings
from support import Repo, make_project, make_registry, make_repo

from promptops.inference import weights

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GITCONFIG = """\
[user]
    name = Test Author
    email = author@example.org
[init]
    defaultBranch = main
[commit]
    gpgsign = false
[tag]
    gpgsign = false
[protocol "file"]
    allow = always
[core]
    autocrlf = false
[advice]
    detachedHead = false
"""
# A slow machine is no finding.
settings.register_profile("promptops", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("promptops")
_FOREIGN = ("GIT_", "PRE_COMMIT", "PROMPTOPS_", "OPENAI_", "SSH_")
_KEPT = {"PROMPTOPS_CACHE", "PROMPTOPS_TEST_WHEEL", "PROMPTOPS_PROMPTFOO", "PROMPTOPS_LITELLM"}


@pytest.fixture(scope="session", autouse=True)
def _environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    config = tmp_path_factory.mktemp("home") / "gitconfig"
    config.write_text(GITCONFIG)
    with pytest.MonkeyPatch.context() as patch:
        # Tests may give a process another home; the embedded model stays where it was fetched to.
        patch.setenv("PROMPTOPS_CACHE", weights.cache_dir())
        for name in [name for name in os.environ if name.startswith(_FOREIGN) and name not in _KEPT]:
            patch.delenv(name)
        patch.setenv("GIT_CONFIG_GLOBAL", str(config))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        patch.setenv("NO_COLOR", "1")
        patch.setenv("LC_ALL", "C.UTF-8")
        yield


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """An empty repository."""
    return make_repo(tmp_path)


@pytest.fixture
def registry(tmp_path: Path) -> Repo:
    """A repository with one committed prompt, ``reply``."""
    return make_registry(tmp_path)


@pytest.fixture(scope="session")
def states(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Repo]:
    """A project of alice, bob and carol, and its branch ``topic`` requested by alice and then approved by bob."""
    project = make_project(tmp_path_factory.mktemp("project"), ("alice", "bob", "carol"))
    pending = reviewing.copy(project, tmp_path_factory.mktemp("pending"))
    reviewing.change(pending)
    reviewing.requested(pending)
    reviewed = reviewing.copy(pending, tmp_path_factory.mktemp("reviewed"))
    reviewing.approved(reviewed)
    return {"project": project, "pending": pending, "reviewed": reviewed}


@pytest.fixture
def project(states: dict[str, Repo], tmp_path: Path) -> Repo:
    """A project with one approval and a root threshold of one, on ``main``."""
    return reviewing.copy(states["project"], tmp_path)


@pytest.fixture
def pending(states: dict[str, Repo], tmp_path: Path) -> Repo:
    """The project on the branch ``topic``, whose change alice requests approval for."""
    return reviewing.copy(states["pending"], tmp_path)


@pytest.fixture
def reviewed(states: dict[str, Repo], tmp_path: Path) -> Repo:
    """The project on the branch ``topic``, whose change bob approved."""
    return reviewing.copy(states["reviewed"], tmp_path)
