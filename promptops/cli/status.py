"""``promptops status``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from promptops.cli.opening import echo_json, json_option
from promptops.repo.git import Git
from promptops.text import printable

if TYPE_CHECKING:
    from promptops.release.status import Standing

_COLOURS = {"released": "green", "unreleased": "yellow"}


@click.command(epilog="\b\nExample:\n  promptops status")
@click.option("--at", "revision", metavar="REV", default="HEAD", help="Commit to look at; default: HEAD.")
@click.option("-a", "--all", "everything", is_flag=True, help="List released prompts that need nothing, too.")
@json_option
def command(revision: str, *, everything: bool, as_json: bool) -> None:
    """Show what is unreleased, unapproved and live, and the next command to type."""
    from promptops.release import status

    with Git() as git:
        found = status.standings(git, revision)
    if as_json:
        echo_json([asdict(one) for one in found])
        return
    shown = [one for one in found if everything or one.next or one.live]
    for one in shown:
        _line(one)
    if len(shown) < len(found) or not found:
        click.echo(f"{len(found) - len(shown)} more need nothing; --all lists them", err=True)


def _line(one: Standing) -> None:
    serving = ", ".join(f"{environment}: {version}" for environment, version in sorted(one.live.items()))
    state = click.style(one.state, fg=_COLOURS.get(one.state, "red"))
    if one.approved is not None:
        state += ", approved" if one.approved else ", not approved"
    live = f"  live in {printable(serving)}" if serving else ""
    ramps = ", ".join(f"{environment}: {text}" for environment, text in sorted(one.rolling.items()))
    live += f"  rolling out {printable(ramps)}" if ramps else ""
    click.echo(f"{one.name} {one.version or ''}  {state}{live}")
    for reason in one.missing:
        click.echo(f"  {printable(reason)}")
    if one.next:
        click.echo(f"  next: {printable(one.next)}")
