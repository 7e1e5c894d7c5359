"""What changed between two states of a prompt: its grade, its settings, its text."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import InputError, UsageError
from promptops.registry import version as versions
from promptops.registry.registry import Registry
from promptops.repo import tags
from promptops.repo.source import TreeSource

if TYPE_CHECKING:
    from promptops.registry.configuration import Configuration
    from promptops.repo.git import Git


class Side(NamedTuple):
    """One side of a comparison: a revision, and the prompt that it names when it is a release."""

    revision: str
    prompt: str | None


class Change(NamedTuple):
    """A setting that differs: its dotted name, the old and the new value (None: not set)."""

    field: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two states of one prompt.

    Attributes:
        old: version and digest before; None where the prompt did not exist.
        new: version and digest after; None where it is gone.
        grade: ``none``, ``patch``, ``minor`` or ``major``; ``new`` or ``removed`` where one side has no such prompt.
        changes: settings that differ.
        text: unified diff of messages and included files, by name of the text.
    """

    prompt: str
    old: tuple[str, str] | None
    new: tuple[str, str] | None
    grade: str
    changes: list[Change]
    text: str


def side(git: Git, text: str) -> Side:
    """Return what ``text`` names: a release (``prompt/NAME@vVERSION``, ``NAME@VERSION``) or any revision."""
    name, at, number = text.removeprefix("prompt/").rpartition("@")
    short = tags.tag_name(name, number.removeprefix("v"))
    if at and tags.split_tag(short):
        return Side(f"refs/tags/{short}", name)
    git.commit(text)
    return Side(text, None)


def compare_all(git: Git, old: Side, new: Side, prompts: tuple[str, ...]) -> list[Comparison]:
    """Return a comparison for each prompt asked for, or for each that differs.

    Raises:
        UsageError: the two sides are releases of two prompts.
        InputError: a prompt exists on neither side, or is malformed.
    """
    named = {name for name in (old.prompt, new.prompt) if name}
    if len(named) > 1:
        raise UsageError(f"{old.prompt} and {new.prompt} are two prompts", hint="compare releases of one prompt")
    registries = [Registry(TreeSource(git, one.revision)) for one in (old, new)]
    there = [(registry, frozenset(registry.names())) for registry in registries]
    wanted = [*named, *prompts] or sorted(there[0][1] | there[1][1])
    found = [
        compare(name, *(registry.configuration(name) if name in names else None for registry, names in there))
        for name in wanted
    ]
    return found if named or prompts else [item for item in found if item.old != item.new]


def compare(name: str, old: Configuration | None, new: Configuration | None) -> Comparison:
    """Compare two configurations of one prompt; None stands for a state without it.

    Raises:
        InputError: both are None.
    """
    if old is None and new is None:
        raise InputError(f"there is no prompt {name} on either side", hint="promptops list")
    changes = _changes("", _settings(old), _settings(new))
    text = _text_diff(_texts(old), _texts(new))
    return Comparison(name, _identity(old), _identity(new), _grade(old, new), changes, text)


def _grade(old: Configuration | None, new: Configuration | None) -> str:
    if old is None:
        return "new"
    return "removed" if new is None else versions.grade(old, new)


def _identity(configuration: Configuration | None) -> tuple[str, str] | None:
    return (configuration.prompt.version, configuration.digest) if configuration else None


def _settings(configuration: Configuration | None) -> dict[str, Any]:
    if configuration is None:
        return {}
    prompt, model = configuration.prompt, configuration.model
    return {
        "model": {"file": model.name, "provider": model.provider, "id": model.id, "weights": model.weights},
        "parameters": configuration.parameters(),
        "variables": prompt.variables,
        "output": prompt.output,
        "tools": prompt.tools,
        "context": prompt.context,
        "evals": list(prompt.evals),
    }


def _changes(place: str, old: Any, new: Any) -> list[Change]:
    if old == new:
        return []
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [Change(place, old, new)]
    found = []
    for key in sorted({*old, *new}):
        found += _changes(f"{place}.{key}".lstrip("."), old.get(key), new.get(key))
    return found


def _texts(configuration: Configuration | None) -> dict[str, str]:
    if configuration is None:
        return {}
    messages = {
        f"message {index} ({message['role']})": message["content"]
        if isinstance(message["content"], str)
        else json.dumps(message["content"], indent=1)
        for index, message in enumerate(configuration.prompt.messages)
    }
    return messages | {f"include {name}": text for name, text in configuration.includes.items()}


def _text_diff(old: dict[str, str], new: dict[str, str]) -> str:
    lines: list[str] = []
    for name in dict.fromkeys([*old, *new]):
        before, after = (side.get(name, "").splitlines() for side in (old, new))
        lines += difflib.unified_diff(before, after, f"old {name}", f"new {name}", lineterm="")
    return "\n".join(lines)
