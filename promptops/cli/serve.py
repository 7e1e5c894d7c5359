"""``promptops serve``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from promptops.cli.opening import at_option, open_registry
from promptops.cli.variables import read_variables, variable_options
from promptops.evaluation import evidence
from promptops.evaluation.harness import by_hand
from promptops.evaluation.study import budget_of
from promptops.evaluation.tally import BASELINE, CANDIDATE
from promptops.repo.git import Git

if TYPE_CHECKING:
    from collections.abc import Mapping

    from promptops.inference.serving.server import Server
    from promptops.registry.configuration import Configuration


@click.command(
    epilog="\b\nExamples:\n  promptops serve support/reply\n  promptops serve support/reply --at HEAD~1 --port 8008\n"
    "  promptops serve support/reply -- inspect eval task.py --model openai/candidate -M responses_api=false"
)
@click.argument("prompt")
@click.argument("command_line", metavar="[-- COMMAND...]", nargs=-1, type=click.UNPROCESSED)
@at_option
@click.option("--baseline", metavar="REV", help="Serve PROMPT of this revision too, at an address of its own.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the candidate; 0 takes a free one.")
@variable_options
@click.option(
    "--journal", metavar="FILE", help="Where paid replies are kept and found again; default: below the git directory."
)
def command(
    prompt: str,
    command_line: tuple[str, ...],
    *,
    revision: str | None,
    baseline: str | None,
    port: int,
    pairs: tuple[str, ...],
    var_file: str | None,
    journal: str | None,
) -> int:
    """Serve PROMPT to other people's harnesses through a local OpenAI-compatible endpoint.

    Whatever model and parameters a request names, the configuration's own are used; the first user message fills the
    variable that --var leaves open. With a COMMAND, its exit code decides: 0, or 1 for any other.
    """
    with Git() as git:
        registry = open_registry(git, revision)
        candidate = registry.configuration(prompt)
        served = {CANDIDATE: candidate}
        if baseline is not None:
            served[BASELINE] = open_registry(git, baseline).configuration(prompt)
        code = by_hand.serve(
            served,
            budget=budget_of(registry.project.canary),
            journal=journal or _journal(evidence.default_root(git), served),
            fixed=read_variables(pairs, var_file, candidate.prompt.variables),
            port=port,
            command=command_line,
            ready=lambda servers: _show(servers, tokens=not command_line),
        )
    return min(abs(code), 1)


def _journal(root: str, served: Mapping[str, Configuration]) -> str:
    parts = [configuration.digest.removeprefix("sha256:")[:32] for configuration in served.values()]
    return os.path.join(os.path.dirname(root), "serve", "-".join(parts), evidence.JOURNAL)


def _show(servers: Mapping[str, Server], *, tokens: bool) -> None:
    for name, server in servers.items():
        prefix = "" if name == CANDIDATE else f"{name.upper()}_"
        click.echo(f"export {prefix}OPENAI_BASE_URL={server.base_url}", err=not tokens)
        if tokens:
            click.echo(f"export {prefix}OPENAI_API_KEY={server.token}")
    if tokens:
        click.echo("serving on this machine only; Ctrl-C ends it", err=True)
