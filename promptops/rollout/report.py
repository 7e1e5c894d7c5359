"""A rollout as one HTML page that loads nothing: weights, confidence sequences, decisions, forecast and outcome.

The page has no script, its own policy lets nothing be fetched and no other style apply, and every text is escaped.
"""

from __future__ import annotations

import base64
import hashlib
import time
from html import escape
from typing import TYPE_CHECKING, Any

from promptops.errors import InputError
from promptops.registry import data
from promptops.rollout import drawing, operating, simulate
from promptops.rollout.plan import DAY
from promptops.rollout.text import span
from promptops.runtime.assignment import SLOTS
from promptops.text import counted, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from promptops.rollout.plan import Measure
    from promptops.rollout.story import Point, Step, Story

_POINTS = ("day", "units in the smaller arm", "canary minus baseline", "lower bound", "upper bound")
_DECISIONS = ("no.", "when (UTC)", "decision", "state", "stage", "reasons", "evidence")
_MOST_ROWS = 400


def render(story: Story, *, runs: int, now: int) -> str:
    """Return the page.

    Args:
        story: the rollout.
        runs: of the simulation that the outcome is held against.
        now: seconds since 1970; the end of the picture while the rollout runs.
    """
    last = story.steps[-1]
    title = f"{story.first.prompt} in {story.first.environment}: {last.rollout.canary.tag}"
    about = (
        f"Rollout {last.rollout.id}, {last.rollout.state}, against {last.rollout.baseline.tag};"
        f" {counted(len(story.steps), 'decision')}. What stands here was read from the decisions;"
        " promptops rollout verify checks them."
    )
    sections = [
        _section("Weights", _timeline(story, now)),
        _section("Metrics", _metrics(story)),
        _section("Decisions", _decisions(story.steps)),
        _section("Forecast and outcome", _forecast(story, runs)),
    ]
    return _page(title, about, sections)


def _page(title: str, about: str, sections: Sequence[str]) -> str:
    style = data.read("templates", "report", "rollout.css").decode()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>{_text(title)}</title>\n<style>{style}</style>\n</head>\n<body>",
            f'<h1>{_text(title)}</h1>\n<p class="muted">{_text(about)}</p>',
            *sections,
            "</body>\n</html>\n",
        ]
    )


def _section(title: str, body: str) -> str:
    return f"<section><h2>{_text(title)}</h2>{body}</section>"


def _timeline(story: Story, now: int) -> str:
    ends = [step.decision.time for step in story.steps[1:]]
    last = story.steps[-1]
    ends.append(max(now, last.decision.time) if last.rollout.alive else last.decision.time + DAY)
    spans = [
        drawing.Span(
            step.decision.time,
            max(end, step.decision.time),
            step.rollout.weights[0] / SLOTS,
            step.rollout.weights[1] / SLOTS,
            step.rollout.state,
        )
        for step, end in zip(story.steps, ends, strict=True)
    ]
    legend = (
        '<p class="legend"><span class="key canary"></span>new release, from below'
        '<span class="key baseline"></span>baseline, from above<span class="key still"></span>paused or frozen</p>'
    )
    return drawing.timeline("Weights of the arms over time", spans) + legend


def _metrics(story: Story) -> str:
    changes = [
        step.decision.time
        for before, step in zip(story.steps, story.steps[1:], strict=False)
        if step.rollout.stage != before.rollout.stage
    ]
    legend = (
        '<p class="legend"><span class="key line"></span>canary minus baseline<span class="key band"></span>one-sided'
        f' bounds, each at {1 - story.plan.alpha.advance:.0%}<span class="key margin"></span>margin: worse is not'
        " tolerated</p>"
    )
    return legend + "".join(_metric(story, measure, changes) for measure in story.plan.measures)


def _metric(story: Story, measure: Measure, changes: Sequence[int]) -> str:
    points = story.points(measure)
    better = "lower" if measure.lower else "higher"
    shown = " (shown only)" if measure.dry_run else ""
    head = f"<h3>{_text(measure.name)}</h3><p>{_text(f'{measure.role}{shown}, {better} is better')}</p>"
    if not points:
        return f'<article>{head}<p class="muted">no evidence yet</p></article>'
    stage = min(story.steps[-1].rollout.stage, story.plan.last)
    margin = None if measure.role == "proxy" else story.plan.margin(measure, stage)
    limit = None if margin is None else measure.worsening(margin)
    title = f"{measure.name}: {points[-1].estimate:+.4f} after {counted(len(points), 'day')}"
    rows = [_row(point) for point in points[-_MOST_ROWS:]]
    numbers = f"<details><summary>numbers</summary>{_table(_POINTS, rows)}</details>"
    return f"<article>{head}{drawing.sequence(printable(title), points, limit, changes)}{numbers}</article>"


