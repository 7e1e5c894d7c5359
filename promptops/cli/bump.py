"""``promptops bump``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from promptops.checks.bump import Bump
    from promptops.repo.git import Git


@click.command(
    epilog="""\b
Examples:
  promptops bump                               every prompt that your changes reach
  promptops bump support/reply
  promptops bump --model gpt-4o=gpt-5 --wave 5"""
)
@click.argument("prompts", nargs=-1, metavar="[PROMPT]...")
@click.option("--affected", "which", flag_value="affected", help="Bump what the work tree changes. The default.")
@click.option("--staged", "which", flag_value="staged", help="Bump what is staged; exit 1 when a file was written.")
@click.option("--model", metavar="OLD=NEW", help="Move prompts from one model to another and bump them.")
@click.option("--wave", type=click.IntRange(min=1), metavar="N", help="With --model: only the next N prompts by name.")
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be written and write nothing.")
def command(*, prompts: tuple[str, ...], which: str | None, model: str | None, wave: int | None, dry_run: bool) -> int:
    """Raise the version of changed prompts by the least grade.

    Writes the version into the work tree and stages nothing; comments and layout stay as they are.
    """
    from promptops.cli import bumping

    return bumping.run(
        lambda git: _plan(git, prompts, which, model, wave), dry_run=dry_run, found=int(which == "staged")
    )


def _plan(git: Git, prompts: tuple[str, ...], which: str | None, model: str | None, wave: int | None) -> list[Bump]:
    from promptops.checks import bump
    from promptops.errors import UsageError

    if sum(map(bool, (prompts, which, model))) > 1:
        raise UsageError(
            "prompts, --affected, --staged and --model exclude each other", hint="promptops bump --affected"
        )
    if wave is not None and not model:
        raise UsageError("--wave goes with --model", hint=f"promptops bump --model OLD=NEW --wave {wave}")
    if model:
        old, equals, new = model.partition("=")
        if not (old and equals and new):
            raise UsageError("--model takes OLD=NEW", hint="promptops bump --model gpt-4o=gpt-5")
        return bump.model(git, old, new, wave)
    if prompts:
        return bump.named(git, list(dict.fromkeys(prompts)))
    return bump.staged(git) if which == "staged" else bump.changed(git)
