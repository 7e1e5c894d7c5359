"""``promptops eval``."""

from __future__ import annotations

import click

from promptops.cli.lazy import Subcommands

# Subcommand -> module in promptops.cli: listing runs does not load what asking needs.
_COMMANDS = {
    "run": "eval_run",
    "list": "eval_list",
    "show": "eval_show",
    "compare": "eval_compare",
    "record": "eval_record",
}


@click.command(cls=Subcommands, modules=_COMMANDS, no_args_is_help=True)
def command() -> None:
    """Run suites outside a release: ask, keep, show, compare; grow suites from traffic.

    A run has a folder of its own below the git directory (promptops/runs/ID). It decides nothing about a release.
    """
