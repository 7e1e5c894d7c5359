"""``promptops blame``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from promptops.cli.deciding import check_environment
from promptops.cli.opening import echo_json, json_option
from promptops.errors import UsageError
from promptops.release import live
from promptops.repo.git import Git
from promptops.text import printable

if TYPE_CHECKING:
    from promptops.release.live import Decision


@click.command(
    epilog="\b\nExamples:\n  promptops blame --env prod --at 2026-04-25T10:00:00Z\n"
    "  promptops blame support/reply --env prod"
)
@click.argument("prompt", required=False)
@click.option("--env", "environment", metavar="ENV", required=True, help="Environment to look at.")
@click.option("--at", "moment", metavar="TIME", help="ISO 8601 (UTC unless it says otherwise) or seconds since 1970.")
@json_option
def command(prompt: str | None, environment: str, moment: str | None, as_json: bool) -> None:
    """Show which release was live at a time, why, and since when.

    Without --at: now. Times are those that the signers of the decisions stated.
    """
    limit = None if moment is None else seconds(moment)
    with Git() as git:
        heads = live.heads(git, environment)
        if not heads:
            # What an environment served before it was given up can still be asked.
            check_environment(git, environment)
        wanted = {name: oid for name, oid in heads.items() if prompt in (None, name)}
        chains = [live.chain(git, oid, environment=environment, prompt=name) for name, oid in wanted.items()]
    found = [decision for decision in (at(chain, limit) for chain in chains) if decision]
    if as_json:
        echo_json([decision.document() for decision in found])
    else:
        _report(found, environment)


def at(chain: list[Decision], limit: int | None) -> Decision | None:
    """Return the decision in force at ``limit`` (seconds since 1970; None: now), or None before the first."""
    return next((decision for decision in chain if limit is None or decision.time <= limit), None)


def seconds(text: str) -> int:
    """Return a point in time as seconds since 1970.

    Raises:
        UsageError: neither ISO 8601 nor a number of seconds.
    """
    from datetime import UTC, datetime

    try:
        if text.isascii() and text.isdigit():
            return int(text)
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no time", hint="as 2026-04-25T10:00:00Z, or seconds since 1970") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _report(found: list[Decision], environment: str) -> None:
    if not found:
        click.echo(f"nothing was live in {printable(environment)}; decisions travel by: {live.FETCH}", err=True)
    for decision in found:
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(decision.time))
        click.echo(f"{printable(decision.tag)}  since {since}  {decision.action}  {printable(decision.reason)}")
