"""All governed files of one state of the repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.errors import InputError
from promptops.registry import schemas, yaml
from promptops.registry.configuration import Configuration, build
from promptops.registry.governed import PROJECT
from promptops.registry.project import Project, parse_project
from promptops.registry.prompt import (
    MODELS,
    PROMPTS,
    Model,
    Prompt,
    is_prompt,
    parse_model,
    parse_prompt,
    prompt_name,
    prompt_path,
)
from promptops.registry.templates import Templates, collect

if TYPE_CHECKING:
    from promptops.repo.source import Source


class Registry:
    """Prompts, models and settings as one source (index, commit or work tree) has them.

    Args:
        source: where files are read from; each file is read and parsed once.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self._models: dict[str, Model] = {}
        self._prompts: dict[str, Prompt] = {}
        self._files: dict[str, bytes | None] = {}
        self._project: Project | None = None

    @property
    def project(self) -> Project:
        """The project's settings; defaults where ``promptops.yaml`` is absent."""
        if self._project is None:
            self._project = parse_project(PROJECT, self.source.read(PROJECT))
        return self._project

    def names(self) -> list[str]:
        """Return the names of all prompts, sorted; files with names no prompt can have are left to `check`."""
        found = []
        for path in self.source.entries(PROMPTS):
            if is_prompt(path):
                try:
                    found.append(prompt_name(path))
                except InputError:
                    continue
        return sorted(found)

    def prompt(self, name: str) -> Prompt:
        """Return one prompt.

        Raises:
            InputError: there is no such prompt, or its file is malformed.
        """
        if name not in self._prompts:
            path = prompt_path(name)
            data = self.source.read(path)
            if data is None:
                raise InputError(
                    f"there is no prompt {name} in the {self.source.label}", hint="promptops list", path=path
                )
            self._prompts[name] = parse_prompt(path, data)
        return self._prompts[name]

    def model(self, name: str) -> Model:
        """Return one model.

        Raises:
            InputError: there is no such model file, or it is malformed.
        """
        if name not in self._models:
            path = f"{MODELS}{name}.yaml"
            data = self.source.read(path)
            if data is None:
                raise InputError(
                    f"there is no model {name} in the {self.source.label}", hint=f"create {path}", path=path
                )
            self._models[name] = parse_model(path, data)
        return self._models[name]

    def includes(self, prompt: Prompt) -> dict[str, str]:
        """Return the text of every file that the prompt's templates include, directly or not.

        Raises:
            InputError: the first problem of a template or an include, with its place.
        """
        found = self.templates(prompt)
        for part, name, error in found.problems:
            if error.path is not None:
                raise error
            line, column = part.place(name, error.line or 1)
            raise InputError(error.message, hint=error.hint, path=part.path, line=line, column=column) from error
        return found.includes

    def templates(self, prompt: Prompt) -> Templates:
        """Return the prompt's templates and everything that they include; problems are data, not errors."""
        return collect(prompt, self._file)

    def _file(self, path: str) -> bytes | None:
        if path not in self._files:
            self._files[path] = self.source.read(path)
        return self._files[path]

    def configuration(self, name: str) -> Configuration:
        """Return the configuration of one prompt.

        Raises:
            InputError: the prompt, its model or an include is missing or malformed.
        """
        prompt = self.prompt(name)
        return build(prompt, self._model_of(prompt), self.includes(prompt))

    def _model_of(self, prompt: Prompt) -> Model:
        try:
            return self.model(prompt.model)
        except InputError as error:
            if error.line is not None:
                raise
            line, column = prompt.document.where(("model",))
            raise InputError(error.message, hint=error.hint, path=prompt.path, line=line, column=column) from error

    def suite_document(self, name: str) -> yaml.Document:
        """Return the parsed file of one evaluation suite, checked against its schema.

        Raises:
            InputError: there is no such suite, or it is malformed.
        """
        path = f"evals/{name}.yaml"
        data = self.source.read(path)
        if data is None:
            raise InputError(f"there is no suite {name} in the {self.source.label}", hint=f"create {path}", path=path)
        document = yaml.load(data, path)
        schemas.check_document("suite", document)
        return document
