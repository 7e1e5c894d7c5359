"""Raising versions: the least legal one, written in place."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from promptops.checks import affected, scope
from promptops.checks.history import History
from promptops.errors import InputError, UsageError
from promptops.registry import edit, yaml
from promptops.registry.prompt import prompt_path
from promptops.registry.registry import Registry
from promptops.repo.source import IndexSource, Overlay, TreeSource, WorktreeSource, replace

if TYPE_CHECKING:
    from promptops.registry.configuration import Configuration
    from promptops.repo.git import Git
    from promptops.repo.source import Source


class Bump(NamedTuple):
    """A prompt file to write: its name, path, versions before and after, why, and its new bytes."""

    name: str
    path: str
    old: str
    new: str
    reason: str
    data: bytes


def named(git: Git, names: list[str]) -> list[Bump]:
    """Plan the bumps of prompts by name, as the work tree has them.

    Raises:
        InputError: a prompt does not exist or is malformed.
    """
    tree = WorktreeSource(git.root)
    return _plan(git, names, tree, tree)


def staged(git: Git) -> list[Bump]:
    """Plan the bumps of the prompts that the staged changes reach.

    Raises:
        InputError: a prompt is malformed.
    """
    judged, _ = scope.staged(git)
    return _plan(git, affected.prompts(judged), IndexSource(git), WorktreeSource(git.root))


def changed(git: Git) -> list[Bump]:
    """Plan the bumps of the prompts that the work tree changes since this work left its protected branch.

    Raises:
        InputError: a prompt is malformed.
    """
    tree = WorktreeSource(git.root)
    return _plan(git, affected.prompts(scope.work_tree(git)), tree, tree)


def model(git: Git, old: str, new: str, wave: int | None) -> list[Bump]:
    """Plan the move of prompts from the model ``old`` to ``new``.

    Args:
        git: the repository.
        old: name of a model.
        new: name of the model that takes its place.
        wave: move only the first so many prompts by name; None for all.

    Raises:
        InputError: the new model is missing or malformed, or a prompt is malformed.
        UsageError: no prompt uses the old model.
    """
    tree = WorktreeSource(git.root)
    registry = Registry(tree)
    registry.model(new)
    using = [name for name in registry.names() if registry.prompt(name).model == old]
    if not using:
        raise UsageError(f"no prompt uses the model {old}", hint="promptops list")
    files = {}
    for name in using[:wave]:
        files[prompt_path(name)] = edit.replace(registry.prompt(name).document, "model", new)
    return _plan(git, using[:wave], Overlay(tree, files), Overlay(tree, files))


def _plan(git: Git, names: list[str], judged: Source, written: Source) -> list[Bump]:
    head = TreeSource(git, "HEAD", commit="HEAD")
    history = History(git, names, (partial(Registry, head), partial(scope.fork_point, git)))
    registry = Registry(judged)
    planned = []
    for name in names:
        configuration = registry.configuration(name)
        standing = history.standing(name, lambda it=configuration: it)  # type: ignore[misc]  # mypy infers no lambda with a default
        if standing.least is not None:
            planned.append(_bump(configuration, standing.least.text, standing.message, written))
        elif isinstance(written, Overlay):
            document = configuration.prompt.document
            version = configuration.prompt.version
            planned.append(Bump(name, document.path, version, version, "the model changed", document.data))
    return planned


def _bump(configuration: Configuration, least: str, reason: str, written: Source) -> Bump:
    prompt = configuration.prompt
    data = written.read(prompt.path)
    document = yaml.load(data, prompt.path) if data is not None else None
    if document is None or document.value.get("version") != prompt.version:
        message = "the work tree has another version than the index"
        raise InputError(message, hint=f"git add {prompt.path}, or set the version to {least}", path=prompt.path)
    return Bump(prompt.name, prompt.path, prompt.version, least, reason, edit.replace(document, "version", least))


def write(bumps: list[Bump], root: str) -> None:
    """Write planned files into the work tree at ``root``, each as a whole."""
    for bump in bumps:
        replace(root, bump.path, bump.data)
