"""``promptops rollout status`` and ``watch``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from promptops.cli.deciding import check_environment, env_option
from promptops.cli.opening import echo_json, json_option
from promptops.cli.rolling import events_option
from promptops.errors import PromptopsError
from promptops.repo.git import Git
from promptops.text import printable

if TYPE_CHECKING:
    from promptops.release.live import Decision
    from promptops.rollout.controller import Look


@click.command(
    name="status",
    epilog="\b\nExamples:\n  promptops rollout status --env prod\n  promptops rollout status support/reply --env prod",
)
@click.argument("prompt", required=False)
@env_option
@events_option
@json_option
def command(prompt: str | None, environment: str, source: str | None, *, as_json: bool) -> None:
    """Show where rollouts stand: arms, weights, what the evidence says now, and what is missing until the next step.

    Records nothing and needs no key. Without PROMPT: of every rollout that runs in ENV.
    """
    _show(prompt, environment, source, as_json=as_json)


@click.command(epilog="\b\nExample:\n  promptops rollout watch support/reply --env prod")
@click.argument("prompt", required=False)
@env_option
@events_option
@click.option(
    "--interval", type=click.IntRange(1, 86_400), default=60, show_default=True, help="Seconds between looks."
)
def watch(prompt: str | None, environment: str, source: str | None, interval: int) -> None:
    """Show the status again and again, until it is interrupted."""
    from promptops.cli.guard import show

    while True:
        click.clear()
        try:
            _show(prompt, environment, source, as_json=False)
        except PromptopsError as error:
            show(error)
        time.sleep(interval)


def _show(prompt: str | None, environment: str, source: str | None, *, as_json: bool) -> None:
    from promptops.rollout import controller, decisions

    with Git() as git:
        chains = _chains(git, environment, prompt)
        if prompt:
            decisions.require_running(chains.get(prompt, []), prompt, environment)
        looks = [
            controller.judge(git, chain[0], source)
            for chain in chains.values()
            if chain[0].rollout is not None and chain[0].rollout.alive
        ]
        texts = [] if as_json else [_text(git, look) for look in looks]
    if as_json:
        echo_json([_document(look) for look in looks])
        return
    click.echo("\n\n".join(texts) or f"no rollout runs in {printable(environment)}")


def _chains(git: Git, environment: str, prompt: str | None) -> dict[str, list[Decision]]:
    from promptops.release import authority, clone, live

    rules = authority.rules(git, clone.newest_trust(git))
    heads = live.heads(git, environment)
    if not heads:
        check_environment(git, environment)
    return {
        name: authority.decisions(git, oid, rules, environment=environment, prompt=name, succeeding=True)
        for name, oid in heads.items()
        if prompt in (None, name)
    }


def _document(look: Look) -> dict[str, Any]:
    return {
        "prompt": look.before.prompt,
        "environment": look.before.environment,
        "decision": look.before.oid,
        "sequence": look.before.sequence,
        "rollout": look.before.step.document(),
        "verdict": look.verdict.document(),
        "failure": look.failure.message if look.failure else None,
        "at": look.at,
    }


def _text(git: Git, look: Look) -> str:
    from promptops.rollout import deriving, text

    before = look.before
    notes = [f"no new evidence: {look.failure.message}"] if look.failure else []
    status = text.Status(
        before.prompt, before.environment, before.step.document(), deriving.plan_of(git, before), look.verdict, look.at,
        notes,
    )  # fmt: skip
    return "\n".join(printable(line) for line in text.render(status))
