"""``promptops digest``."""

from __future__ import annotations

import click

from promptops.cli.opening import at_option, echo_json, json_option, open_registry
from promptops.repo.git import Git


@click.command(epilog="\b\nExample:\n  promptops digest support/reply --at main")
@click.argument("prompts", nargs=-1)
@at_option
@json_option
def command(prompts: tuple[str, ...], revision: str | None, as_json: bool) -> None:
    """Print the digest of configurations, one per line, all of them without PROMPTS.

    The digest covers all that can change a request: messages, includes, variables, output, tools, context, parameters
    and the model's identity. Version, description, owners, evals, metadata, prices, endpoints and comments are outside.
    """
    with Git() as git:
        registry = open_registry(git, revision)
        digests = {name: registry.configuration(name).digest for name in prompts or registry.names()}
    if as_json:
        echo_json(digests)
        return
    for name, digest in digests.items():
        click.echo(f"{digest}  {name}")
