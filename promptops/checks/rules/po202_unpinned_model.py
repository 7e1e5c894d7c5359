"""PO202: a model's name may mean other weights tomorrow."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from promptops.checks.finding import Finding
from promptops.checks.rule import ModelSubject, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = "PO202"
TEXT = Text(
    title="The model is not pinned",
    why=(
        "An alias such as gpt-4o or *-latest is moved to other weights by its provider. Behaviour then changes with"
        " no change in git: nothing to review, nothing to roll back to."
    ),
    fix=(
        "Name a dated snapshot and say `pinned: true`, or give the sha256 of the weights. Where a provider offers no"
        " snapshots, set `enforcement: {PO202: warn}` in promptops.yaml and watch with `promptops drift`."
    ),
    example="id: gpt-4o                    # moves\nid: gpt-4o-2024-11-20         # stays\npinned: true",
)
_ALIAS = re.compile(r"(^|[-:@/_])(latest|stable|default|auto)$", re.IGNORECASE)


def check(subject: ModelSubject) -> Iterator[Finding]:
    """Yield a finding when the model says that it is not pinned, or bears the name of an alias."""
    model = subject.model
    hint = "name a dated snapshot with pinned: true, or weights: {sha256: ...}"
    if not model.pinned:
        place = model.document.where(("pinned",) if "pinned" in model.settings else ("id",))
        yield Finding(model.path, *place, ID, f"model {model.name} is not pinned", hint)
    elif model.weights is None and _ALIAS.search(model.id):
        place = model.document.where(("id",))
        yield Finding(model.path, *place, ID, f"{model.id} is an alias that its provider moves", hint)
