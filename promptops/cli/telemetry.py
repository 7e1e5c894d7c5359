"""``promptops telemetry``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from promptops.telemetry.checking import Report


@click.group("telemetry")
def command() -> None:
    """Look after the events that decisions are made from."""


@command.command(
    "check",
    epilog="""\b
Examples:
  promptops telemetry check promptops-events
  promptops telemetry check promptops-events/events-20251224-*.jsonl --json""",
)
@click.argument("files", nargs=-1, required=True)
@click.option("--most", type=click.IntRange(0, 100_000), default=20, show_default=True, help="Findings shown a kind.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(files: tuple[str, ...], *, most: int, as_json: bool) -> int:
    """Find torn lines, drift of the format, copies, crossovers, outcomes without exposure, and clocks that are off.

    FILES are JSON Lines files (also .gz), patterns, or a folder that applications fill. Memory does not grow with them.
    A file that cannot be read is named, the others are checked, and the exit code is 3.
    """
    import time

    from promptops.cli.opening import echo_json
    from promptops.telemetry import checking, source

    report = checking.check(source.files(files), now=int(time.time() * 1000), most=most)
    if as_json:
        found, unread = ([item._asdict() for item in items] for items in (report.findings, report.unread))
        echo_json({"events": report.events, "counts": report.counts, "findings": found, "unread": unread})
    else:
        _print(report)
    if report.unread:
        return 3
    return 1 if any(report.counts.values()) else 0


def _print(report: Report) -> None:
    from promptops.telemetry.checking import KINDS
    from promptops.text import counted, printable

    for finding in report.findings:
        click.echo(printable(f"{finding.path}:{finding.line}: {finding.kind}: {finding.message}"))
    for kind, number in report.counts.items():
        hidden = number - sum(finding.kind == kind for finding in report.findings)
        if hidden:
            click.echo(f"{kind}: {hidden:,} more ({KINDS[kind]})")
    for path, reason in report.unread:
        click.echo(printable(f"{path}: not checked: {reason}"), err=True)
    click.echo(f"{counted(report.events, 'event')}, {counted(sum(report.counts.values()), 'finding')}", err=True)
