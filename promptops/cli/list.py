"""``promptops list``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from promptops.cli.opening import at_option, echo_json, json_option, open_registry
from promptops.errors import InputError
from promptops.repo import tags
from promptops.repo.git import Git
from promptops.text import printable

if TYPE_CHECKING:
    from promptops.registry.registry import Registry


@click.command(epilog="\b\nExample:\n  promptops list --at main --json")
@at_option
@json_option
def command(revision: str | None, as_json: bool) -> int:
    """List prompts with version, digest and release state."""
    with Git() as git:
        registry = open_registry(git, revision)
        released = {(tag.name, tag.version.text) for tag in tags.releases(git)}
        rows = [_row(registry, name, released) for name in registry.names()]
    if as_json:
        echo_json(rows)
    else:
        _report(rows)
    return int(any("error" in row for row in rows))


def _row(registry: Registry, name: str, released: set[tuple[str, str]]) -> dict[str, Any]:
    try:
        configuration = registry.configuration(name)
    except InputError as error:
        return {"name": name, "error": error.message, "path": error.path, "line": error.line}
    prompt = configuration.prompt
    return {
        "name": name,
        "version": prompt.version,
        "digest": configuration.digest,
        "model": prompt.model,
        "released": (name, prompt.version) in released,
        "path": prompt.path,
    }


def _report(rows: list[dict[str, Any]]) -> None:
    if not rows:
        click.echo("no prompts yet; promptops new prompt NAME", err=True)
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        if "error" in row:
            place = f"{row['path']}:{row['line']}" if row["line"] else row["path"] or ""
            click.echo(f"{row['name']:<{width}}  cannot be read")
            click.echo(f"{printable(place)}: {printable(row['error'])}", err=True)
            continue
        state = "released" if row["released"] else "unreleased"
        click.echo(f"{row['name']:<{width}}  {row['version']:<10} {row['digest'][7:19]}  {state:<10}  {row['model']}")
