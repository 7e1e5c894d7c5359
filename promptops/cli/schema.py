"""``promptops schema``."""

from __future__ import annotations

import os

import click

from promptops import atomic
from promptops.registry import data, schemas


@click.command(
    epilog="\b\nExamples:\n  promptops schema prompt > prompt.schema.json\n  promptops schema --write .schemas"
)
@click.argument("name", required=False)
@click.option(
    "--write",
    "folder",
    metavar="DIR",
    type=click.Path(file_okay=False),
    help="Write it, or all of them, there.",
)
def command(name: str | None, folder: str | None) -> None:
    """Print a JSON Schema, or the names of all of them.

    An editor with a YAML language server checks a file as you type when its first line is
    `# yaml-language-server: $schema=PATH` with the path, from that file, of a schema that --write wrote.
    """
    if name is not None:
        schemas.schema(name)
    if folder is not None:
        for path in _write(folder, schemas.names() if name is None else [name]):
            click.echo(path)
    elif name is None:
        click.echo("\n".join(schemas.names()))
    else:
        click.echo(_text(name).decode(), nl=False)


def _text(name: str) -> bytes:
    return data.read("schemas", name + schemas.SUFFIX)


def _write(folder: str, names: list[str]) -> list[str]:
    os.makedirs(folder, exist_ok=True)
    paths = [os.path.join(folder, name + schemas.SUFFIX) for name in names]
    for name, path in zip(names, paths, strict=True):
        # A link is kept, and what it leads to is written.
        atomic.write(os.path.realpath(path), _text(name), durable=False)
    return paths
