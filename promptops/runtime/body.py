"""One release as a snapshot holds it: what it is called, and how it becomes a request."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from promptops.errors import InputError, UsageError
from promptops.registry import template
from promptops.runtime.document import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

_MARK = 16


class Body:
    """One release of one prompt.

    Args:
        name: the prompt.
        entry: an entry of a snapshot, or one of its arms.

    Attributes:
        version: its version.
        tag: its release tag.
        digest: ``sha256:<hex>`` of the configuration.
        mark: short for the digest, to tell one release of a prompt from the others.
    """

    __slots__ = ("_arguments", "_defaults", "_includes", "_messages", "_variables", "digest", "mark", "name", "tag",
                 "version")  # fmt: skip

    def __init__(self, name: str, entry: Mapping[str, Any]) -> None:
        self.name = name
        self.version: str = entry["version"]
        self.tag: str = entry["tag"]
        self.digest: str = entry["digest"]
        self.mark = hashlib.sha256(self.digest.encode()).hexdigest()[:_MARK]
        self._messages: list[dict[str, Any]] = entry["messages"]
        self._includes: dict[str, str] = entry["includes"]
        self._variables: dict[str, dict[str, Any]] = entry["variables"]
        self._arguments: dict[str, Any] = entry["arguments"]
        self._defaults = {key: schema["default"] for key, schema in self._variables.items() if "default" in schema}

    def render(self, variables: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of ``chat.completions.create``; see `promptops.runtime.resolved.Resolved.render`."""
        values = {key: template.neutral(value) for key, value in self._complete(variables).items()}
        messages = []
        for index, message in enumerate(self._messages):
            try:
                content = template.render(message["content"], values, self._includes)
            except (InputError, UsageError) as error:
                place = f"{self.name}, message {index + 1}, line {error.line or 1}"
                raise type(error)(f"{place}: {error.message}", hint=error.hint, path=error.path) from error
            messages.append({**message, "content": content})
        return {**self._arguments, "messages": messages}

    def _complete(self, variables: dict[str, Any]) -> dict[str, Any]:
        declared = self._variables
        for key, value in variables.items():
            schema = declared.get(key)
            if schema is None:
                raise UsageError(
                    f"{self.name} has no variable {key}", hint=f"declared: {', '.join(declared) or 'none'}"
                )
            kinds = KINDS[schema["type"]]
            if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
                raise UsageError(f"variable {key} is {type(value).__name__}, not {schema['type']}")
            if isinstance(value, str) and len(value) > schema.get("maxLength", len(value)):
                raise UsageError(f"variable {key} has {len(value):,} characters, more than {schema['maxLength']:,}")
        values = {**self._defaults, **variables}
        if len(values) != len(declared):
            missing = next(key for key in declared if key not in values)
            raise UsageError(f"{self.name} needs the variable {missing}")
        return values
