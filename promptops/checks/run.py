"""Judging a scope: every rule over everything that it applies to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from promptops.checks import affected, rules
from promptops.checks.history import History, ReleasedModels
from promptops.checks.rule import ChangeSubject, File, ModelSubject, PromptSubject
from promptops.errors import InputError
from promptops.registry.governed import schema_of
from promptops.registry.prompt import MODELS, PROMPTS, is_model, is_prompt, model_path, prompt_name, prompt_path
from promptops.registry.registry import Registry
from promptops.repo.source import SUBMODULE, SYMLINK

if TYPE_CHECKING:
    from promptops.checks.finding import Finding
    from promptops.checks.scope import Scope
    from promptops.registry.prompt import Model, Prompt
    from promptops.repo.source import Entry

# Below this many prompts a second process costs more than it saves.
_PARALLEL_FROM = 400


class Outcome(NamedTuple):
    """Everything found, in order of path and line, and how many files and prompts were looked at."""

    findings: list[Finding]
    files: int
    prompts: int


class Item(NamedTuple):
    """A path to judge; ``entry`` is None when the file did not change and only what it uses did."""

    path: str
    entry: Entry | None


def run(scope: Scope, *, today: str, wanted: frozenset[str]) -> Outcome:
    """Apply the rules ``wanted`` to a scope.

    Args:
        scope: what to judge.
        today: ISO date that retirement dates are compared with.
        wanted: rule ids.
    """
    names = affected.prompts(scope) if wanted.intersection(rules.PROMPT + rules.MODEL) else []
    items = [Item(path, entry) for path, entry in scope.changed.items() if entry is not None]
    items += [Item(path, None) for path in map(prompt_path, names) if path not in scope.changed]
    found, models = _spread(scope, items, wanted)
    subjects = ChangeSubject(scope.git, scope.target, scope.head, scope.source, scope.trusted, tuple(scope.changed))
    for check in rules.change_checks(wanted):
        found.update(check(subjects))
    found.update(_models(scope, models, today, wanted))
    return Outcome(sorted(found), len(scope.changed), len(names))


def _spread(scope: Scope, items: list[Item], wanted: frozenset[str]) -> tuple[set[Finding], set[str]]:
    workers = min(os.cpu_count() or 1, 8)
    if not scope.whole or len(items) < _PARALLEL_FROM or workers == 1:
        return judge(scope, items, wanted)
    from promptops.checks.parallel import split

    return split(scope, items, wanted, workers)


def judge(scope: Scope, items: list[Item], wanted: frozenset[str]) -> tuple[set[Finding], set[str]]:
    """Return the findings on files and prompts, and the names of the models that they are or use."""
    registry = Registry(scope.source)
    names = {item.path: name for item in items if (name := _prompt_name(item.path))}
    history = History(scope.git, frozenset(names.values()), scope.bases)
    file_checks, prompt_checks = rules.file_checks(wanted), rules.prompt_checks(wanted)
    explain = rules.malformed_checks(wanted)
    found: set[Finding] = set()
    models: set[str] = set()
    for path, entry in items:
        prompt = _prompt(registry, names.get(path))
        model = path.removeprefix(MODELS).removesuffix(".yaml") if is_model(path) else prompt.model if prompt else None
        if entry is not None:
            file = File(path, entry, _data(scope, path, entry))
            # Reading found nothing wrong with a file that could be read: the schema need not be asked twice.
            sound = prompt is not None or (is_model(path) and _model(registry, model) is not None)
            for check in file_checks if sound else file_checks + explain:
                found.update(check(file))
        if model is not None:
            models.add(model)
        if prompt is not None:
            templates = registry.templates(prompt)
            subject = PromptSubject(prompt, templates, _model(registry, model), registry, history)
            for prompt_check in prompt_checks:
                found.update(prompt_check(subject))
    return found, models


def _data(scope: Scope, path: str, entry: Entry) -> bytes | None:
    # Other files, such as the data of evaluation suites, are read by no file rule and may be large.
    if entry.mode in {SYMLINK, SUBMODULE} or not (path.startswith(PROMPTS) or schema_of(path)):
        return None
    if scope.whole:
        return scope.source.read(path)
    found = scope.git.object(entry.oid)
    return found.data if found else None


def _prompt_name(path: str) -> str | None:
    try:
        return prompt_name(path) if is_prompt(path) else None
    except InputError:
        return None


def _prompt(registry: Registry, name: str | None) -> Prompt | None:
    try:
        return registry.prompt(name) if name else None
    except InputError:
        return None


def _model(registry: Registry, name: str | None) -> Model | None:
    try:
        return registry.model(name) if name else None
    except InputError:
        return None


def _models(scope: Scope, names: set[str], today: str, wanted: frozenset[str]) -> list[Finding]:
    registry, checks = Registry(scope.source), rules.model_checks(wanted)
    changed = {name for name in names if model_path(name) in scope.changed}
    past = ReleasedModels(scope.git, changed)
    subjects = [
        ModelSubject(model, today, past if name in changed else None)
        for name in sorted(names)
        if (model := _model(registry, name))
    ]
    return [finding for subject in subjects for check in checks for finding in check(subject)]
