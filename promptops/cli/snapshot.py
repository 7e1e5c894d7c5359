"""``promptops snapshot``."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import click

from promptops.cli import watching
from promptops.cli.deciding import check_environment, env_option
from promptops.repo.git import Git

if TYPE_CHECKING:
    from promptops.errors import PromptopsError

# Applications take the age of the file for the age of what it says, so a watch writes what has not changed, too.
_REFRESH_SECONDS = 30


class _Wish(NamedTuple):
    """What the options ask for; ``key`` is None for no signature."""

    environment: str
    output: str
    root: str | None
    remote: str | None
    key: str | None


@click.command(
    epilog="\b\nExamples:\n  promptops snapshot --env prod -o /srv/app/promptops-snapshot.json --watch\n"
    "  promptops snapshot --env prod -o snapshot.json --watch --remote origin --sign --key watch_key"
)
@env_option
@click.option("-o", "--output", metavar="FILE", default="-", help="Where to write; default: standard output.")
@click.option("--root", metavar="DIGEST", help="Digest that the policy's first version must have.")
@click.option("--remote", metavar="NAME", help="Fetch what is live from this remote, or URL, at every look.")
@click.option("--sign", is_flag=True, help="Put an SSH signature into the file.")
@click.option("--key", metavar="FILE", help="SSH key for --sign; default: PROMPTOPS_SIGNING_KEY, else git's.")
@click.option("--watch", is_flag=True, help="Go on, and write again when anything changes.")
@watching.interval_option
def command(
    environment: str, output: str, root: str | None, remote: str | None, key: str | None, *, sign: bool, watch: bool,
    interval: float,
) -> int:  # fmt: skip
    """Write what an environment serves into one JSON file, which applications read with promptops.load.

    Every decision and release in it is verified first. A file is replaced by an atomic rename. A prompt that does not
    verify, or whose live ref was turned back, keeps what the file holds of it, and stops no other; the file then keeps
    its time of creation, as it does while a remote does not answer. With --watch the file is renewed at least once a
    minute (or at every look), and a failure is reported once and what was written stays.
    """
    from promptops.errors import UsageError
    from promptops.trust import sshsig

    watching.check_interval(interval)
    if key and not sign:
        raise UsageError("--key is for --sign", hint="add --sign")
    with Git() as git:
        wish = _Wish(environment, output, root, remote, sshsig.signing_key(git, key) if sign else None)
    if watch:
        watching.watch(partial(_once, wish, _REFRESH_SECONDS), interval)
    return watching.told(watching.look(partial(_once, wish, 0)))


def _once(wish: _Wish, age: int, failures: list[PromptopsError]) -> None:
    """Look once, write what is to be written, and add why some prompts were left as they were."""
    from promptops.errors import PromptopsError
    from promptops.release import following, snapshot
    from promptops.runtime.document import serialize
    from promptops.text import counted

    with Git(strict=True) as git:
        check_environment(git, wish.environment)
        if wish.remote is not None:
            try:
                following.fetch(git, wish.remote, wish.environment)
            except PromptopsError as error:
                failures.append(error)
        confirmed = not failures
        state = snapshot.build(git, wish.environment, root=wish.root)
    if wish.output == "-":
        failures += state.failed.values()
        if not failures:
            made = serialize(wish.environment, int(time.time()), state.prompts, sign=snapshot.signing(wish.key))
            click.echo(made.decode(), nl=False)
        return
    written = snapshot.update(wish.output, wish.environment, state, age=age, confirmed=confirmed, key=wish.key)
    if written.prompts:
        click.echo(f"wrote {counted(len(written.prompts), 'prompt')} of {wish.environment} to {wish.output}", err=True)
    failures += written.failed.values()
