"""``promptops schema``."""

from __future__ import annotations

import click

from promptops.registry import data, schemas


@click.command(epilog="\b\nExample:\n  promptops schema prompt > prompt.schema.json")
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """Print a JSON Schema, or the names of all of them.

    An editor with a YAML language server checks a file as you type when its first line is
    `# yaml-language-server: $schema=PATH` with the path of a schema printed by this command.
    """
    if name is None:
        click.echo("\n".join(schemas.names()))
        return
    schemas.schema(name)
    click.echo(data.read("schemas", name + schemas.SUFFIX).decode(), nl=False)
