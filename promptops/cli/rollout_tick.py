"""``promptops rollout tick`` and ``advance``: one look at running rollouts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from promptops.cli.deciding import check_environment, env_option, open_desk
from promptops.cli.opening import echo_json, json_option
from promptops.cli.rolling import desk_options, dry_option, events_option, report, told, undecided
from promptops.errors import InconclusiveError, PromptopsError, UsageError
from promptops.repo.git import Git

if TYPE_CHECKING:
    from collections.abc import Callable

    from promptops.release.serving import Desk


@click.command(
    name="tick",
    epilog="\b\nExamples:\n  promptops rollout tick support/reply --env prod --push\n"
    "  promptops rollout tick --all --env prod",
)
@click.argument("prompt", required=False)
@click.option("--all", "every", is_flag=True, help="Look at every rollout that runs in ENV.")
@env_option
@events_option
@dry_option
@desk_options
@json_option
def command(prompt: str | None, every: bool, environment: str, **options: Any) -> int:
    """Look once at a rollout: read its evidence, and record a decision where something changes.

    May hold, freeze or take the release back; goes on only on proof. Any number of these may run at once. Exit code 1:
    it went back, or the data is not valid; 3: no new evidence, or a clock, a remote or a repository is at fault.
    """
    if (prompt is None) != every:
        raise UsageError("name a prompt, or give --all", hint="promptops rollout tick --all --env prod")
    with Git() as git:
        check_environment(git, environment)
        place = open_desk(git, options)
        prompts = [prompt] if prompt else names(place, environment)
        if not (every and options["as_json"]):
            return look_at(place, environment, prompts, **options)
        documents: list[Any] = []
        code = look_at(place, environment, prompts, emit=documents.append, **options)
        echo_json(documents)
        return code


def names(place: Desk, environment: str) -> list[str]:
    """Return the prompts of which a rollout runs."""
    from promptops.rollout import controller

    return controller.prompts(place, environment)


def look_at(
    place: Desk,
    environment: str,
    prompts: list[str],
    *,
    source: str | None,
    dry_run: bool,
    as_json: bool,
    emit: Callable[[Any], object] = echo_json,
    **_: Any,
) -> int:
    """Look at each rollout, whatever became of the others, and return the worst exit code (3 before 1).

    With ``as_json``, ``emit`` is given what each came to.

    Raises:
        OSError: standard output takes no more; every rollout was looked at all the same.
    """
    from promptops.cli.guard import explained, is_unheard, show
    from promptops.rollout import controller

    codes, unheard = [0], None
    order = controller.Order(source, dry_run, tell=partial(report, place, as_json=as_json, emit=emit))
    for prompt in prompts:
        try:
            codes.append(told(controller.tick(place, prompt, environment, order), as_json=as_json, emit=emit))
        except (PromptopsError, OSError) as error:
            if isinstance(error, OSError) and (unheard or is_unheard()):
                unheard = unheard or error
                continue
            failure = explained(error) if isinstance(error, OSError) else error
            if len(prompts) == 1:
                raise failure from error
            show(failure)
            codes.append(failure.exit_code)
    if unheard:
        raise unheard
    return max(codes)


@click.command(epilog="\b\nExample:\n  promptops rollout advance support/reply --env prod --push")
@click.argument("prompt")
@env_option
@events_option
@dry_option
@desk_options
@json_option
def advance(prompt: str, environment: str, *, source: str | None, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Take the next step now, if the evidence proves it.

    Exit code 4: it does not, and the message says what is missing. A step without proof is an override.
    """
    from promptops.rollout import controller

    with Git() as git:
        check_environment(git, environment)
        place = open_desk(git, options)
        order = controller.Order(source, dry_run, controller.FORWARD, partial(report, place, as_json=as_json))
        look = controller.tick(place, prompt, environment, order)
        if look.failure:
            raise look.failure
        if look.verdict.action not in controller.FORWARD:
            raise InconclusiveError(
                f"the evidence does not prove the next step: {'; '.join(look.verdict.reasons)}",
                hint=f"promptops rollout status {prompt} --env {environment}",
            )
        if look.decision is None and as_json:
            echo_json(undecided(look))
        elif look.decision is None:
            click.echo("the next step is proved")
