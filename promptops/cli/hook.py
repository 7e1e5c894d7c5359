"""``promptops hook``."""

from __future__ import annotations

import sys

import click

from promptops.errors import UsageError
from promptops.repo.git import Git
from promptops.text import printable

_KINDS = ("pre-receive", "update")
_SHOWN = 20


@click.group(no_args_is_help=True)
def command() -> None:
    """Judge pushes on the server.

    The hooks of a contributor's clone are feedback and can be passed over; a hook on the server cannot.
    """


@command.command(epilog="\b\nExample:\n  promptops -C /srv/git/prompts.git hook install --server --root sha256:...")
@click.option("--server", is_flag=True, help="In the repository that takes pushes, where this is run.")
@click.option("--kind", type=click.Choice(_KINDS), default="pre-receive", show_default=True, help="Which hook.")
@click.option("--root", metavar="DIGEST", help="Pin the policy's root digest, as policy verify prints it.")
def install(server: bool, kind: str, root: str | None) -> None:
    """Install the hook that judges every push, all of it or, with --kind update, ref by ref."""
    from promptops.release import serverhook

    if not server:
        raise UsageError("only the server's hooks are installed here", hint="in a clone: pre-commit install")
    with Git() as git:
        path = serverhook.install(git, kind, root)
    click.echo(printable(path))


@command.command(epilog="\b\nExample:\n  echo OLD NEW refs/heads/main | promptops hook run pre-receive")
@click.argument("kind", type=click.Choice(_KINDS))
@click.argument("update", nargs=-1, metavar="[REF OLD NEW]")
@click.option("--root", metavar="DIGEST", help="The policy's root digest.")
def run(kind: str, update: tuple[str, ...], root: str | None) -> int:
    """Judge a push as git hands it to a hook: lines of OLD NEW REF for pre-receive, REF OLD NEW for update."""
    from promptops.release import receiving, serverhook

    moves = serverhook.moves(kind, update, sys.stdin)
    with Git() as git:
        found = receiving.judge(git, moves, root=root, whole=kind != "update")
    for refusal in found[:_SHOWN]:
        click.echo(printable(f"{refusal.ref}: {refusal.reason}"), err=True)
        if refusal.hint:
            click.echo(printable(f"  next: {refusal.hint}"), err=True)
    if len(found) > _SHOWN:
        click.echo(f"and {len(found) - _SHOWN} more", err=True)
    return max((refusal.code for refusal in found), default=0)
