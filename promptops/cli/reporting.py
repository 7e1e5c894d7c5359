"""``--report`` and ``--output`` of the commands below ``promptops eval``."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Any

import click

from promptops import atomic
from promptops.cli.opening import echo_json
from promptops.errors import PromptopsError, UsageError
from promptops.evaluation.pages import html, junit, markdown
from promptops.evaluation.runs import comparison, store, text
from promptops.evaluation.runs.store import Key
from promptops.evaluation.runs.summary import failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from promptops.evaluation.runs.comparison import Pair

_SHOWN = 3


def report_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --report and --output to a command."""
    kinds = click.Choice(["html", "md", "junit"])
    function = click.option("--output", metavar="FILE", help="Where the report goes; default: the output.")(function)
    return click.option("--report", type=kinds, help="Write a page, Markdown, or JUnit XML.")(function)


def check(report: str | None, output: str | None, *, as_json: bool) -> None:
    """Refuse --output without --report, and a place that cannot be written, before anything is paid.

    Raises:
        UsageError: they make no sense together.
    """
    if output is not None and report is None:
        raise UsageError("--output says where a report goes, and none is asked for", hint="add --report html")
    if report is not None and output is None and as_json:
        raise UsageError("--json and --report both want the output", hint="add --output FILE")
    if output is not None and not os.path.isdir(os.path.dirname(os.path.abspath(output))):
        raise UsageError(f"there is no folder for {output}", hint="create it first")


def deliver(content: str, output: str | None) -> None:
    """Write a report to a file, or print it."""
    if output is None:
        click.echo(content, nl=False)
    else:
        atomic.write(output, content.encode("utf-8", "replace"))
        click.echo(f"wrote {output}", err=True)


def show(folder: store.Folder, report: str | None, output: str | None, *, by_tag: bool, as_json: bool) -> None:
    """Print what a run found, and write the report that is asked for.

    Raises:
        PromptopsError: the run has not come to an end.
    """
    settings, summary = folder.settings(), folder.summary()
    if summary is None:
        hint = f"promptops eval run --resume {folder.name}"
        raise PromptopsError(f"run {folder.name} has not come to an end", hint=hint)
    if report is not None:
        deliver(of_run(folder, report), output)
    if as_json:
        echo_json({"run": folder.name, **settings, **summary})
    elif report is None or output is not None:
        click.echo("\n".join([*text.summary(settings, summary, by_tag=by_tag), f"run {folder.name}"]))


def of_run(folder: store.Folder, kind: str) -> str:
    """Return the report of a run that came to an end."""
    settings, summary = folder.settings(), folder.summary() or {}
    results = store.Results(folder.results)
    if kind == "junit":
        return junit.render(settings, summary, results.lines())
    if kind == "md":
        return markdown.render(settings, summary, (line for line in results.lines() if failed(line)))
    # Failed cases first: where not all fit on the page, these are the ones to see.
    bad = [_key(line) for line in itertools.islice(filter(failed, results.lines()), html.MOST)]
    chosen = list(dict.fromkeys([*bad, *results.places]))[: html.MOST]
    lines = (line for key in chosen if (line := results.get(key)) is not None)
    return html.render(settings, summary, lines, max(0, len(results.places) - html.MOST))


def of_pair(base: store.Folder, other: store.Folder, found: Mapping[str, Any], kind: str) -> str:
    """Return the report of a comparison.

    Raises:
        UsageError: JUnit has no form for it.
    """
    if kind == "junit":
        raise UsageError("a comparison has no tests, so that there is no JUnit XML of it", hint="--report html or md")
    if kind == "md":
        return markdown.render_pairs(found, worst(base, other, found))
    pairs = itertools.islice(comparison.pairs(base, other), html.MOST)
    return html.render_pairs(found, pairs, max(0, found["pairs"] - html.MOST))


def worst(base: store.Folder, other: store.Folder, found: Mapping[str, Any]) -> Iterator[tuple[str, Pair]]:
    """Yield the worst pairs of every metric, with its name."""
    one, two = store.Results(base.results), store.Results(other.results)
    for row in found["rows"]:
        for parts in row["worst"][:_SHOWN]:
            key = Key(*parts)
            before, now = one.get(key), two.get(key)
            if before is not None and now is not None:
                yield f"{row['suite']}/{row['metric']}", comparison.Pair(key, before, now)


def _key(line: Mapping[str, Any]) -> Key:
    return Key(line["suite"], line["case"], line["replicate"])
