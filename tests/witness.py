"""What was recorded, and for whom."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from promptops.runtime import assignment

if TYPE_CHECKING:
    from pathlib import Path


def unit_of(arm: str, entry: Any) -> str:
    """A unit that the weights of a snapshot's entry put into ``arm``."""
    rollout = entry["rollout"]
    weights = rollout["weights"]["canary"], rollout["weights"]["baseline"]
    units = (f"user-{number}" for number in range(100_000))
    return next(unit for unit in units if assignment.arm(assignment.slot(rollout["salt"], unit), *weights) == arm)


def events(folder: Path, kind: str | None = None) -> list[dict[str, Any]]:
    """The recorded events, of one type or all, in the order of their ids, which is that of their times."""
    rows = [line for file in sorted(folder.glob("**/*.jsonl")) for line in file.read_text().splitlines()]
    found = [json.loads(row) for row in rows if row]
    return [event for event in found if kind is None or event["type"] == kind]
