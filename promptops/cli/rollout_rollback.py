"""``promptops rollout rollback``."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from promptops.cli.deciding import env_option, open_desk, signing_options
from promptops.cli.opening import json_option
from promptops.cli.rolling import report
from promptops.repo.git import Git


@click.command(
    name="rollback",
    epilog='\b\nExample:\n  promptops rollout rollback support/reply --env prod --reason "flatters" --push',
)
@click.argument("prompt")
@env_option
@click.option(
    "--scope",
    type=click.Choice(["immediate", "new-conversations"]),
    help="Whether running conversations go back too; default: what the plan says.",
)
@signing_options
@json_option
def command(prompt: str, environment: str, scope: str | None, reason: str, *, as_json: bool, **options: Any) -> None:
    """Take a release back that is being rolled out: everybody gets the old one, and the new one is left for good.

    Needs the role rollback, no evidence, and no other rollout to wait for.
    """
    from promptops.rollout import controller

    with Git() as git:
        place = open_desk(git, options)
        tell = partial(report, place, as_json=as_json)
        controller.roll_back(place, prompt, environment, reason=reason, tell=tell, scope=scope)
