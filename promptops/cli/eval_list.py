"""``promptops eval list``."""

from __future__ import annotations

from typing import Any

import click

from promptops.cli.opening import echo_json, json_option
from promptops.evaluation.runs import store, text
from promptops.repo.git import Git
from promptops.text import printable

_HEADER = ("run", "prompt", "configuration", "suites", "state", "answered", "failed", "cost")


@click.command("list", epilog="\b\nExample:\n  promptops eval list --json")
@json_option
def command(*, as_json: bool) -> None:
    """List the runs of this clone, oldest first."""
    with Git() as git:
        found = [_described(folder) for folder in store.every(store.default_root(git))]
    if as_json:
        echo_json(found)
    elif found:
        click.echo("\n".join(text.columns([_HEADER, *map(_row, found)], len(_HEADER) - 3)))


def _described(folder: store.Folder) -> dict[str, Any]:
    settings, summary = folder.settings(), folder.summary()
    state = "cut short" if summary is None else "complete" if summary["complete"] else "budget used up"
    kept = ("prompt", "version", "revision", "configuration", "suites", "model", "selection")
    totals = {} if summary is None else {"totals": summary["totals"], "calls": summary["calls"]}
    return {"run": folder.name, "state": state, **{name: settings[name] for name in kept}, **totals}


def _row(run: dict[str, Any]) -> tuple[str, ...]:
    totals, calls = run.get("totals"), run.get("calls")
    return (
        run["run"],
        printable(f"{run['prompt']} {run['version']}"),
        run["configuration"][7:19],
        printable(", ".join(run["suites"])),
        run["state"],
        f"{totals['answered']:,}" if totals else "-",
        f"{totals['failed']:,}" if totals else "-",
        f"{calls['cost']:.4f}" if calls and calls["cost"] else "-",
    )
