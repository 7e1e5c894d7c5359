"""Charts as SVG inside a page: confidence sequences and weights over days. Colours are the page's, by class."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from promptops.rollout.plan import DAY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promptops.rollout.story import Point

_WIDTH, _HEIGHT = 760, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 12, 10, 24
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Span(NamedTuple):
    """A time with constant weights: seconds since 1970, shares of canary and baseline, and the state."""

    begin: int
    end: int
    canary: float
    baseline: float
    state: str


class _Frame:
    """Maps values to places in the picture."""

    def __init__(self, begin: float, end: float, low: float, high: float) -> None:
        self.begin, self.end, self.low, self.high = begin, end, low, high

    def x(self, value: float) -> str:
        whole = (self.end - self.begin) or 1.0
        return f"{_LEFT + (value - self.begin) / whole * (_WIDTH - _LEFT - _RIGHT):.1f}"

    def y(self, value: float) -> str:
        value = min(max(value, self.low), self.high)
        whole = (self.high - self.low) or 1.0
        return f"{_HEIGHT - _BOTTOM - (value - self.low) / whole * (_HEIGHT - _TOP - _BOTTOM):.1f}"

    def axes(self, marks: Sequence[tuple[float, str]]) -> str:
        parts = [
            f'<line class="axis" x1="{_LEFT}" y1="{self.y(self.low)}" x2="{_WIDTH - _RIGHT}" y2="{self.y(self.low)}"/>',
            f'<text x="{_LEFT}" y="{_HEIGHT - 7}">{date(self.begin)}</text>',
            f'<text class="end" x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 7}">{date(self.end)}</text>',
        ]
        parts += [
            f'<text class="end" x="{_LEFT - 6}" y="{float(self.y(value)) + 4:.1f}">{escape(words)}</text>'
            for value, words in marks
        ]
        return "".join(parts)

    def level(self, value: float, kind: str) -> str:
        return f'<line class="{kind}" x1="{_LEFT}" y1="{self.y(value)}" x2="{_WIDTH - _RIGHT}" y2="{self.y(value)}"/>'

    def upright(self, value: float) -> str:
        return f'<line class="step" x1="{self.x(value)}" y1="{_TOP}" x2="{self.x(value)}" y2="{_HEIGHT - _BOTTOM}"/>'


def date(seconds: float) -> str:
    """Return the UTC day of a time in seconds since 1970."""
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%d")


def _picture(title: str, body: str) -> str:
    head = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"><title>{escape(title)}</title>'
    return f"{head}{body}</svg>"


def sequence(title: str, points: Sequence[Point], limit: float | None, steps: Sequence[int]) -> str:
    """Return the picture of a metric: estimate and bounds over days, no difference, and the margin.

    Args:
        title: for readers who do not see it.
        points: at least one, by day.
        limit: the effect that would be worse by the margin, or None.
        steps: when the stage changed, seconds since 1970.
    """
    known = [each for point in points for each in (point.low, point.high) if each is not None]
    # Early bounds are so wide that nothing else could be seen: the scale is that of the later half, and the margin.
    late = [each for point in points[len(points) // 2 :] for each in (point.low, point.high) if each is not None]
    values = [0.0, *(point.estimate for point in points), *(late or known), *([limit] if limit is not None else [])]
    room = 0.1 * ((max(values) - min(values)) or 1.0)
    begin, end = points[0].day * DAY, (points[-1].day + 1) * DAY
    frame = _Frame(begin, end, min(values) - room, max(values) + room)
    bounded = [(frame.x((point.day + 1) * DAY), point) for point in points]
    band = [(x, point.low, point.high) for x, point in bounded if point.low is not None and point.high is not None]
    parts = [frame.upright(step) for step in steps if begin < step < end]
    if band:
        corners = [f"{x},{frame.y(high)}" for x, _, high in band] + [f"{x},{frame.y(low)}" for x, low, _ in band[::-1]]
        parts.append(f'<polygon class="band" points="{" ".join(corners)}"/>')
    parts.append(frame.level(0.0, "none"))
    if limit is not None:
        parts.append(frame.level(limit, "margin"))
    line = " ".join(f"{x},{frame.y(point.estimate)}" for x, point in bounded)
    parts.append(f'<polyline class="line" points="{line}"/>')
    parts += [f'<circle class="dot" cx="{x}" cy="{frame.y(point.estimate)}" r="2.5"/>' for x, point in bounded]
    marks = [(0.0, "0"), *([(limit, f"{limit:+.3g}")] if limit is not None else [])]
    return _picture(title, "".join(parts) + frame.axes(marks))


def timeline(title: str, spans: Sequence[Span]) -> str:
    """Return the picture of the weights: canary from below, baseline from above, what is frozen or paused marked."""
    frame = _Frame(spans[0].begin, spans[-1].end, 0.0, 1.0)
    parts = []
    for span in spans:
        left, right = float(frame.x(span.begin)), float(frame.x(span.end))
        wide = f'x="{left:.1f}" width="{max(right - left, 0.5):.1f}"'
        bottom, top = float(frame.y(0.0)), float(frame.y(1.0))
        low, high = float(frame.y(span.canary)), float(frame.y(1.0 - span.baseline))
        if span.state in {"paused", "frozen"}:
            parts.append(f'<rect class="still" {wide} y="{top:.1f}" height="{bottom - top:.1f}"/>')
        parts.append(f'<rect class="canary" {wide} y="{low:.1f}" height="{bottom - low:.1f}"/>')
        parts.append(f'<rect class="baseline" {wide} y="{top:.1f}" height="{high - top:.1f}"/>')
    return _picture(title, "".join(parts) + frame.axes([(0.0, "0 %"), (0.5, "50 %"), (1.0, "100 %")]))
