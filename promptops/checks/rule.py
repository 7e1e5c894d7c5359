"""What a rule is made of, and the things it looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from promptops.checks.finding import Finding
from promptops.errors import InputError

if TYPE_CHECKING:
    from promptops.checks.history import History, ReleasedModels
    from promptops.registry.prompt import Model, Prompt
    from promptops.registry.registry import Registry
    from promptops.registry.templates import Templates
    from promptops.repo.git import Git
    from promptops.repo.source import Entry, Source


class File(NamedTuple):
    """A governed file as it would be committed; ``data`` is None for a link or a submodule."""

    path: str
    entry: Entry
    data: bytes | None


class PromptSubject(NamedTuple):
    """A readable prompt with what it refers to.

    Attributes:
        templates: its message templates and everything that they include.
        model: the model, or None when its file is missing or malformed.
    """

    prompt: Prompt
    templates: Templates
    model: Model | None
    registry: Registry
    history: History


class ModelSubject(NamedTuple):
    """A readable model file that changed, or that a judged prompt names.

    Attributes:
        today: ISO date.
        past: what releases made of model files, or None where this file did not change.
    """

    model: Model
    today: str
    past: ReleasedModels | None = None


class ChangeSubject(NamedTuple):
    """A change as a whole.

    Attributes:
        target: the branch that takes it, or None where that is unknown.
        head: id of the judged commit, or None for the index.
        source: the judged state.
        trusted: the state whose policy is in force, or None where there is none.
        paths: the governed paths that changed.
    """

    git: Git
    target: str | None
    head: str | None
    source: Source
    trusted: Source | None
    paths: tuple[str, ...]


def exists(source: Source, path: str) -> bool:
    """Return whether a state has something at ``path``; a link or a submodule, which PO102 reports, is something."""
    try:
        return source.read(path) is not None
    except InputError:
        return True


class Text(NamedTuple):
    """What `promptops explain` prints: one paragraph each, the example as it would stand in a file."""

    title: str
    why: str
    fix: str
    example: str


FileCheck = Callable[[File], Iterator[Finding]]
PromptCheck = Callable[[PromptSubject], Iterator[Finding]]
ModelCheck = Callable[[ModelSubject], Iterator[Finding]]
ChangeCheck = Callable[[ChangeSubject], Iterator[Finding]]
