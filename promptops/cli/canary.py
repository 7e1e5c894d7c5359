"""``promptops canary``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from promptops.cli import comparing
from promptops.cli.opening import echo_json, json_option
from promptops.evaluation import canary, evidence, forecast, report, study
from promptops.repo.git import Git
from promptops.text import printable

if TYPE_CHECKING:
    from promptops.evaluation.forecast import Forecast
    from promptops.evaluation.result import CanaryResult
    from promptops.evaluation.study import Study

_PROVABLE = {
    "margin": "a margin of {}",
    "harm": "a harm of {}",
    "within": "a mean within the limit by {}",
    "beyond": "a mean beyond it by {}",
}
CODES = {"pass": 0, "fail": 1, "inconclusive": 4}


@click.command(
    epilog="\b\nExamples:\n  promptops canary support/reply --plan\n  promptops canary support/reply\n"
    "  promptops canary support/reply --base origin/main --at HEAD --json"
)
@click.argument("prompt")
@click.option(
    "--base", metavar="REV", help="Compare with this revision, which also says how to judge; default: newest release."
)
@click.option("--at", "revision", metavar="REV", help="Judge this commit, branch or tag instead of the work tree.")
@click.option("--share", metavar="SHARE", help="Share of recorded traffic to replay, as 5%.")
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be asked and what it costs, and stop.")
@click.option("--evidence", "folder", metavar="DIR", help="Where evidence is kept; default: below the git directory.")
@json_option
def command(
    prompt: str,
    *,
    base: str | None,
    revision: str | None,
    share: str | None,
    only_plan: bool,
    folder: str | None,
    as_json: bool,
) -> int:
    """Compare PROMPT with its baseline on the live API until the verdict is clear; tag nothing.

    Evidence continues: the same comparison is never started over, and a verdict is returned again without a call.
    """
    with Git() as git:
        # Empty is a variable that a script did not set: without a base the change would pick its own exam.
        if base is not None:
            compared = comparing.with_revision(git, prompt, base, revision)
        else:
            compared = comparing.with_release(git, prompt, revision)
        prepared = _prepared(git, compared, folder, comparing.share_of(share))
        if only_plan:
            return _show_plan(prepared, as_json=as_json)
        return _show_result(_conducted(prepared, comparing.share_of(share), compared.notes), as_json=as_json)


def _prepared(git: Git, compared: comparing.Comparison, folder: str | None, share: float | None) -> Study:
    return study.prepare(git, compared.terms(folder or evidence.default_root(git), share))


def _conducted(prepared: Study, share: float | None, notes: list[str]) -> CanaryResult:
    for note in [*notes, *prepared.notes]:
        click.echo(f"note: {printable(note)}", err=True)
    planned = forecast.forecast(prepared, prepared.store.latencies())
    for line in _plan_lines(planned):
        click.echo(line, err=True)
    progress = report.Progress(expected=planned.pairs["expected"] or 0)
    try:
        return canary.conduct(prepared, share or prepared.settings.share, progress)
    finally:
        progress.close()


def _show_plan(prepared: Study, *, as_json: bool) -> int:
    planned = forecast.forecast(prepared, prepared.store.latencies())
    if as_json:
        echo_json(asdict(planned))
    else:
        click.echo("\n".join([*_plan_lines(planned), *(f"note: {printable(note)}" for note in planned.notes)]))
    return 0


def _show_result(result: CanaryResult, *, as_json: bool) -> int:
    if as_json:
        echo_json(report.as_json(result))
    else:
        click.echo(report.text(result, colour=report.colourful(sys.stdout)), color=True)
    return CODES[result.verdict]


def _plan_lines(planned: Forecast) -> list[str]:
    lines = [f"harness   {printable(name)}: asks its own, once in each arm; not counted" for name in planned.harnesses]
    if planned.cases:
        lines += _asked_lines(planned)
    lines.append("budget    " + (", ".join(f"{value:g} {name}" for name, value in planned.budget.items()) or "none"))
    for name, can in planned.provable.items():
        what = ", ".join(_PROVABLE[key].format(_least(least)) for key, least in can.items())
        lines.append(f"provable  {printable(name)}: {what}")
    return lines


def _asked_lines(planned: Forecast) -> list[str]:
    lines = [
        "cases     " + ", ".join(f"{count} of {printable(pool)}" for pool, count in planned.cases.items()),
        f"replies   {_span(planned.replies)}",
        f"          and up to {planned.ahead:,} under way at the verdict: paid and kept, not judged",
        f"tokens    about {_count(planned.tokens['expected'])}, {_count(planned.tokens['worst'])} at worst",
    ]
    if planned.cost["expected"] is not None:
        worst = "unknown" if planned.cost["worst"] is None else f"{planned.cost['worst']:.2f}"
        lines.append(f"cost      about {planned.cost['expected']:.2f} {planned.currency}, {worst} at worst")
    return [*lines, f"time      about {planned.seconds:.0f} s ({planned.rate})"]


def _span(counts: dict[str, int | None]) -> str:
    most = "" if counts["most"] is None else f", {counts['most']:,} at most"
    return f"{counts['least']:,} at least, about {counts['expected']:,}{most}"


def _count(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def _least(value: Any) -> str:
    return "none within the budget" if value is None else f"{value:.3g} or more"
