"""``promptops snapshot``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from promptops.cli.deciding import check_environment, env_option
from promptops.repo.git import Git

if TYPE_CHECKING:
    from promptops.errors import PromptopsError


@click.command(epilog="\b\nExample:\n  promptops snapshot --env prod -o /srv/app/promptops-snapshot.json --watch")
@env_option
@click.option("-o", "--output", metavar="FILE", default="-", help="Where to write; default: standard output.")
@click.option("--root", metavar="DIGEST", help="Digest that the policy's first version must have.")
@click.option("--watch", is_flag=True, help="Go on, and write again when anything changes.")
@click.option("--interval", type=click.FloatRange(0.1), default=5.0, show_default=True, help="Seconds between looks.")
def command(environment: str, output: str, root: str | None, *, watch: bool, interval: float) -> None:
    """Write what an environment serves into one JSON file, which applications read with promptops.load.

    Every decision and release in it is verified first. A file is replaced by an atomic rename, and never by an
    earlier state. With --watch a failure is reported and what was written stays.
    """
    from promptops.errors import PromptopsError

    before: dict[str, Any] = {}
    while True:
        try:
            before = _once(environment, output, root, before)
        except PromptopsError as error:
            if not watch:
                raise
            _complain(error)
        if not watch:
            return
        time.sleep(interval)


def _once(environment: str, output: str, root: str | None, before: dict[str, Any]) -> dict[str, Any]:
    from promptops.release import snapshot
    from promptops.runtime.snapshot import serialize
    from promptops.text import counted

    with Git(strict=True) as git:
        check_environment(git, environment)
        prompts = snapshot.build(git, environment, root=root)
    if output == "-":
        click.echo(serialize(environment, int(time.time()), prompts).decode(), nl=False)
    elif prompts != before:
        snapshot.write(output, environment, prompts)
        click.echo(f"wrote {counted(len(prompts), 'prompt')} of {environment} to {output}", err=True)
    return prompts


def _complain(error: PromptopsError) -> None:
    from promptops.cli.guard import show

    show(error)
