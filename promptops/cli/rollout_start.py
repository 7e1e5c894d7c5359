"""``promptops rollout start``."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from promptops.cli.deciding import env_option, open_desk, signing_options
from promptops.cli.opening import echo_json, json_option
from promptops.cli.rolling import dry_option, report
from promptops.repo.git import Git


@click.command(
    name="start",
    epilog='\b\nExample:\n  promptops rollout start support/reply --env prod --reason "shorter answers" --push',
)
@click.argument("prompt")
@env_option
@click.option("--version", metavar="VERSION", help="Release to roll out; default: the newest that stands.")
@click.option("--supersedes", metavar="ID", help="Running rollout that this one replaces.")
@dry_option
@signing_options
@json_option
def command(
    prompt: str,
    environment: str,
    version: str | None,
    supersedes: str | None,
    reason: str,
    *,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Begin to bring a release to users, with the first stage of its plan.

    The plan is rollouts/PROMPT.yaml of the protected branch, frozen from now on. One rollout of a prompt runs in an
    environment; another names what it replaces and starts over. Needs the role release.
    """
    from promptops.rollout import decisions

    with Git() as git:
        place = open_desk(git, options)
        wish = decisions.Start(version.removeprefix("v") if version else None, supersedes, reason)
        tell = partial(report, place, as_json=as_json)
        decisions.start(place, prompt, environment, wish, tell=tell, dry_run=dry_run)
        if dry_run and as_json:
            echo_json({"prompt": prompt, "environment": environment, "decision": None})
        elif dry_run:
            click.echo("it could start")
