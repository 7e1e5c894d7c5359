"""``promptops eval compare``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from promptops.cli import reporting
from promptops.cli.opening import echo_json, json_option
from promptops.errors import InconclusiveError
from promptops.evaluation import report as side
from promptops.evaluation.runs import comparison, store, text
from promptops.repo.git import Git

if TYPE_CHECKING:
    from collections.abc import Mapping

    from promptops.evaluation.runs.comparison import Pair

_TRIPWIRE = "drift trip-wire, does not measure agreement"


@click.command(
    "compare",
    epilog="\b\nExamples:\n  promptops eval compare 410277 last\n"
    "  promptops eval compare 410277 last --report html --output compare.html",
)
@click.argument("first")
@click.argument("second")
@click.option(
    "--tripwires", is_flag=True, help="Say too whether sentiment and embeddings moved; neither measures agreement."
)
@reporting.report_options
@json_option
def command(first: str, second: str, *, tripwires: bool, report: str | None, output: str | None, as_json: bool) -> None:
    """Compare two runs of the same suites, case by case.

    The difference of means is that of pairs of the same case and replicate, with a 95 % interval by case. It decides
    nothing: that is what a canary does, with errors that hold however often one looks.
    """
    reporting.check(report, output, as_json=as_json)
    with Git() as git:
        root = store.default_root(git)
    base, other = store.find(root, first), store.find(root, second)
    found = comparison.compare(base, other)
    if not found["pairs"]:
        raise InconclusiveError("no case and replicate was answered in both runs")
    if report is not None:
        reporting.deliver(reporting.of_pair(base, other, found, report), output)
    moved = comparison.tripwires(base, other) if tripwires else []
    if as_json:
        told = [{"label": _TRIPWIRE, **each._asdict()} for each in moved]
        echo_json({**found, "tripwires": told} if tripwires else found)
    elif report is None or output is not None:
        lines = [f"{_TRIPWIRE}: {each}" for each in moved]
        click.echo("\n".join([*text.comparison(found), *lines, *_worst(base, other, found)]))


def _worst(base: store.Folder, other: store.Folder, found: Mapping[str, Any]) -> list[str]:
    """Return the worst pair of each metric, side by side."""
    lines: list[str] = []
    seen: set[str] = set()
    for metric, pair in reporting.worst(base, other, found):
        if metric not in seen:
            seen.add(metric)
            lines += ["", *side.side_by_side(_example(metric, pair), side.terminal_width(), ("first", "second"))]
    return lines


def _example(metric: str, pair: Pair) -> dict[str, str]:
    said, one, two = (
        "\n".join(turn[part] for session in line["views"].values() for turn in session)
        for line, part in ((pair.other, "said"), (pair.base, "text"), (pair.other, "text"))
    )
    return {"metric": metric, "case": pair.key.case, "input": said, "baseline": one, "candidate": two}
