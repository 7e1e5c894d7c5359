"""``promptops check``."""

from __future__ import annotations

import click

from promptops.checks.reporters import FORMATS


@click.command(
    epilog="""\b
Examples:
  promptops check                       what is staged; everything when nothing is
  promptops check --base origin/main    what this branch changes (in CI)
  promptops check --all --format json
  promptops check --rules PO2,PO301"""
)
@click.option("--staged", "mode", flag_value="staged", help="Judge the index against HEAD.")
@click.option("--all", "mode", flag_value="all", help="Judge every file of the index.")
@click.option(
    "--reviewed", "mode", flag_value="reviewed", help="Judge the reviews of a push, where its branch asks for any."
)
@click.option("--base", metavar="REV", help="Judge what HEAD changes since it left REV, under REV's policy.")
@click.option("--head", metavar="REV", default="HEAD", show_default=True, help="What to judge with --base.")
@click.option("--rules", metavar="ID,...", default="", help="Apply these rules only; a prefix names several.")
@click.option("--format", "output", type=click.Choice(FORMATS), default="text", show_default=True, help="Output.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--today", metavar="DATE", default="", help="Judge retirement dates as of this ISO date.")
@click.option("--write-baseline", is_flag=True, help="Accept what is found now in the file that promptops.yaml names.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing when nothing is found.")
def command(
    *,
    mode: str | None,
    base: str | None,
    head: str,
    rules: str,
    output: str,
    as_json: bool,
    today: str,
    write_baseline: bool,
    quiet: bool,
) -> int:
    """Check what is staged, what a branch changes, or everything.

    Reads the index and commits, never the work tree. Inside pre-commit it judges the pushed range where there is one.
    """
    from datetime import date

    from promptops.checks.main import check
    from promptops.checks.request import Request
    from promptops.errors import UsageError

    if base is not None and mode is not None:
        raise UsageError(f"--base and --{mode} exclude each other", hint=f"promptops check --base {base}")
    try:
        today = date.fromisoformat(today).isoformat() if today else ""
    except ValueError as error:
        raise UsageError(f"{today!r} is no date", hint="--today 2026-12-31") from error
    wanted = tuple(filter(None, rules.replace(" ", "").split(",")))
    request = Request(mode or "", base, head, wanted, today, write_baseline)
    return check(request, "json" if as_json else output, quiet=quiet)
