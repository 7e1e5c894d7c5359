"""Operating characteristics of a plan, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from promptops.errors import UsageError
from promptops.registry.governed import ROLLOUTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promptops.rollout.plan import Plan
    from promptops.rollout.simulate import Row

HEAD = ("truth", "promote", "rollback", "hold", "median day", "users exposed")
_LARGEST = 4 << 20


def plan_path(text: str) -> str:
    """Return the path of a plan that is named by its prompt or by its path."""
    return text if text.endswith(".yaml") else f"{ROLLOUTS}{text}.yaml"


def read(full: str, path: str) -> bytes:
    """Return the content of a plan file.

    Raises:
        UsageError: there is none.
    """
    try:
        with open(full, "rb") as file:
            return file.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"there is no plan {path}", hint="promptops new rollout PROMPT") from error


def document(plan: Plan, rows: Sequence[Row], *, units: float, days: int, runs: int, seed: int) -> dict[str, Any]:
    """Return the characteristics as a JSON object."""
    settings = {"units_per_day": units, "days": days, "runs": runs, "seed": seed}
    return {"prompt": plan.prompt, "plan": plan.digest, **settings, "rows": [row._asdict() for row in rows]}


def cells(row: Row) -> tuple[str, ...]:
    """Return one row of the table."""
    return (row.truth, *(f"{share:.1%}" for share in row[1:4]), f"{row.day:g}", f"{row.exposed:,.0f}")


def table(rows: Sequence[Row], *, units: float, days: int, runs: int) -> list[str]:
    """Return the characteristics as lines of a table."""
    lines_of = [cells(row) for row in rows]
    widths = [max(len(line[place]) for line in [HEAD, *lines_of]) for place in range(len(HEAD))]
    lines = [
        "  ".join(
            cell.ljust(width) if not place else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in [HEAD, *lines_of]
    ]
    return [*lines, f"{runs:,} runs each, {units:,.0f} new users a day, {days} days"]
