"""Public recorded replies that are not part of this repository: beside it, or where PROMPTOPS_SHARED_DATA says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("PROMPTOPS_SHARED_DATA") or Path(__file__).resolve().parents[2] / "shared/data")


def path(name: str) -> Path:
    """The file or folder of that name; skips the test where the data is not at hand."""
    found = FOLDER / name
    if not found.exists():
        pytest.skip(f"{name} is not at hand: put the public data beside the repository, or set PROMPTOPS_SHARED_DATA")
    return found
