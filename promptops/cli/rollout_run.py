"""``promptops rollout run``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from promptops.cli.deciding import check_environment, env_option, open_desk
from promptops.cli.rolling import desk_options, events_option
from promptops.repo.git import Git

if TYPE_CHECKING:
    from promptops.release.serving import Desk


@click.command(name="run", epilog="\b\nExample:\n  promptops rollout run --env prod --interval 300 --push")
@env_option
@click.option(
    "--interval", type=click.IntRange(1, 86_400), default=300, show_default=True, help="Seconds between looks."
)
@events_option
@desk_options
def command(environment: str, interval: int, source: str | None, **options: Any) -> None:
    """Look at every rollout in ENV again and again, until it is interrupted.

    A look is what promptops rollout tick --all does; whatever one comes to is printed and the next follows. It can be
    ended at any moment: a decision is whole or not there. With --push it fetches from the remote first, so that it
    knows of new policies and releases.
    """
    from promptops.cli.guard import show
    from promptops.errors import PromptopsError

    with Git() as git:
        check_environment(git, environment)
    while True:
        try:
            _look(environment, source, options)
        except PromptopsError as error:
            show(error)
        time.sleep(interval)


def _look(environment: str, source: str | None, options: dict[str, Any]) -> None:
    from promptops.cli.guard import explained
    from promptops.cli.rollout_tick import look_at, names

    with Git() as git:
        try:
            place = _fresh_desk(git, options)
            prompts = names(place, environment)
        except OSError as error:
            raise explained(error) from error
        # An OSError of this one is standard output, which nobody reads any more: that ends it.
        look_at(place, environment, prompts, source=source, dry_run=False, as_json=False)


def _fresh_desk(git: Git, options: dict[str, Any]) -> Desk:
    place = open_desk(git, options)
    if place.remote is None:
        return place
    # What it cannot fetch now it looks at as it is: a rollback waits for no remote branch.
    git.try_run("fetch", "--quiet", "--tags", "--", place.remote)
    return open_desk(git, options)
