"""``promptops export``."""

from __future__ import annotations

import click

from promptops.cli.deciding import check_environment, env_option
from promptops.repo.git import Git


@click.group(no_args_is_help=True)
def command() -> None:
    """Write what an environment serves for programs that others wrote."""


@command.command(epilog="\b\nExample:\n  promptops export flagd --env prod -o /srv/flagd/prompts.flagd.json")
@env_option
@click.option("-o", "--output", metavar="FILE", required=True, help="Where to write.")
@click.option("--root", metavar="DIGEST", help="Digest that the policy's first version must have.")
def flagd(environment: str, output: str, root: str | None) -> int:
    """Write flags of flagd, one for each prompt, whose variants are the arms of its rollout.

    Arms are chosen by the slot that the context carries as promptops.slot, never by flagd's own hash; a request without
    one gets the stable arm. Every decision and release is verified first; a prompt that does not verify keeps its flag
    in the file. The file is replaced by an atomic rename.
    """
    from promptops.adapters import flagd as adapter
    from promptops.cli.guard import show
    from promptops.release import snapshot
    from promptops.text import counted

    with Git(strict=True) as git:
        check_environment(git, environment)
        state = snapshot.build(git, environment, root=root)
    adapter.write(output, environment, state.prompts)
    for failure in state.failed.values():
        show(failure)
    click.echo(f"wrote {counted(len(state.prompts), 'prompt')} of {environment} to {output}", err=True)
    return max((failure.exit_code for failure in state.failed.values()), default=0)
