"""``promptops explain``."""

from __future__ import annotations

import click


@click.command(
    epilog="""\b
Examples:
  promptops explain            list the rules
  promptops explain PO301"""
)
@click.argument("rule", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(rule: str | None, as_json: bool) -> None:
    """Explain a rule: what it finds, why that matters, how to fix it, with an example."""
    from promptops.checks import explain

    click.echo(explain.render(rule, as_json=as_json))
