"""Every measure by the type that a suite names it with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from promptops.evaluation.measures.measure import Measure

# Part of every suite's digest that uses a measure: raise it when one comes to score some answers otherwise.
VERSION = 1
MEASURES: dict[str, Measure] = {}
