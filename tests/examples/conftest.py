from __future__ import annotations

from inference.conftest import embedded

__all__ = ["embedded"]
