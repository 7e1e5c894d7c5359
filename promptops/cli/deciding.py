"""What the commands that sign a decision share: their options, and the desk at which they are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from promptops.release.live import Decision
    from promptops.release.serving import Desk
    from promptops.repo.git import Git

_OPTIONS = (
    click.option("--reason", required=True, metavar="TEXT", help="Why; it is signed and kept."),
    click.option("--push/--no-push", default=None, help="Push first, and record here only if that succeeds."),
    click.option("--remote", metavar="NAME", help="Where to push to."),
    click.option("--key", metavar="FILE", help="SSH key to sign with."),
)
env_option: Callable[[Any], Any] = click.option(
    "--env", "environment", metavar="ENV", required=True, help="Environment, as promptops.yaml names it."
)


def signing_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --reason, --push, --remote and --key to a command."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def open_desk(git: Git, options: dict[str, Any]) -> Desk:
    """Return the desk for the options of `signing_options`; the reason stays with the caller."""
    from promptops.release import serving

    return serving.desk(git, key=options["key"], push=options["push"], remote=options["remote"])


def check_environment(git: Git, environment: str) -> None:
    """Check that ``promptops.yaml`` of HEAD has an environment.

    Raises:
        UsageError: it has not; the hint names those that it has.
        GitError: there is no commit.
    """
    from promptops.registry.registry import Registry
    from promptops.repo.source import TreeSource

    Registry(TreeSource(git, "HEAD")).project.environment(environment)


def release_of(text: str) -> tuple[str, str | None]:
    """Return prompt and version of ``PROMPT``, ``PROMPT@VERSION`` or ``prompt/PROMPT@vVERSION``."""
    name, _, version = text.removeprefix("refs/tags/").partition("@")
    return (name.removeprefix("prompt/"), version.removeprefix("v")) if version else (text, None)


def report(decision: Decision, *, as_json: bool) -> None:
    """Print a decision that was recorded."""
    from promptops.cli.opening import echo_json
    from promptops.text import printable

    if as_json:
        echo_json(decision.document())
        return
    left = f", left {decision.left}" if decision.left else ""
    click.echo(f"{decision.environment} serves {printable(decision.tag)} (decision {decision.sequence}{left})")
    click.echo(f"  next: promptops snapshot --env {decision.environment} -o FILE", err=True)
