"""``promptops doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from promptops.cli.opening import echo_json, json_option
from promptops.doctor import examine
from promptops.repo.git import Git
from promptops.text import printable

if TYPE_CHECKING:
    from promptops.probe import Probe

_COLOURS = {"ok": "green", "mended": "green", "warn": "yellow", "missing": "red", "broken": "red"}


@click.command()
@click.option("--repair", is_flag=True, help="Finish or remove what a run that was cut short left behind.")
@json_option
def command(*, repair: bool, as_json: bool) -> int:
    """Say what is missing or too old on this machine or was left by a killed run, and the command that mends it.

    With --repair, refs that a release had promised are settled with the remote, a torn end of a journal is cut off,
    and our temporary files and git's locks are removed: a lock only if it is older than a minute and no git runs here.

    Exits 1 when something is missing or broken, and 3 when git cannot be run; a warning alone is exit 0.
    """
    with Git() as git:
        probes = examine(git, repair=repair)
    if as_json:
        echo_json([probe._asdict() for probe in probes])
    else:
        _report(probes)
    return int(any(probe.state in {"missing", "broken"} for probe in probes))


def _report(probes: list[Probe]) -> None:
    for probe in probes:
        state = click.style(f"{probe.state:<7}", fg=_COLOURS[probe.state])
        click.echo(f"{state} {probe.name:<13} {printable(probe.detail)}")
        if probe.mend:
            click.echo(f"        mend: {printable(probe.mend)}")
