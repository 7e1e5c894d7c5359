"""``promptops new``."""

from __future__ import annotations

import click

from promptops.registry import scaffold
from promptops.registry.governed import PROJECT
from promptops.registry.project import parse_project
from promptops.repo.git import Git
from promptops.repo.source import WorktreeSource


@click.group()
def command() -> None:
    """Write a new prompt, model, suite or rollout plan; nothing is overwritten."""


@command.command(epilog="\b\nExample:\n  promptops new prompt support/reply --model local")
@click.argument("name")
@click.option("--model", metavar="MODEL", help="Name of its model file; by default the first in models/.")
def prompt(name: str, model: str | None) -> None:
    """Write a first draft of the prompt NAME."""
    with Git() as git:
        source = WorktreeSource(git.root)
    _write(source.root, scaffold.new_prompt(name, source.entries("models/"), model))


@command.command(epilog="\b\nExample:\n  promptops new model gpt-4o-2024-11-20")
@click.argument("name")
def model(name: str) -> None:
    """Write a first draft of the model NAME, of an OpenAI-compatible endpoint."""
    with Git() as git:
        _write(git.root, scaffold.new_model(name))


@command.command(epilog="\b\nExample:\n  promptops new suite safety-full --from safety")
@click.argument("name")
@click.option(
    "--from", "template", metavar="SUITE", required=True, help="Which one: " + ", ".join(scaffold.SUITES) + "."
)
def suite(name: str, template: str) -> None:
    """Write a suite that ships with promptops as the suite NAME, to be changed as you like.

    The suites are described in docs/suites.md. A prompt names those that it is held to under `evals`.
    """
    with Git() as git:
        _write(git.root, scaffold.new_suite(name, template))


@command.command(epilog="\b\nExample:\n  promptops new rollout support/reply --env staging")
@click.argument("prompt")
@click.option("--env", "environment", metavar="ENV", default="prod", show_default=True, help="Environment it is for.")
def rollout(prompt: str, environment: str) -> None:
    """Write a first draft of the plan by which releases of PROMPT reach users (docs/plans.md)."""
    with Git() as git:
        project = parse_project(PROJECT, WorktreeSource(git.root).read(PROJECT))
        project.environment(environment)
        _write(git.root, scaffold.new_rollout(prompt, environment))


def _write(root: str, file: scaffold.NewFile) -> None:
    scaffold.write(root, file)
    click.echo(file.path)
