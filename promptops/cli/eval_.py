"""``promptops eval``."""

from __future__ import annotations

from importlib import import_module

import click

# Subcommand -> module in promptops.cli: listing runs does not load what asking needs.
_COMMANDS = {
    "run": "eval_run",
    "list": "eval_list",
    "show": "eval_show",
    "compare": "eval_compare",
    "record": "eval_record",
}


class _Group(click.Group):
    """A group that imports a subcommand's module only when it runs."""

    @property
    def commands(self) -> dict[str, click.Command]:
        """All subcommands by name, imported."""
        return {name: _load(name) for name in _COMMANDS}

    @commands.setter
    def commands(self, value: object) -> None:
        """Take no others."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which they are used."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one subcommand."""
        del ctx
        return _load(cmd_name) if cmd_name in _COMMANDS else None


def _load(name: str) -> click.Command:
    command: click.Command = import_module(f"promptops.cli.{_COMMANDS[name]}").command
    return command


@click.command(cls=_Group, no_args_is_help=True)
def command() -> None:
    """Run suites outside a release: ask, keep, show, compare; grow suites from traffic.

    A run has a folder of its own below the git directory (promptops/runs/ID). It decides nothing about a release.
    """
