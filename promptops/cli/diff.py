"""``promptops diff``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from promptops.cli.opening import echo_json, json_option
from promptops.release import compare
from promptops.repo.git import Git
from promptops.text import printable

if TYPE_CHECKING:
    from promptops.release.compare import Comparison

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


@click.command(
    epilog="\b\nExamples:\n  promptops diff support/reply@1.2.0 support/reply@1.3.0\n"
    "  promptops diff support/reply@1.3.0 HEAD\n  promptops diff main HEAD support/reply"
)
@click.argument("old", metavar="A")
@click.argument("new", metavar="B")
@click.argument("prompts", nargs=-1, metavar="[PROMPT]...")
@json_option
def command(old: str, new: str, prompts: tuple[str, ...], as_json: bool) -> None:
    """Compare two releases or revisions: text, settings and the grade of the change."""
    with Git() as git:
        found = compare.compare_all(git, compare.side(git, old), compare.side(git, new), prompts)
    if as_json:
        echo_json([_document(item) for item in found])
        return
    for item in found:
        _report(item)


def _document(item: Comparison) -> dict[str, Any]:
    sides = {
        key: side and {"version": side[0], "digest": side[1]} for key, side in (("old", item.old), ("new", item.new))
    }
    changes = [change._asdict() for change in item.changes]
    return {"prompt": item.prompt, **sides, "grade": item.grade, "changes": changes, "text": item.text}


def _report(item: Comparison) -> None:
    versions = " -> ".join(side[0] if side else "none" for side in (item.old, item.new))
    click.echo(click.style(f"{item.prompt} {versions}: {item.grade}", bold=True))
    for change in item.changes:
        click.echo(f"  {printable(change.field)}: {printable(repr(change.old))} -> {printable(repr(change.new))}")
    for line in item.text.splitlines():
        click.echo("  " + click.style(printable(line), fg=_COLOURS.get(line[:1])))
