"""``promptops rollback``."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from promptops.cli.deciding import check_environment, env_option, open_desk, report, signing_options
from promptops.cli.opening import json_option
from promptops.repo.git import Git


@click.command(
    epilog='\b\nExamples:\n  promptops rollback support/reply --env prod --reason "flatters" --push\n'
    '  promptops rollback support/reply --env prod --to 1.2.0 --reason "complaints"'
)
@click.argument("prompt")
@env_option
@click.option(
    "--to", "version", metavar="VERSION", help="Earlier release to serve; default: the one that served before."
)
@signing_options
@json_option
def command(prompt: str, environment: str, version: str | None, reason: str, *, as_json: bool, **options: Any) -> None:
    """Point an environment at an earlier release: one signature, no canary, at once.

    Where a rollout runs it ends, and the release that it brings is left, whatever its controller decides meanwhile.
    Final: the release that is left never serves there again under its version. The tree follows by an ordinary change.
    Refused (1) unless the release is earlier and stands: neither withdrawn nor left by a rollback. Where ENV serves
    nothing in this clone there is nothing to judge by (3).
    """
    from promptops.release import serving

    tell = partial(report, as_json=as_json)
    with Git() as git:
        check_environment(git, environment)
        target = version.removeprefix("v") if version else None
        place = open_desk(git, options)
        if serving.is_ramping(git, environment, prompt):
            from promptops.rollout import controller

            controller.roll_back(place, prompt, environment, version=target, reason=reason, tell=tell)
            return
        serving.rollback(place, prompt, environment, version=target, reason=reason, tell=tell)
