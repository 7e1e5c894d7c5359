"""``promptops eval show``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from promptops.cli import reporting
from promptops.cli.opening import echo_json, json_option
from promptops.errors import UsageError
from promptops.evaluation.runs import store, text
from promptops.evaluation.runs.summary import failed
from promptops.repo.git import Git
from promptops.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.command(
    "show",
    epilog="\b\nExamples:\n  promptops eval show last\n  promptops eval show last --failed\n"
    "  promptops eval show 3f2a --case refund --json",
)
@click.argument("run")
@click.option("--case", metavar="ID", help="Show this case in full: every word, every score.")
@click.option("--failed", "only_failed", is_flag=True, help="Show the cases that failed, and why.")
@click.option("--by-tag", is_flag=True, help="Print a table per tag too.")
@reporting.report_options
@json_option
def command(run: str, *, case: str | None, only_failed: bool, as_json: bool, **options: Any) -> None:
    """Show RUN, which is an id, the end of one, or `last`."""
    reporting.check(options["report"], options["output"], as_json=as_json)
    with Git() as git:
        folder = store.find(store.default_root(git), run)
    if case is not None or only_failed:
        _show_cases(list(_chosen(folder, case, only_failed=only_failed)), full=case is not None, as_json=as_json)
        return
    reporting.show(folder, options["report"], options["output"], by_tag=options["by_tag"], as_json=as_json)


def _chosen(folder: store.Folder, case: str | None, *, only_failed: bool) -> Iterator[dict[str, Any]]:
    results = store.Results(folder.results)
    if case is not None and not any(key.case == case for key in results.places):
        raise UsageError(f"run {folder.name} has no result of a case {printable(case)}")
    for line in results.lines():
        if (case is None or line["case"] == case) and (not only_failed or failed(line)):
            yield line


def _show_cases(lines: list[dict[str, Any]], *, full: bool, as_json: bool) -> None:
    if as_json:
        echo_json(lines)
    elif full:
        click.echo("\n\n".join("\n".join(text.case(line)) for line in lines))
    else:
        click.echo("\n".join(text.failures(lines)) or "no case failed")
