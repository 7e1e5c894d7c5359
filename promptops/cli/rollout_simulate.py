"""``promptops rollout simulate``."""

from __future__ import annotations

import os

import click

from promptops.cli.opening import echo_json
from promptops.errors import UsageError
from promptops.repo.git import Git


@click.command(name="simulate", epilog="\b\nExample:\n  promptops rollout simulate support/reply --units-per-day 2000")
@click.argument("plan")
@click.option(
    "--units-per-day", type=click.FloatRange(0.001, 1e9), help="New users per day; default: that of the plan."
)
@click.option("--runs", type=click.IntRange(1, 100_000), default=500, show_default=True, help="Runs for each truth.")
@click.option("--days", type=click.IntRange(1, 3650), help="Days of a run; default: until the plan expires.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the random numbers.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(plan: str, units_per_day: float | None, runs: int, days: int | None, seed: int, *, as_json: bool) -> None:
    """Print what the plan PLAN (a prompt or a file) can be expected to do, by the rules that a rollout follows.

    For a release that changes nothing, harms a guardrail a little, by its margin, or by twice that, and for one that
    pleases while it harms: shares of runs that end in promotion, rollback or neither, when, and how many users had it.
    """
    from promptops.rollout import operating, simulate
    from promptops.rollout.plan import DAY, Plan

    path = operating.plan_path(plan)
    with Git() as git:
        root = git.root
    parsed = Plan.parse(path, operating.read(os.path.join(root, path), path))
    units = units_per_day if units_per_day is not None else parsed.units_per_day
    if units is None or units != units:  # noqa: PLR0124  nan, which no range leaves out
        raise UsageError("how many users come in a day?", hint="--units-per-day N, or units_per_day in the plan")
    days = days or -(-parsed.expires // DAY)
    rows = simulate.simulate(parsed, simulate.truths(parsed), units_per_day=units, days=days, runs=runs, seed=seed)
    if as_json:
        echo_json(operating.document(parsed, rows, units=units, days=days, runs=runs, seed=seed))
    else:
        click.echo("\n".join(operating.table(rows, units=units, days=days, runs=runs)))
