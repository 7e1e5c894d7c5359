"""``promptops log``."""

from __future__ import annotations

import time

import click

from promptops.cli.opening import echo_json, json_option, open_registry
from promptops.release import history
from promptops.repo.git import Git
from promptops.text import printable


@click.command(epilog="\b\nExamples:\n  promptops log\n  promptops log support/reply --json")
@click.argument("prompt", required=False)
@json_option
def command(prompt: str | None, as_json: bool) -> None:
    """List releases, newest first, of PROMPT or of all.

    Shows what the tags say and verifies nothing; promptops verify does. The order is that of the releasers' clocks.
    """
    with Git() as git:
        found = sorted(history.releases(git, prompt), key=lambda release: release.time, reverse=True)
        if prompt and not found:
            _check_exists(git, prompt)
    if as_json:
        echo_json([_row(release) for release in found])
        return
    if not found:
        click.echo("no releases yet; promptops release", err=True)
        return
    width = max(len(release.tag) for release in found)
    lines = []
    for release in found:
        day = time.strftime("%Y-%m-%d", time.gmtime(release.time))
        state = "  withdrawn" if release.withdrawn else ""
        lines.append(f"{printable(release.tag):<{width}}  {day}  {release.commit[:12]}{state}")
    click.echo("\n".join(lines))


def _check_exists(git: Git, prompt: str) -> None:
    registry = open_registry(git, None)
    if prompt not in registry.names():
        # Raises: there is no such prompt.
        registry.prompt(prompt)


def _row(release: history.Release) -> dict[str, object]:
    return {
        "name": release.name,
        "version": release.version.text,
        "tag": release.tag,
        "object": release.oid,
        "commit": release.commit,
        "time": release.time,
        "withdrawn": release.withdrawn,
    }
