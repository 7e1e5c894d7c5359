"""PO205: a model file that was released means another model now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.checks.finding import Finding
from promptops.checks.rule import ModelSubject, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = "PO205"
TEXT = Text(
    title="A released model file changed its behaviour",
    why=(
        "Provider, id, weights and parameter defaults of a model file are part of every release that names it. A new"
        " meaning under the old name moves all its prompts at once and cannot be canaried one by one."
    ),
    fix=(
        "Restore these fields, put the new model into a file of its own, and move prompts to it with"
        " `promptops bump --model OLD=NEW`. Prices, limits and endpoints may change at any time."
    ),
    example=(
        "# models/gpt-4o.yaml, released with id gpt-4o-2024-08-06\n"
        "id: gpt-4o-2024-11-20     # PO205: make models/gpt-4o-2024-11-20.yaml"
    ),
)


def check(subject: ModelSubject) -> Iterator[Finding]:
    """Yield a finding when a release, of whichever prompt and however old, used the file with another meaning."""
    model = subject.model
    found = subject.past and subject.past.differing(model)
    if not found:
        return
    release, fields = found
    place = model.document.where((fields[0] if fields[0] in model.settings else "id",))
    message = f"{', '.join(fields)} of model {model.name} changed since it was released (by {release.tag})"
    hint = f"restore it, make a new model file, and: promptops bump --model {model.name}=NEW"
    yield Finding(model.path, *place, ID, message, hint)
