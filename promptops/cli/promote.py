"""``promptops promote``."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from promptops.cli.deciding import env_option, open_desk, release_of, report, signing_options
from promptops.cli.opening import json_option
from promptops.repo.git import Git


@click.command(
    epilog='\b\nExamples:\n  promptops promote support/reply --env staging --reason "try it inside"\n'
    '  promptops promote support/reply@1.3.0 --env prod --reason "first release"'
)
@click.argument("release", metavar="PROMPT[@VERSION]")
@env_option
@signing_options
@json_option
def command(release: str, environment: str, reason: str, *, as_json: bool, **options: Any) -> None:
    """Make a release live for everybody in an environment, in one step.

    Without a version: the newest release that was not withdrawn. Needs the role release, or override where
    promptops.yaml plans stages for the environment.
    """
    from promptops.release import serving

    prompt, version = release_of(release)
    tell = partial(report, as_json=as_json)
    with Git() as git:
        serving.promote(open_desk(git, options), prompt, environment, version=version, reason=reason, tell=tell)
