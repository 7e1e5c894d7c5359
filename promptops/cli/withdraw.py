"""``promptops withdraw``."""

from __future__ import annotations

from typing import Any

import click

from promptops.cli.deciding import open_desk, signing_options
from promptops.cli.opening import echo_json, json_option
from promptops.repo.git import Git


@click.command(epilog='\b\nExample:\n  promptops withdraw support/reply@1.3.0 --reason "flatters" --push')
@click.argument("tag")
@signing_options
@json_option
def command(tag: str, reason: str, *, as_json: bool, **options: Any) -> None:
    """Take a release back for good: verify, promote, rollback and snapshot refuse it from then on.

    Recorded as the signed tag TAG!, which GTO reads as a deregistration. What is live stays live until rollback.
    """
    from promptops.release import serving, stored

    with Git() as git:
        name = serving.withdraw(open_desk(git, options), stored.short_name(tag), reason)
    if as_json:
        echo_json({"withdrawn": name.removesuffix("!"), "tag": name})
    else:
        click.echo(f"withdrawn: {name}")
