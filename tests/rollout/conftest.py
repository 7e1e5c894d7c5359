"""Projects with releases, and one in which a rollout can start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import reviewing
import rolling
from release.conftest import _solo, released

if TYPE_CHECKING:
    from pathlib import Path

    from support import Repo

__all__ = ["_solo", "released"]


@pytest.fixture(scope="session")
def _planned(_solo: dict[str, Repo], tmp_path_factory: pytest.TempPathFactory) -> Repo:
    repo = reviewing.copy(_solo["released"], tmp_path_factory.mktemp("planned"))
    rolling.ready(repo)
    return repo


@pytest.fixture
def ramp_(_planned: Repo, tmp_path: Path) -> Repo:
    """Release 1.0.0 serves everybody in prod, and a plan says how 1.1.0 follows."""
    return reviewing.copy(_planned, tmp_path)