def _row(point: Point) -> tuple[str, ...]:
    bounds = ("" if each is None else f"{each:+.5f}" for each in (point.low, point.high))
    return (drawing.date(point.day * DAY), f"{point.units:,}", f"{point.estimate:+.5f}", *bounds)


def _decisions(steps: Sequence[Step]) -> str:
    rows = []
    for step in steps[-_MOST_ROWS:]:
        decision, rollout = step
        said = [*dict.fromkeys([decision.reason, *rollout.reasons])]
        rows.append(
            (
                str(decision.sequence),
                time.strftime("%Y-%m-%d %H:%M", time.gmtime(decision.time)),
                decision.action,
                rollout.state,
                f"{rollout.stage + 1} ({rollout.share})",
                "\n".join([*said, *_readings(rollout.verdict)]),
                (rollout.evidence or "").removeprefix("sha256:")[:12],
            )
        )
    return f'<div class="scroll">{_table(_DECISIONS, rows)}</div>'


def _readings(verdict: Any) -> list[str]:
    """Return a line per metric of a stored verdict, which may be anybody's JSON."""
    found = verdict.get("readings") if isinstance(verdict, dict) else None
    lines = []
    for each in found if isinstance(found, list) else ():
        if isinstance(each, dict):
            numbers = ", ".join(f"{name} {each[name]}" for name in ("estimate", "low", "high", "n") if name in each)
            lines.append(f"{each.get('metric')}: {each.get('state')}; {numbers}")
    return lines


def _forecast(story: Story, runs: int) -> str:
    plan, last = story.plan, story.steps[-1]
    exposed = story.exposed()
    days = (last.decision.time - story.first.time) / DAY
    outcome = [
        f"Outcome: {last.rollout.state} after {span(int(days * DAY))}, by the decision {last.decision.action}.",
        f"{exposed[-1][1] if exposed else 0:,} users had seen the new release by the newest evidence.",
        *_rates(story),
    ]
    told = "".join(f"<li>{_text(line)}</li>" for line in outcome)
    if plan.units_per_day is None:
        return f'<ul>{told}</ul><p class="muted">No forecast: the plan has no units_per_day.</p>'
    length = -(-plan.expires // DAY)
    try:
        rows = simulate.simulate(
            plan, simulate.truths(plan), units_per_day=plan.units_per_day, days=length, runs=runs, seed=1
        )
    except InputError as error:
        return f'<ul>{told}</ul><p class="muted">{_text(f"No forecast: {error.message}.")}</p>'
    about = f"Forecast: this plan in {runs:,} simulated runs each, with {plan.units_per_day:,.0f} new users a day."
    table = _table(operating.HEAD, [operating.cells(row) for row in rows])
    return f'<ul>{told}</ul><p>{_text(about)}</p><div class="scroll">{table}</div>'


def _rates(story: Story) -> Iterable[str]:
    """Yield what the plan supposed of the old release and of traffic, beside what was seen."""
    if story.evidence is None:
        return
    supposed = story.plan.units_per_day
    seen: dict[int, int] = {}
    for row in story.evidence.exposed:
        seen[row.day] = seen.get(row.day, 0) + row.canary + row.baseline + row.stable
    if supposed and seen:
        yield f"New users a day: {supposed:,.0f} supposed, {sum(seen.values()) / len(seen):,.0f} seen."
    for measure in story.plan.measures:
        series = story.evidence.metrics.get(measure.name)
        rows = [row for row in series.days if row.arm == "baseline"] if series else []
        below = sum(row.d if series and series.kind == "ratio" else row.n for row in rows)
        if measure.baseline is not None and below:
            found = sum(row.s for row in rows) / below
            yield f"{measure.name} of the old release: {measure.baseline:g} supposed, {found:.4g} seen."


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{_text(cell)}</th>' for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _text(value: str) -> str:
    return escape(printable(value, keep_newlines=True), quote=True)
