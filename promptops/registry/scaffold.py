"""New files: what a repository starts with, and single prompts and models."""

from __future__ import annotations

import os
import re
import stat
from string import Template
from typing import TYPE_CHECKING, NamedTuple

from promptops import atomic
from promptops.errors import PromptopsError, UsageError
from promptops.registry import data
from promptops.registry.governed import ROLLOUTS, schema_of
from promptops.registry.prompt import EVALS, MODELS, PROMPTS, is_model, is_name, is_prompt, prompt_path
from promptops.registry.schemas import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterable

_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
# Providers date the ids that never move; an id without a date is an alias.
_DATED = re.compile(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}")
_PROMPT_FILE = re.compile(
    r"\.(?:prompt|prompty|prompt\.ya?ml)$"
    r"|(?:^|/)prompts?/(?!readme\.)[^/]*\.(?:txt|md|j2|jinja2?|json)$"
    r"|(?:^|/)[^/]*system[_-]?prompt[^/]*\.(?:txt|md)$"
    r"|(?:^|/)promptfooconfig\.(?:ya?ml|json)$",
    re.IGNORECASE,
)
_PROMPT_LITERAL = re.compile(
    # A long literal under a telling name, or a message of an API.
    rb"^[ \t]*(?:\w{0,40}prompt\w{0,40}|(?:\w{1,40}_)?system(?:_\w{1,40})?)[ \t]*(?::[^=\n]{1,40})?="
    rb"[ \t]*\(?\s*[frbu]{0,2}(?:\"\"\"|'''|[\"'][^\"'\n]{60})"
    rb"|[\"']role[\"'][ \t]*:[ \t]*[\"'](?:system|developer)[\"']",
    re.MULTILINE | re.IGNORECASE,
)
_MESSAGES = re.compile(
    rb"(?<!\w)messages[\"']?[ \t]*:\s*(?:\[\s*\{\s*|-\s*(?:\{\s*)?)[\"']?(?:role|content)[\"']?[ \t]*:"
)
# Suffix -> what a file of that kind holds when it holds a prompt.
_SIGNS = {".py": _PROMPT_LITERAL, ".yaml": _MESSAGES, ".yml": _MESSAGES, ".json": _MESSAGES}
# Suites that ship -> their folder among the templates. `init` writes those in evals/, with a smaller one named safety.
SUITES = {
    "are-you-sure": "suites",
    "false-premise": "suites",
    "own-work": "suites",
    "regression": "evals",
    "safety": "suites",
    "sycophancy": "evals",
    "sycophancy-choice": "suites",
}
# Where `promptops schema --write` is told to put the schemas that new files point editors to.
SCHEMAS = ".schemas"
_MOST_READ = 2000
_LARGEST_SOURCE = 1 << 20


class NewFile(NamedTuple):
    """A file to be written: its path relative to the repository, and its content."""

    path: str
    content: bytes


def starter_files(existing: Iterable[str], ci: str | None = None) -> list[NewFile]:
    """Return the files that a repository with the files ``existing`` lacks.

    The example prompt is left out where there are prompts already.

    Args:
        existing: paths relative to the repository.
        ci: ``github`` or ``gitlab`` for its workflow too.
    """
    present = set(existing)
    wanted = {"promptops.yaml": "promptops.yaml", ".pre-commit-config.yaml": "pre-commit-config.yaml"}
    if not any(map(is_prompt, present)):
        wanted[f"{MODELS}local.yaml"] = "models/local.yaml"
        wanted |= {f"evals/{name}": f"evals/{name}" for name in sorted(os.listdir(data.path("templates", "evals")))}
        # Last, so that a run that was killed before it is finished by the next.
        wanted[f"{PROMPTS}assistant.yaml"] = "prompts/assistant.yaml"
    if ci:
        wanted |= CI_FILES[ci]
    return [
        _new(path, data.read("templates", *template.split("/")))
        for path, template in wanted.items()
        if path not in present
    ]


def _new(path: str, content: bytes) -> NewFile:
    """Return a file with the line by which editors find the schema of its kind, where it has one."""
    schema = schema_of(path)
    if schema is None:
        return NewFile(path, content)
    place = f"{'../' * path.count('/')}{SCHEMAS}/{schema}{SUFFIX}"
    return NewFile(path, f"# yaml-language-server: $schema={place}\n".encode() + content)


_GITLAB = ".gitlab-ci.yml"
# Service -> what it needs, by path, and the template. GitLab reads one file only, which has to include the other.
CI_FILES = {
    "github": {".github/workflows/promptops.yml": "ci/github.yml"},
    "gitlab": {".gitlab/promptops.yml": "ci/gitlab.yml", _GITLAB: "ci/gitlab-include.yml"},
}


def missing_include(root: str) -> str | None:
    """Return what an existing ``.gitlab-ci.yml`` below ``root`` lacks to run our job, or None."""
    try:
        with open(os.path.join(root, _GITLAB), "rb") as file:
            text = file.read(_LARGEST_SOURCE)
    except FileNotFoundError:
        return None
    (included,) = CI_FILES["gitlab"].keys() - {_GITLAB}
    return None if included.encode() in text else data.read("templates", "ci", "gitlab-include.yml").decode()


