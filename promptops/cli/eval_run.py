"""``promptops eval run``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from promptops.cli import evaluating, reporting
from promptops.cli.opening import at_option, echo_json, json_option
from promptops.errors import UsageError
from promptops.evaluation.runs import price, store, summary
from promptops.inference.client import CONCURRENCY
from promptops.repo.git import Git

if TYPE_CHECKING:
    from collections.abc import Callable

    from promptops.evaluation.runs.plan import Plan

_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--prompt", metavar="PROMPT", help="What is asked; default: the only prompt that names the suites."),
    at_option,
    click.option("--repeats", type=click.IntRange(1, 1000), help="Ask each case so often; default: as the suite says."),
    click.option("--limit", type=click.IntRange(1), help="Ask the first N cases of each suite."),
    click.option("--tag", "tags", multiple=True, metavar="TAG", help="Ask cases that carry this tag. Repeatable."),
    click.option("--case", "cases", multiple=True, metavar="ID", help="Ask this case. Repeatable."),
    click.option("--last-failed", is_flag=True, help="Ask what failed in the newest run of this prompt and suites."),
    click.option(
        "--concurrency",
        type=click.IntRange(1, 10_000),
        default=CONCURRENCY,
        show_default=True,
        help="Requests under way at most; the model file's limits may allow fewer.",
    ),
    click.option("--budget", metavar="LIMITS", help="Limits of the whole run: requests=..,usd=..,tokens=..,seconds=.."),
    click.option("--allow-python", is_flag=True, help="Run the Python code that the suites name, as it stands here."),
    click.option("--fail-on-expected", is_flag=True, help="Exit with 1 when a case fails its own `expect`."),
    click.option("--by-tag", is_flag=True, help="Print a table per tag too."),
    click.option("--plan", "only_plan", is_flag=True, help="Say what would be asked, at most, and stop."),
    click.option("--resume", metavar="RUN", help="Go on with a run that was cut short: its id, or `last`."),
    reporting.report_options,
    json_option,
)


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.command(
    "run",
    epilog="\b\nExamples:\n  promptops eval run regression\n"
    "  promptops eval run regression --repeats 5 --budget usd=2,requests=500\n"
    "  promptops eval run regression --last-failed\n  promptops eval run --resume last",
)
@click.argument("suites", nargs=-1, metavar="[SUITE]...")
@_options
def command(suites: tuple[str, ...], *, only_plan: bool, as_json: bool, **options: Any) -> int:
    """Ask one prompt all cases of SUITES, and score the answers.

    Exit code 1: a guardrail's limit is proved broken, another model answered, or (with --fail-on-expected) a case
    failed. 4: a limit is neither proved kept nor broken, its measure is below a validity floor, or not everything was
    answered. 0: none of these; where no suite states a limit, 0 says that everything was asked.
    """
    reporting.check(options["report"], options["output"], as_json=as_json)
    with Git() as git:
        folder, plan = _opened(git, suites, options)
        if only_plan:
            return _show_plan(plan, as_json=as_json)
        found = evaluating.conducted(plan, folder, new=options["resume"] is None)
    reporting.show(folder, options["report"], options["output"], by_tag=options["by_tag"], as_json=as_json)
    return summary.code(found, fail_on_expected=options["fail_on_expected"])


def _opened(git: Git, suites: tuple[str, ...], options: dict[str, Any]) -> tuple[store.Folder, Plan]:
    root, resume = store.default_root(git), options["resume"]
    if resume is None:
        plan = evaluating.planned(git, suites, options)
        folder = store.new(root)
        if options["last_failed"]:
            plan = evaluating.last_failed(root, plan)
    else:
        fixed = ("prompt", "revision", "repeats", "limit", "tags", "cases", "last_failed")
        if suites or any(options[name] for name in fixed):
            raise UsageError("a run that is resumed asks what it was started with", hint=f"eval run --resume {resume}")
        folder = store.find(root, resume)
        plan = evaluating.resumed(git, folder, options)
    plan.check()
    return folder, plan


def _show_plan(plan: Plan, *, as_json: bool) -> int:
    if as_json:
        echo_json({**plan.document(), "forecast": price.estimate(plan)._asdict()})
    else:
        click.echo("\n".join(evaluating.plan_lines(plan, plan.document())))
    return 0
