"""PO205: a model file that was released means another model now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.checks.finding import Finding
from promptops.checks.rule import PromptSubject, Text
from promptops.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promptops.registry.configuration import Configuration

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


def check(subject: PromptSubject) -> Iterator[Finding]:
    """Yield a finding at the model file of the prompt's newest release when its behaviour fields differ now."""
    releases = subject.history.releases(subject.prompt.name)
    released = subject.history.released(releases[-1]) if releases else None
    fields = changed_fields(subject, released)
    if released is None or not fields:
        return
    name = released.model.name
    model = subject.registry.model(name)
    place = model.document.where((fields[0] if fields[0] in model.settings else "id",))
    message = f"{', '.join(fields)} of model {name} changed since it was released (by {releases[-1].tag})"
    hint = f"restore it, make a new model file, and: promptops bump --model {name}=NEW"
    yield Finding(model.path, *place, ID, message, hint)


def changed_fields(subject: PromptSubject, released: Configuration | None) -> list[str]:
    """Return the behaviour fields of the released model that differ in the judged state."""
    if released is None:
        return []
    try:
        now = subject.registry.model(released.model.name).identity
    except InputError:
        return []
    was = released.model.identity
    return ["parameters" if field == "defaults" else field for field in was if was[field] != now[field]]
