"""``promptops export``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from promptops.cli import watching
from promptops.cli.deciding import check_environment, env_option
from promptops.repo.git import Git

if TYPE_CHECKING:
    from promptops.errors import PromptopsError


@click.group(no_args_is_help=True)
def command() -> None:
    """Write what an environment serves for programs that others wrote."""


@command.command(epilog="\b\nExample:\n  promptops export flagd --env prod -o /srv/flagd/prompts.flagd.json --watch")
@env_option
@click.option("-o", "--output", metavar="FILE", required=True, help="Where to write.")
@click.option("--root", metavar="DIGEST", help="Digest that the policy's first version must have.")
@click.option("--remote", metavar="NAME", help="Fetch what is live from this remote, or URL, at every look.")
@click.option("--watch", is_flag=True, help="Go on, and write again when anything changes.")
@watching.interval_option
def flagd(environment: str, output: str, root: str | None, remote: str | None, *, watch: bool, interval: float) -> int:
    """Write flags of flagd, one for each prompt, whose variants are the arms of its rollout.

    Arms are chosen by the slot that the context carries as promptops.slot, never by flagd's own hash; a request without
    one gets the stable arm. Every decision and release is verified first; a prompt that does not verify keeps its flag
    in the file. The file is replaced by an atomic rename, and left alone while it says the same.
    """
    watching.check_interval(interval)
    once = partial(_once, environment, output, root, remote)
    if watch:
        watching.watch(once, interval)
    return watching.told(watching.look(once))


def _once(environment: str, output: str, root: str | None, remote: str | None, failures: list[PromptopsError]) -> None:
    from promptops.adapters import flagd as adapter
    from promptops.errors import PromptopsError
    from promptops.release import following, snapshot
    from promptops.text import counted

    with Git(strict=True) as git:
        check_environment(git, environment)
        if remote is not None:
            try:
                following.fetch(git, remote, environment)
            except PromptopsError as error:
                failures.append(error)
        state = snapshot.build(git, environment, root=root)
    failures += state.failed.values()
    if adapter.write(output, environment, state.prompts):
        click.echo(f"wrote {counted(len(state.prompts), 'prompt')} of {environment} to {output}", err=True)
