from __future__ import annotations

import pytest


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """The folder that this process records events in."""
    folder = tmp_path / "events"
    monkeypatch.setenv("PROMPTOPS_EVENTS", str(folder))
    return folder
