"""``promptops doctor``."""

from __future__ import annotations

import click

from promptops.cli.opening import echo_json, json_option
from promptops.doctor import Probe, examine
from promptops.repo.git import Git
from promptops.text import printable

_COLOURS = {"ok": "green", "warn": "yellow", "missing": "red"}


@click.command()
@json_option
def command(as_json: bool) -> int:
    """Say what is missing or too old on this machine, and the command that mends it.

    Exits 1 when something is missing, and 3 when git cannot be run; a warning alone is exit 0.
    """
    with Git() as git:
        probes = examine(git)
    if as_json:
        echo_json([probe._asdict() for probe in probes])
    else:
        _report(probes)
    return int(any(probe.state == "missing" for probe in probes))


def _report(probes: list[Probe]) -> None:
    for probe in probes:
        state = click.style(f"{probe.state:<7}", fg=_COLOURS[probe.state])
        click.echo(f"{state} {probe.name:<13} {printable(probe.detail)}")
        if probe.mend:
            click.echo(f"        mend: {printable(probe.mend)}")
