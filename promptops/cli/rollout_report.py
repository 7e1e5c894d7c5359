"""``promptops rollout report``."""

from __future__ import annotations

import os
import time

import click

from promptops import atomic
from promptops.cli.deciding import env_option
from promptops.errors import UsageError
from promptops.repo.git import Git


@click.command(
    name="report", epilog="\b\nExample:\n  promptops rollout report support/reply --env prod -o rollout.html"
)
@click.argument("prompt")
@env_option
@click.option("--rollout", metavar="ID", help="Which rollout; default: the newest.")
@click.option("-o", "--output", metavar="FILE", required=True, help="Where the page goes; - is standard output.")
@click.option(
    "--runs", type=click.IntRange(1, 100_000), default=200, show_default=True, help="Simulated runs of the forecast."
)
def command(prompt: str, environment: str, rollout: str | None, output: str, runs: int) -> None:
    """Write the rollout of PROMPT as one HTML page that loads nothing.

    Weights over time, the confidence sequence of every metric, the decisions with their reasons and evidence, and what
    the plan was expected to do beside what it did. Shows what the decisions say and verifies nothing.
    """
    from promptops.rollout import report, story

    if output != "-" and (os.path.isdir(output) or not os.path.isdir(os.path.dirname(os.path.abspath(output)))):
        raise UsageError(f"{output} is no place for a file", hint="name a file in a folder that exists")
    with Git() as git:
        found = story.read(git, prompt, environment, rollout)
    page = report.render(found, runs=runs, now=int(time.time()))
    if output == "-":
        click.echo(page.encode("utf-8", "replace"), nl=False)
        return
    atomic.write(output, page.encode("utf-8", "replace"))
    click.echo(f"wrote {output}", err=True)
