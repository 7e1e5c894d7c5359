"""What the commands about a rollout share: how a decision and a look are told, and who is notified."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from promptops.cli.opening import echo_json
from promptops.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from promptops.release.live import Decision
    from promptops.release.serving import Desk
    from promptops.rollout.controller import Look

events_option: Callable[[Any], Any] = click.option(
    "--events", "source", metavar="PATH|URL", help="Where events are; default: what the plan's variable says."
)
dry_option: Callable[[Any], Any] = click.option(
    "--dry-run", is_flag=True, help="Say what would be decided, and record nothing."
)
_DESK = (
    click.option("--push/--no-push", default=None, help="Push first, and record here only if that succeeds."),
    click.option("--remote", metavar="NAME", help="Where to push to."),
    click.option("--key", metavar="FILE", help="SSH key to sign with."),
)


def desk_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --push, --remote and --key to a command that needs no reason of a person."""
    for option in reversed(_DESK):
        function = option(function)
    return function


def report(
    place: Desk, decision: Decision, *, as_json: bool = False, emit: Callable[[Any], object] = echo_json
) -> None:
    """Print a decision that was recorded, as JSON through ``emit``, and notify whom the plan names."""
    from promptops.rollout import notifying

    if as_json:
        emit(decision.document())
    else:
        click.echo(sentence(decision))
    failure = notifying.send(place.git, decision)
    if failure:
        click.echo(f"warning: {printable(failure)}", err=True)


def sentence(decision: Decision) -> str:
    """Return one line about a decision of a rollout."""
    now = decision.step
    who = f"{now.canary.tag} in {decision.environment}"
    return printable(
        f"{decision.action} {who}: rollout {now.id} is {now.state}, stage {now.stage + 1} ({now.share}),"
        f" decision {decision.sequence}; {decision.reason}"
    )


def undecided(look: Look) -> dict[str, Any]:
    """Return what JSON says of a look that recorded nothing."""
    return {
        "rollout": look.before.step.id,
        "decision": None,
        "verdict": look.verdict.document(),
        "failure": look.failure.message if look.failure else None,
    }


def told(look: Look, *, as_json: bool = False, emit: Callable[[Any], object] = echo_json) -> int:
    """Print a look that recorded nothing, and return its exit code; a recorded decision was printed when it was made.

    Returns:
        0; 1 where the release went back or the weights were frozen; 3 without new evidence.
    """
    from promptops.rollout import controller

    verdict = look.verdict
    if as_json and look.decision is None:
        emit(undecided(look))
    elif look.decision is None:
        said = f"{verdict.action}, {'; '.join(verdict.reasons) or 'nothing changes'}"
        if look.failure and verdict.action in controller.FORWARD:
            said = "hold, no new evidence: nothing goes on"
        click.echo(printable(f"{look.before.prompt} in {look.before.environment}: {said}"))
    if look.failure:
        from promptops.cli.guard import show

        show(look.failure)
        return 3
    return 1 if verdict.action in ("rollback", "freeze") else 0