def new_prompt(name: str, existing: Iterable[str], model: str | None = None) -> NewFile:
    """Return a first draft of the prompt ``name``.

    Args:
        name: path below ``prompts/`` without suffix.
        existing: paths relative to the repository, to find a model among.
        model: name of its model; by default the first that exists.

    Raises:
        UsageError: no prompt can have that name, or no model is given and none exists.
    """
    if not is_name(name):
        raise UsageError(
            f"{name!r} is not a prompt name", hint="lower case letters, digits, - and /; for example support/reply"
        )
    if model is not None and not _MODEL_NAME.fullmatch(model):
        raise UsageError(f"{model!r} is not a model name", hint="the name of a file in models/, without .yaml")
    models = sorted(path.removeprefix(MODELS).removesuffix(".yaml") for path in existing if is_model(path))
    if model is None and not models:
        raise UsageError("there is no model yet", hint="promptops new model NAME")
    return _new(prompt_path(name), _filled("new.yaml", "prompts", model=model or models[0]))


def new_model(name: str) -> NewFile:
    """Return a first draft of the model ``name``, of an OpenAI-compatible endpoint.

    Raises:
        UsageError: no model file can have that name.
    """
    if not _MODEL_NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is not a model name", hint="letters, digits, . _ and -; for example gpt-4o-2024-11-20"
        )
    pinned = "true" if _DATED.search(name) else "false"
    return _new(f"{MODELS}{name}.yaml", _filled("hosted.yaml", "models", name=name, pinned=pinned))


def new_suite(name: str, template: str) -> NewFile:
    """Return the shipped suite ``template`` as the suite ``name``.

    Raises:
        UsageError: no suite can have that name, or none of that name ships.
    """
    if not is_name(name) or "/" in name:
        raise UsageError(f"{name!r} is not a suite name", hint="lower case letters, digits and -; as safety-full")
    if template not in SUITES:
        raise UsageError(f"no suite {template} ships", hint=f"one of: {', '.join(SUITES)}")
    return _new(f"{EVALS}{name}.yaml", data.read("templates", SUITES[template], f"{template}.yaml"))


def new_rollout(name: str, environment: str = "prod") -> NewFile:
    """Return a first draft of the plan of the prompt ``name``.

    Raises:
        UsageError: no prompt can have that name.
    """
    if not is_name(name):
        raise UsageError(
            f"{name!r} is not a prompt name", hint="lower case letters, digits, - and /; for example support/reply"
        )
    return _new(f"{ROLLOUTS}{name}.yaml", _filled("new.yaml", "rollouts", prompt=name, environment=environment))


def _filled(template: str, folder: str, **values: str) -> bytes:
    return Template(data.read("templates", folder, template).decode()).substitute(values).encode()


def write(root: str, file: NewFile) -> None:
    """Write a file that must not exist yet, with its folders.

    Raises:
        UsageError: it exists.
        PromptopsError: a symbolic link or a file is in the way of its folder.
    """
    full = os.path.join(root, file.path)
    folder = os.path.dirname(full)
    if os.path.realpath(folder) != os.path.join(os.path.realpath(root), os.path.dirname(file.path)).rstrip("/"):
        raise PromptopsError("a symbolic link leads away from the repository", hint="remove the link", path=file.path)
    try:
        os.makedirs(folder, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise PromptopsError(
            "a file is in the way of its folder", hint="move that file out of the way", path=file.path
        ) from error
    try:
        atomic.create(full, file.content, folder=atomic.staging(root))
    except FileExistsError as error:
        raise UsageError(
            "file exists and is left as it is", hint="choose another name, or edit it", path=file.path
        ) from error


class Seen(NamedTuple):
    """Files that look like prompts; ``whole`` is False when there were too many files to look into all of them."""

    paths: list[str]
    whole: bool


def candidates(root: str, paths: Iterable[str]) -> Seen:
    """Return the files among ``paths`` that look like prompts of another format, or hold one.

    The files are only read, and of those that have to be, large ones and all after the first two thousand are not.
    """
    found, read = [], 0
    for path in paths:
        if is_prompt(path):
            continue
        signs = _SIGNS.get(os.path.splitext(path)[1])
        if _PROMPT_FILE.search(path):
            found.append(path)
        elif signs:
            read += 1
            if read <= _MOST_READ and signs.search(_small(os.path.join(root, path))):
                found.append(path)
    return Seen(found, read <= _MOST_READ)


def _small(full: str) -> bytes:
    """Return the content of a regular file that is not large, else nothing."""
    try:
        state = os.lstat(full)
        if not stat.S_ISREG(state.st_mode) or state.st_size > _LARGEST_SOURCE:
            return b""
        with open(full, "rb") as file:
            return file.read()
    except OSError:
        return b""
