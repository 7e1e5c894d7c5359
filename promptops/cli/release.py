"""``promptops release``."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from promptops.cli import comparing
from promptops.cli.opening import echo_json, json_option
from promptops.errors import UsageError
from promptops.release import pipeline
from promptops.repo.git import Git
from promptops.text import counted, printable

if TYPE_CHECKING:
    from promptops.release.pipeline import Outcome

_COLOURS = {"released": "green", "planned": "cyan", "inconclusive": "yellow"}


@click.command(
    epilog="\b\nExamples:\n  promptops release\n  promptops release support/reply --canary 5% --push\n"
    "  promptops release --dry-run"
)
@click.argument("prompts", nargs=-1, metavar="[PROMPT]...")
@click.option("--canary", "share", metavar="SHARE", help="Share of recorded traffic to replay, as 5%.")
@click.option("--no-canary", metavar="REASON", help="Release without a canary; needs the role override.")
@click.option("--push/--no-push", default=None, help="Push the tags, and create them here only if that succeeds.")
@click.option("--remote", metavar="NAME", help="Where to push to.")
@click.option("--together", is_flag=True, help="Release all of the prompts or none.")
@click.option("--evidence", metavar="DIR", help="Where the canary keeps its evidence.")
@click.option("--key", metavar="FILE", help="SSH key to sign with.")
@click.option("--envelope-key", metavar="KEY", help="Sign the manifest by this key of yours: kms:URI#PUBLIC_KEY_FILE.")
@click.option("--dry-run", is_flag=True, help="Show what would happen; call, sign and write nothing.")
@json_option
def command(share: str | None, *, dry_run: bool, as_json: bool, **options: Any) -> int:
    """Check, canary, sign and tag every prompt whose version has no release.

    Each prompt is released by itself unless --together. A release serves nobody yet: promptops promote does that.
    """
    from promptops.evaluation import report

    if share is not None and options["no_canary"] is not None:
        raise UsageError("--canary and --no-canary exclude each other", hint="promptops release PROMPT --canary SHARE")
    meter = report.Progress()
    with Git() as git, closing(meter):
        chosen = pipeline.Options(share=comparing.share_of(share), **options)
        setting = pipeline.open_setting(git, chosen, lambda text: click.echo(text, err=True), meter)
        outcomes = pipeline.run(setting, dry_run=dry_run)
    if as_json:
        echo_json([asdict(outcome) for outcome in outcomes])
    else:
        _report(outcomes)
    return pipeline.exit_code(outcomes)


def _report(outcomes: list[Outcome]) -> None:
    from promptops.evaluation import report

    if not outcomes:
        click.echo("everything is released", err=True)
    for outcome in outcomes:
        if outcome.canary:
            click.echo(report.text(outcome.canary) + "\n")
        state = click.style(outcome.status, fg=_COLOURS.get(outcome.status, "red"), bold=True)
        pushed = f", pushed to {outcome.pushed}" if outcome.pushed else ""
        click.echo(f"{state}  {printable(outcome.tag)}{pushed}")
        for reason in outcome.reasons:
            click.echo(f"  {printable(reason)}")
        if outcome.plan:
            cases = ", ".join(f"{count} of {name}" for name, count in outcome.plan["cases"].items())
            click.echo(f"  canary: {cases}; {counted(len(outcome.plan['guardrails']), 'guardrail')}")
        if outcome.hint:
            click.echo(f"  next: {printable(outcome.hint)}")
