"""Servers that answer for a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from inference.faults import FaultServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], FaultServer]]:
    """Start a server with a script, as the address that the model file's variable names."""
    running = []

    def start(script: Any) -> FaultServer:
        server = FaultServer(script)
        running.append(server.__enter__())
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        return server

    yield start
    for server in running:
        server.__exit__(None, None, None)
