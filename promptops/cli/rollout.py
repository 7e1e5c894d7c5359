"""``promptops rollout``."""

from __future__ import annotations

from importlib import import_module

import click

# Subcommand -> module in promptops.cli, and its attribute where that is not `command`, in the order of use.
_COMMANDS = {
    "simulate": "rollout_simulate",
    "start": "rollout_start",
    "tick": "rollout_tick",
    "run": "rollout_run",
    "status": "rollout_status",
    "watch": "rollout_status:watch",
    "pause": "rollout_hand:pause",
    "resume": "rollout_hand:resume",
    "advance": "rollout_tick:advance",
    "rollback": "rollout_rollback",
    "override": "rollout_hand:override",
    "verify": "rollout_history:verify",
    "history": "rollout_history",
    "report": "rollout_report",
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
    module, _, attribute = _COMMANDS[name].partition(":")
    command: click.Command = getattr(import_module(f"promptops.cli.{module}"), attribute or "command")
    return command


@click.command(cls=_Group, no_args_is_help=True)
def command() -> None:
    """Bring a release to users in steps, and back when the evidence says so.

    A plan (rollouts/PROMPT.yaml, docs/plans.md) says in which steps, and what has to be shown before each.
    """
