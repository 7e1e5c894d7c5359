"""PO203: a model ends soon, or has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.checks.finding import BLOCK, WARN, Finding
from promptops.checks.rule import ModelSubject, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = "PO203"
TEXT = Text(
    title="The model is retired, or will be within 30 days",
    why="From that day on requests fail, or another model answers in its place.",
    fix="Move the prompts to another model in waves: `promptops bump --model OLD=NEW --wave 5`.",
    example='retires: "2026-12-31"     # a warning from 2026-12-01, a block from 2026-12-31',
)
NOTICE_DAYS = 30


def check(subject: ModelSubject) -> Iterator[Finding]:
    """Yield a warning within 30 days of the retirement, and a block from that day on."""
    model = subject.model
    retires = model.settings.get("retires")
    if retires is None:
        return
    from datetime import date

    place = model.document.where(("retires",))
    try:
        left = (date.fromisoformat(retires) - date.fromisoformat(subject.today)).days
    except ValueError:
        yield Finding(model.path, *place, ID, f"{retires} is no day of the calendar", "write it as YYYY-MM-DD")
        return
    if left > NOTICE_DAYS:
        return
    when = f"retires on {retires}, in {left} day{'s' * (left != 1)}" if left > 0 else f"was retired on {retires}"
    hint = f"promptops bump --model {model.name}=NEW"
    yield Finding(model.path, *place, ID, f"model {model.name} {when}", hint, WARN if left > 0 else BLOCK)
