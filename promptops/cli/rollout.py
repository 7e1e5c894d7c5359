"""``promptops rollout``."""

from __future__ import annotations

import click

from promptops.cli.lazy import Subcommands

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


@click.command(cls=Subcommands, modules=_COMMANDS, no_args_is_help=True)
def command() -> None:
    """Bring a release to users in steps, and back when the evidence says so.

    A plan (rollouts/PROMPT.yaml, docs/plans.md) says in which steps, and what has to be shown before each.
    """
