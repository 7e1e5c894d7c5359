"""``promptops attest``."""

from __future__ import annotations

from typing import Any

import click

from promptops.cli.deciding import open_desk, signing_options
from promptops.cli.opening import echo_json, json_option
from promptops.repo.git import Git


@click.command(epilog='\b\nExample:\n  promptops attest support/reply@1.3.0 --reason "laptop stolen, key revoked"')
@click.argument("tag")
@signing_options
@json_option
def command(tag: str, reason: str, *, as_json: bool, **options: Any) -> None:
    """Sign a release again after a key behind it was revoked.

    Look at it first: git show TAG, promptops verify TAG -v. One attestation by a releaser stands in for a revoked
    releaser's key; for revoked reviewers it takes as many people as the policy wants behind content.
    """
    from promptops.release import serving, stored

    with Git() as git:
        name = serving.attest(open_desk(git, options), stored.short_name(tag), reason)
    if as_json:
        echo_json({"attestation": name})
    else:
        click.echo(f"attested: {name}")
