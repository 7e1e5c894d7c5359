"""``promptops rollout pause``, ``resume`` and ``override``."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from promptops.cli.deciding import env_option, open_desk, signing_options
from promptops.cli.opening import json_option
from promptops.cli.rolling import report
from promptops.repo.git import Git


def _command(action: str, text: str) -> click.Command:
    @click.command(
        action, help=text, epilog=f'\b\nExample:\n  promptops rollout {action} support/reply --env prod --reason "..."'
    )
    @click.argument("prompt")
    @env_option
    @signing_options
    @json_option
    def command(prompt: str, environment: str, reason: str, *, as_json: bool, **options: Any) -> None:
        from promptops.rollout import decisions

        with Git() as git:
            place = open_desk(git, options)
            tell = partial(report, place, as_json=as_json)
            decisions.by_hand(place, prompt, environment, action, reason=reason, tell=tell)

    return command


pause = _command(
    "pause",
    "Hold a rollout at its stage until somebody resumes it; harm still takes the release back. Needs the role release.",
)
resume = _command("resume", "Let a paused rollout go on. Needs the role release.")
override = _command(
    "override",
    "Take the next step without proof, by a signed decision with a reason. Needs the role override.",
)
