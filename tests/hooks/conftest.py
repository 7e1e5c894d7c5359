"""Repositories whose commits and pushes run the hooks under a real runner."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hooking import Hooked
from support import make_registry

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["pre-commit", "prek"])
def runner(request) -> str:
    return request.param


@pytest.fixture
def hooked(tmp_path: Path, runner: str) -> Hooked:
    return Hooked(make_registry(tmp_path), runner, "promptops-check")
