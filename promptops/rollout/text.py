"""A running rollout for people at a terminal: arms, days, what each metric says, and what is missing.

The bar of a metric lies between twice its margin better (left) and twice its margin worse (right): ``=`` from bound to
bound, ``o`` the estimate, ``|`` no difference, ``!`` the margin. A bound beyond the end is ``<`` or ``>``. A guardrail
is proved once nothing of ``=`` reaches ``!``.
"""

from __future__ import annotations

import shutil
import textwrap
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.rollout.plan import DAY, HOUR, MINUTE
from promptops.runtime.assignment import SLOTS
from promptops.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from promptops.rollout.plan import Measure, Plan
    from promptops.rollout.state import Missing, Reading, Verdict

_BAR = 25
_NAME = 24
_NARROW = 60
_WIDEST = 120


class Status(NamedTuple):
    """What there is to tell.

    Attributes:
        prompt: its name.
        environment: where it runs.
        rollout: member ``rollout`` of the newest decision.
        plan: the plan of the rollout.
        verdict: of a look right now, or None where nobody looked.
        now: seconds since 1970.
        notes: further lines, such as why no evidence could be read.
    """

    prompt: str
    environment: str
    rollout: Mapping[str, Any]
    plan: Plan
    verdict: Verdict | None
    now: int
    notes: Sequence[str] = ()


def render(status: Status, *, width: int | None = None) -> list[str]:
    """Return the lines; none is wider than ``width`` columns.

    Args:
        status: what to tell.
        width: columns; by default those of the terminal, at most 120.
    """
    columns = max(_NARROW, min(width or shutil.get_terminal_size((100, 24)).columns, _WIDEST))
    lines = [*_head(status), ""]
    if status.verdict is not None:
        measures = {measure.name: measure for measure in status.plan.measures}
        names = [_cut(name, _NAME) for name in measures]
        room = max(map(len, names))
        for reading in status.verdict.readings:
            lines += _reading(reading, measures[reading.metric], room, columns)
        lines += ["", *_next(status, status.verdict)]
    lines += [f"note: {note}" for note in status.notes]
    return [part for line in lines for part in _wrapped(line, columns)]


def _head(status: Status) -> list[str]:
    rollout, plan, now = status.rollout, status.plan, status.now
    arms, weights = rollout["arms"], rollout["weights"]
    canary, baseline = (weights[arm] / SLOTS for arm in ("canary", "baseline"))
    place = rollout["stage"] + 1
    stage = plan.stages[rollout["stage"]] if rollout["stage"] <= plan.last else plan.stages[-1]
    rest = max(0.0, 1 - canary - baseline)
    state = rollout["state"] + (", dry run: nobody is moved" if plan.dry_run else "")
    return [
        f"{status.prompt} in {status.environment}: {state}",
        f"canary   {canary:8.4%}  {arms['canary']['tag']}",
        f"baseline {baseline:8.4%}  {arms['baseline']['tag']}",
        f"others   {rest:8.4%}",
        f"stage    {place} of {len(plan.stages)}  {stage.share}, {_of(now - rollout['since'], stage.dwell)} at least",
        f"rollout  {rollout['id']}, {_of(now - rollout['started'], plan.expires)} at most",
    ]


def _of(passed: int, whole: int) -> str:
    return f"{span(passed)} of {span(whole)}"


def _reading(reading: Reading, measure: Measure, room: int, columns: int) -> list[str]:
    """Return one line, or two where the terminal is narrow."""
    name = _cut(reading.metric, _NAME).ljust(room)
    said = f"{reading.role:9} {reading.state}"
    numbers = "no estimate yet"
    if reading.estimate is not None:
        numbers = f"{reading.estimate:+.4f}"
        if reading.low is not None and reading.high is not None:
            numbers += f" [{reading.low:+.4f}, {reading.high:+.4f}]"
    if reading.margin is not None:
        numbers += f" margin {reading.margin:g}"
    numbers += f" n {reading.n:,}"
    line = f"{name} {bar(reading, measure)} {numbers}"
    whole = f"{line}  {said}"
    return [whole] if len(whole) <= columns else [f"{name} {said}", f"  {bar(reading, measure)} {numbers}"]


def bar(reading: Reading, measure: Measure) -> str:
    """Return the metric's bar, better to the left; see the head of the module."""
    cells = [" "] * _BAR
    margin = reading.margin if measure.role != "proxy" else None
    ends = [each for each in (reading.low, reading.high) if each is not None]
    scale = 2 * margin if margin else max((abs(each) for each in ends), default=abs(reading.estimate or 0.0)) * 1.25
    scale = scale or 1.0

    def place(worsening: float) -> int:
        return round((worsening / scale + 1) / 2 * (_BAR - 1))

    if len(ends) == 2:
        low, high = sorted(place(measure.worsening(each)) for each in ends)
        for cell in range(max(low, 0), min(high, _BAR - 1) + 1):
            cells[cell] = "="
        if low < 0:
            cells[0] = "<"
        if high >= _BAR:
            cells[-1] = ">"
    cells[place(0.0)] = "|"
    if margin:
        cells[place(margin)] = "!"
    if reading.estimate is not None:
        cells[min(max(place(measure.worsening(reading.estimate)), 0), _BAR - 1)] = "o"
    return f"[{''.join(cells)}]"


def _next(status: Status, verdict: Verdict) -> list[str]:
    lines = [f"{verdict.action}: {reason}" for reason in verdict.reasons]
    if verdict.missing:
        when = "nobody can say when" if verdict.expected is None else _at(verdict.expected, status.now)
        lines.append(f"until the next step ({when}):")
        lines += [f"  {missing_words(each, status.now)}" for each in verdict.missing]
    return lines


def missing_words(missing: Missing, now: int) -> str:
    """Return in words what is missing, how far it is, and when it is expected."""
    have, need = missing.have or 0.0, missing.need or 0.0
    name = missing.metric or "a guardrail that is no feedback"
    words = {
        "dwell": f"{span(int(need - have))} more in this stage",
        "units": f"{name}: {need - have:,.0f} more matured units in the smaller arm ({have:,.0f} of {need:,.0f})",
        "data": "valid data",
        "person": "a person's decision",
    }
    if missing.what == "proof":
        text = f"{name}: not proved"
        if missing.have is not None:
            text = f"{name}: may be worse by {have:.4g}, and {need:.4g} is tolerated"
    else:
        text = words[missing.what]
    if missing.what in {"data", "person"} or (missing.what == "proof" and missing.metric is None):
        return text
    return f"{text}; {'not at this rate' if missing.expected is None else _at(missing.expected, now)}"


def span(seconds: int) -> str:
    """Return a time in its two largest units, such as ``3 d 4 h``."""
    if seconds < MINUTE:
        return "0 min"
    parts = []
    for size, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        amount, seconds = divmod(seconds, size)
        if amount:
            parts.append(f"{amount} {name}")
    return " ".join(parts[:2])


def _at(moment: int, now: int) -> str:
    day = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"expected {day}, in {span(moment - now)}" if moment > now else "expected with the next evidence"


def _wrapped(line: str, columns: int) -> list[str]:
    safe = printable(line).rstrip()
    if len(safe) <= columns:
        return [safe]
    indent = " " * (len(safe) - len(safe.lstrip()))
    return textwrap.wrap(safe.strip(), columns, initial_indent=indent, subsequent_indent=indent + "    ")


def _cut(text: str, width: int) -> str:
    safe = printable(text)
    return safe if len(safe) <= width else safe[: width - 3] + "..."
