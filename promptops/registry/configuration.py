"""A configuration: prompt, model and parameters as one thing with one digest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import InputError, UsageError
from promptops.registry import canonical, schemas, template, templates

if TYPE_CHECKING:
    from collections.abc import Mapping

    from promptops.registry.prompt import Model, Prompt


class Configuration(NamedTuple):
    """What is released: a prompt with its includes, its model and its parameters.

    Attributes:
        includes: text of every included file, by the name used in templates (relative to ``prompts/``).
        digest: ``sha256:<hex>`` over everything that can change a request, and nothing else.
    """

    prompt: Prompt
    model: Model
    includes: dict[str, str]
    digest: str

    @property
    def model_identity(self) -> dict[str, Any]:
        """The model's behaviour fields."""
        return self.model.identity

    def parameters(self) -> dict[str, Any]:
        """Return the decoding parameters as sent: the model's defaults, overridden by the prompt."""
        return {**self.model.defaults, **self.prompt.parameters}

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of ``chat.completions.create`` besides the messages."""
        made: dict[str, Any] = {"model": self.model.id, **self.parameters()}
        if self.prompt.tools:
            made["tools"] = self.prompt.tools
        if self.prompt.output is not None:
            made["response_format"] = _response_format(self.prompt.output)
        return made

    def render(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of ``chat.completions.create`` for one set of variables.

        Args:
            variables: JSON values by variable name; optional variables take their default.

        Raises:
            UsageError: a variable is missing, unknown or does not fit its schema.
            InputError: the template fails on these values, or a variable's schema is not valid.
        """
        values = {name: template.neutral(value) for name, value in self._complete(variables).items()}
        messages = [
            {**message, "content": self._content(index, message["content"], values)}
            for index, message in enumerate(self.prompt.messages)
        ]
        return {**self.arguments(), "messages": messages}

    def _content(self, index: int, text: str, values: Mapping[str, Any]) -> str:
        try:
            return template.render(text, values, self.includes)
        except (InputError, UsageError) as error:
            raise templates.placed(error, self.prompt, index) from error

    def _complete(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        declared = self.prompt.variables
        for name in variables:
            if name not in declared:
                known = ", ".join(declared) or "none"
                raise UsageError(f"{self.prompt.name} has no variable {name}", hint=f"declared: {known}")
        values = {name: schema["default"] for name, schema in declared.items() if "default" in schema}
        values.update(variables)
        for name, schema in declared.items():
            if name not in values:
                raise UsageError(f"{self.prompt.name} needs the variable {name}", hint=f"--var {name}=...")
            reason = self._misfit(name, schema, values[name])
            if reason:
                raise UsageError(f"variable {name}: {reason}", hint=f"its schema is in {self.prompt.path}")
        return values

    def _misfit(self, name: str, schema: dict[str, Any], value: Any) -> str | None:
        try:
            return schemas.misfit(schema, value)
        except InputError as error:
            line, column = self.prompt.document.where(("variables", name))
            message = f"variable {name}: {error.message}"
            raise InputError(message, hint=error.hint, path=self.prompt.path, line=line, column=column) from error


def _response_format(output: dict[str, Any]) -> dict[str, Any]:
    if output["type"] != "json_schema":
        return {"type": output["type"]}
    described = {"name": output.get("name", "output"), "schema": output["schema"], "strict": output.get("strict", True)}
    return {"type": "json_schema", "json_schema": described}


def build(prompt: Prompt, model: Model, includes: dict[str, str]) -> Configuration:
    """Return the configuration of a prompt with its model and the text of its includes."""
    return Configuration(prompt, model, includes, digest(prompt, model, includes))


def _written(value: Any) -> str:
    """Return JSON text that keeps the order of keys and the spelling of numbers, which RFC 8785 does not."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def digest(prompt: Prompt, model: Model, includes: Mapping[str, str]) -> str:
    """Return ``sha256:<hex>`` of the RFC 8785 form of all that can change a rendered request.

    Inside: messages as written, included files by name and text, variables, output, tools, context, parameters, and
    the model's provider, id, weights and parameter defaults. Outside: version, description, owners, evals, metadata,
    prices, endpoints, comments and layout.

    A template can print a variable's default, and a model reads the schemas of the output and of tools in their order:
    these count as they are written, 1 and 1.0 apart.
    """
    variables = {
        name: schema | {"default": _written(schema["default"])} if "default" in schema else schema
        for name, schema in prompt.variables.items()
    }
    return canonical.sha256(
        {
            "type": "promptops/configuration/1",
            "messages": prompt.messages,
            "includes": dict(includes),
            "variables": variables,
            "output": prompt.output and _written(_response_format(prompt.output)),
            "tools": _written(prompt.tools),
            "context": prompt.context,
            "parameters": prompt.parameters,
            "model": model.identity,
        }
    )
