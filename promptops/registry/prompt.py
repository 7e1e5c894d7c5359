"""Prompts and models as read from their files."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from promptops.errors import InputError
from promptops.registry import schemas, yaml

PROMPTS = "prompts/"
MODELS = "models/"
EVALS = "evals/"
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*(?:/[a-z0-9]+(?:-[a-z0-9]+)*)*")


class Prompt(NamedTuple):
    """One prompt file.

    Attributes:
        name: path below ``prompts/`` without suffix.
        version: the declared semantic version, as text.
        model: name of the model file.
        parameters: decoding parameters by OpenAI request name.
        variables: JSON Schema per variable; a variable with a ``default`` is optional.
        messages: ``{role, content}`` with content as a template.
        output: response format, or None.
        tools: tool definitions in OpenAI's form.
        context: ``{name, digest}`` of behaviour that lives elsewhere.
        evals: names of evaluation suites.
    """

    name: str
    document: yaml.Document
    version: str
    description: str
    owners: tuple[str, ...]
    model: str
    parameters: dict[str, Any]
    variables: dict[str, Any]
    messages: list[dict[str, Any]]
    output: dict[str, Any] | None
    tools: list[Any]
    context: list[dict[str, str]]
    evals: tuple[str, ...]

    @property
    def path(self) -> str:
        """Path of the prompt file relative to the repository."""
        return self.document.path


class Model(NamedTuple):
    """One model file.

    Attributes:
        name: file name without suffix.
        reported_ids: model ids that replies may carry.
        parameters: bounds and ``default`` per decoding parameter.
        unsupported: parameters that this model does not accept.
        settings: the whole file, for the endpoint, price, limits and retirement date.
    """

    name: str
    document: yaml.Document
    provider: str
    id: str
    reported_ids: tuple[str, ...]
    pinned: bool
    weights: dict[str, str] | None
    parameters: dict[str, dict[str, Any]]
    unsupported: tuple[str, ...]
    settings: dict[str, Any]

    @property
    def path(self) -> str:
        """Path of the model file relative to the repository."""
        return self.document.path

    @property
    def defaults(self) -> dict[str, Any]:
        """Decoding parameters that are sent when the prompt does not set them."""
        return {name: rule["default"] for name, rule in self.parameters.items() if "default" in rule}

    @property
    def identity(self) -> dict[str, Any]:
        """The behaviour fields: immutable once released, and part of every digest."""
        return {"provider": self.provider, "id": self.id, "weights": self.weights, "defaults": self.defaults}


def is_prompt(path: str) -> bool:
    """Return whether ``path`` is where a prompt file lives."""
    return path.startswith(PROMPTS) and path.endswith(".yaml")


def is_model(path: str) -> bool:
    """Return whether ``path`` is where a model file lives."""
    return path.startswith(MODELS) and path.endswith(".yaml")


def model_path(name: str) -> str:
    """Return the path of the model ``name``."""
    return f"{MODELS}{name}.yaml"


def is_name(text: str) -> bool:
    """Return whether a prompt can have the name ``text``."""
    return _NAME.fullmatch(text) is not None


def prompt_path(name: str) -> str:
    """Return the path of the prompt ``name``.

    Raises:
        InputError: the name has other characters than ``a-z 0-9 - /``.
    """
    if not is_name(name):
        raise InputError(
            f"{name!r} is not a prompt name", hint="lower case letters, digits, - and /; the path below prompts/"
        )
    return f"{PROMPTS}{name}.yaml"


def prompt_name(path: str) -> str:
    """Return the name of the prompt at ``path``.

    Raises:
        InputError: the path is not one that a prompt can have.
    """
    name = path.removeprefix(PROMPTS).removesuffix(".yaml")
    if not is_prompt(path) or not is_name(name):
        raise InputError(
            "not a prompt name", hint="lower case letters, digits, - and / below prompts/, suffix .yaml", path=path
        )
    return name


def parse_prompt(path: str, data: bytes) -> Prompt:
    """Parse a prompt file.

    Raises:
        InputError: malformed YAML or a violation of the prompt schema, with line and column.
    """
    document = yaml.load(data, path)
    schemas.check_document("prompt", document)
    value = document.value
    return Prompt(
        name=prompt_name(path),
        document=document,
        version=value["version"],
        description=value.get("description", ""),
        owners=tuple(value.get("owners", ())),
        model=value["model"],
        parameters=value.get("parameters", {}),
        variables=value.get("variables", {}),
        messages=value["messages"],
        output=value.get("output"),
        tools=value.get("tools", []),
        context=value.get("context", []),
        evals=tuple(value.get("evals", ())),
    )


def parse_model(path: str, data: bytes) -> Model:
    """Parse a model file.

    Raises:
        InputError: malformed YAML or a violation of the model schema, with line and column.
    """
    document = yaml.load(data, path)
    schemas.check_document("model", document)
    value = document.value
    reported = value.get("reported_id", value["id"])
    parameters = dict(value.get("parameters", {}))
    unsupported = parameters.pop("unsupported", [])
    return Model(
        name=path.removeprefix(MODELS).removesuffix(".yaml"),
        document=document,
        provider=value["provider"],
        id=value["id"],
        reported_ids=tuple([reported] if isinstance(reported, str) else reported),
        pinned=value.get("pinned", False) or "weights" in value,
        weights=value.get("weights"),
        parameters=parameters,
        unsupported=tuple(unsupported),
        settings=value,
    )
