"""``promptops snapshot``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from promptops.cli.deciding import check_environment, env_option
from promptops.repo.git import Git

if TYPE_CHECKING:
    from promptops.errors import PromptopsError

# Applications take the age of the file for the age of what it says, so a watch writes what has not changed, too.
_REFRESH_SECONDS = 30


@click.command(epilog="\b\nExample:\n  promptops snapshot --env prod -o /srv/app/promptops-snapshot.json --watch")
@env_option
@click.option("-o", "--output", metavar="FILE", default="-", help="Where to write; default: standard output.")
@click.option("--root", metavar="DIGEST", help="Digest that the policy's first version must have.")
@click.option("--watch", is_flag=True, help="Go on, and write again when anything changes.")
@click.option("--interval", type=click.FloatRange(0.1, 86_400), default=5.0, show_default=True, help="Seconds between.")
def command(environment: str, output: str, root: str | None, *, watch: bool, interval: float) -> int:
    """Write what an environment serves into one JSON file, which applications read with promptops.load.

    Every decision and release in it is verified first. A file is replaced by an atomic rename. A prompt that does not
    verify, or whose live ref was turned back, keeps what the file holds of it, and stops no other; the file then keeps
    its time of creation. With --watch the file is renewed at least once a minute (or at every look), and a failure is
    reported and what was written stays.
    """
    from promptops.cli.guard import explained, show
    from promptops.errors import PromptopsError, UsageError

    if interval != interval:  # noqa: PLR0124  only nan, which no range contains or leaves out
        raise UsageError("an interval is a number of seconds", hint="--interval 5")
    while True:
        try:
            failures = _once(environment, output, root, _REFRESH_SECONDS if watch else 0)
        except PromptopsError as error:
            failures = [error]
        except OSError as error:
            failures = [explained(error)]
        for failure in failures:
            show(failure)
        if not watch:
            return max((failure.exit_code for failure in failures), default=0)
        time.sleep(interval)


def _once(environment: str, output: str, root: str | None, age: int) -> list[PromptopsError]:
    """Look once, write what is to be written, and return why some prompts were left as they were."""
    from promptops.release import snapshot
    from promptops.runtime.snapshot import serialize
    from promptops.text import counted

    with Git(strict=True) as git:
        check_environment(git, environment)
        state = snapshot.build(git, environment, root=root)
    if output == "-":
        if not state.failed:
            click.echo(serialize(environment, int(time.time()), state.prompts).decode(), nl=False)
        return list(state.failed.values())
    written = snapshot.update(output, environment, state, age=age)
    if written.prompts:
        click.echo(f"wrote {counted(len(written.prompts), 'prompt')} of {environment} to {output}", err=True)
    return list(written.failed.values())
