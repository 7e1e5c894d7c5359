"""Looking again and again at what is live, for the commands that keep a file up to date."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Never

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from promptops.errors import PromptopsError

interval_option: Callable[[Any], Any] = click.option(
    "--interval", type=click.FloatRange(0.1, 86_400), default=5.0, show_default=True, help="Seconds between."
)


def check_interval(interval: float) -> None:
    """Refuse what is no number of seconds.

    Raises:
        UsageError: it is nan, which no range contains or leaves out.
    """
    from promptops.errors import UsageError

    if interval != interval:  # noqa: PLR0124  only nan differs from itself
        raise UsageError("an interval is a number of seconds", hint="--interval 5")


def look(once: Callable[[list[PromptopsError]], None]) -> list[PromptopsError]:
    """Call ``once``, which adds what failed to the list that it is given, and return that and what it raised."""
    from promptops.cli.guard import explained
    from promptops.errors import PromptopsError

    failures: list[PromptopsError] = []
    try:
        once(failures)
    except PromptopsError as error:
        failures.append(error)
    except OSError as error:
        failures.append(explained(error))
    return failures


def told(failures: list[PromptopsError]) -> int:
    """Show what failed, and return the exit code."""
    from promptops.cli.guard import show

    for failure in failures:
        show(failure)
    return max((failure.exit_code for failure in failures), default=0)


def watch(once: Callable[[list[PromptopsError]], None], interval: float) -> Never:
    """Look again and again; what goes on failing is said once."""
    said: set[str] = set()
    while True:
        failures = {str(failure): failure for failure in look(once)}
        told([failures[text] for text in failures.keys() - said])
        if said and not failures:
            click.echo("all is well again", err=True)
        said = set(failures)
        time.sleep(interval)
