"""``promptops render``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from promptops.cli.opening import at_option, echo_json, json_option, open_registry
from promptops.cli.variables import read_variables, variable_options
from promptops.repo.git import Git
from promptops.text import printable

if TYPE_CHECKING:
    from promptops.registry.configuration import Configuration


@click.command(epilog="\b\nExample:\n  promptops render support/reply --var ticket='Where is my parcel?'")
@click.argument("prompt")
@variable_options
@at_option
@json_option
def command(prompt: str, pairs: tuple[str, ...], var_file: str | None, revision: str | None, as_json: bool) -> None:
    """Render PROMPT into the request that is sent; --json prints that request exactly."""
    with Git() as git:
        configuration = open_registry(git, revision).configuration(prompt)
    request = configuration.render(read_variables(pairs, var_file, configuration.prompt.variables))
    if as_json:
        echo_json(request)
        return
    _report(configuration, request)


def _report(configuration: Configuration, request: dict[str, Any]) -> None:
    settings = " ".join(f"{name}={value}" for name, value in configuration.parameters().items())
    click.echo(printable(f"{configuration.model.provider} {request['model']} {settings}".rstrip()), err=True)
    click.echo(configuration.digest, err=True)
    for message in request["messages"]:
        click.echo(click.style(f"[{message['role']}]", bold=True))
        click.echo(printable(message["content"], keep_newlines=True))
