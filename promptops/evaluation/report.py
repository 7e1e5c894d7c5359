"""A canary's result for people and for programs."""

from __future__ import annotations

import os
import shutil
import textwrap
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Any

from promptops.evaluation.progress import Line
from promptops.text import counted, printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from promptops.evaluation.result import CanaryResult

_COLOURS = {"pass": "32", "fail": "31", "inconclusive": "33"}
_HEADER = ("suite", "metric", "baseline", "candidate", "difference", "interval", "margin", "n", "words", "verdict")
_TEXT_COLUMNS = 2
_NARROWEST = 40
_WIDEST = 160
_MOST_LINES = 12
_BAR = 24
_EVERY = 25


def as_json(result: CanaryResult) -> dict[str, Any]:
    """Return the result as JSON-able data."""
    return asdict(result)


def text(result: CanaryResult, *, width: int | None = None, colour: bool = False) -> str:
    """Return the result as text: a row per guardrail, the reasons, and the worst pair of replies.

    Args:
        result: what a canary found.
        width: columns; those of the terminal when None.
        colour: whether to use ANSI colours.
    """
    columns = width or terminal_width()
    against = f"against {result.baseline[7:19]}" if result.baseline else "first release, against absolute limits"
    lines = [f"{printable(result.prompt)} {printable(result.version)}, {result.candidate[7:19]} {against}", ""]
    lines += table(result.guardrails, colour=colour)
    lines += [_advised(row) for row in result.advisory]
    lines += [_judge(row) for row in result.judges]
    lines += ["", f"verdict: {_verdict(result.verdict, colour=colour)}{_attempts(result.attempts)}"]
    for reason in result.reasons:
        lines += textwrap.wrap(printable(reason), columns, initial_indent="  - ", subsequent_indent="    ")
    lines.append(spent(result))
    if result.examples:
        lines += ["", *(side_by_side if result.baseline else alone)(result.examples[0], columns)]
    return "\n".join(lines)


def table(rows: Sequence[dict[str, Any]], *, colour: bool = False) -> list[str]:
    """Return the lines of a table with one row per guardrail."""
    cells = [_HEADER, *[_cells(row) for row in rows]]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    lines = []
    for position, row in enumerate(cells):
        padded = [
            cell.ljust(width) if index < _TEXT_COLUMNS else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row[:-1], widths[:-1], strict=True))
        ]
        last = _verdict(row[-1], colour=colour) if position else row[-1]
        lines.append("  ".join([*padded, last]))
    return lines


def _advised(row: dict[str, Any]) -> str:
    """Return the line of a score that no verdict depends on."""
    name = printable(f"{row['suite']}/{row['metric']}")
    means = f"baseline {_number(row['baseline'])}, candidate {_number(row['candidate'])}"
    return f"not judged: {name}, {means}, n {row['n']}"


def _judge(row: dict[str, Any]) -> str:
    """Return the line of what is seen of a judge: it decides nothing."""
    before = "" if row["calibrated"] is None else f" ({row['calibrated']:.3f} when calibrated)"
    length = "no" if row["length"] is None else f"{row['length']:+.2f}"
    told = f"judge {printable(row['suite'])}/{printable(row['metric'])}: mean {row['level']:.3f}{before}"
    again = f", {row['same']} of {row['repeated']} repeated answers scored as before" if row["repeated"] else ""
    return f"{told}, {length} rank correlation with words{again}, n {row['n']}"


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    paired = row["baseline"] is not None
    bound = row["margin"] if paired or row.get("limit") is None else row["limit"]
    sign = "+" if paired else ""
    return (
        printable(str(row["suite"])),
        printable(str(row["metric"])),
        _number(row["baseline"]),
        _number(row["candidate"]),
        _number(row["difference"], "+"),
        f"[{row['low']:{sign}.3f}, {row['high']:{sign}.3f}]",
        f"{bound:g}" if paired else f"limit {bound:g}",
        str(row["n"]),
        _words(row.get("words") or {}),
        str(row["verdict"]),
    )


def _words(means: Mapping[str, float]) -> str:
    """Return how long a reply of each arm is: most scores move with it. What a harness asks is not known."""
    return " to ".join(f"{means[arm]:.0f}" for arm in ("baseline", "candidate") if arm in means) or "-"


def _number(value: float | None, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.3f}"


def _verdict(verdict: str, *, colour: bool) -> str:
    return f"\x1b[{_COLOURS[verdict]}m{verdict}\x1b[0m" if colour and verdict in _COLOURS else verdict


def _attempts(attempts: int) -> str:
    return "" if attempts <= 1 else f" (start {attempts} of a canary of this prompt against this baseline)"


def spent(result: CanaryResult) -> str:
    """Return one line about what the evidence cost so far."""
    calls = result.calls
    parts = [counted(round(calls.get("requests", 0)), "request"), f"{calls.get('tokens', 0):,.0f} tokens"]
    if calls.get("cost"):
        parts.append(f"cost {calls['cost']:.4f}")
    parts.append(f"{calls.get('seconds', 0):.0f} s")
    if calls.get("cases"):
        parts.append(f"{counted(round(calls['cases']), 'case')} in {counted(round(calls.get('rounds', 1)), 'round')}")
    for name, title in (("retried", "retried"), ("failed", "without a reply")):
        if calls.get(name):
            parts.append(f"{title}: {', '.join(f'{count} {kind}' for kind, count in sorted(calls[name].items()))}")
    if calls.get("excess"):
        parts.append(f"beyond the budget: {excess(calls)}")
    traffic = "recorded traffic" if result.traffic else "traffic (none is recorded: suites alone)"
    return f"spent: {', '.join(parts)}; share: {result.share * 100:.4g}% of {traffic}"


def excess(calls: Mapping[str, Any]) -> str:
    """Return what was billed beyond the budget, as text."""
    units = {"tokens": "{:,.0f} tokens", "usd": "{:.4f} USD"}
    return " and ".join(units[name].format(value) for name, value in calls["excess"].items())


def side_by_side(
    example: dict[str, str], columns: int, names: tuple[str, str] = ("baseline", "candidate")
) -> list[str]:
    """Return two replies next to each other, wrapped to ``columns``; untrusted text cannot steer the terminal."""
    half = (max(min(columns, _WIDEST), _NARROWEST) - 3) // 2
    title = f"worst pair: {example['metric']}, case {example['case']}"
    asked = _wrapped(example["input"], 2 * half + 3)
    left, right = _wrapped(example["baseline"], half), _wrapped(example["candidate"], half)
    body = [f"{names[0]:<{half}} | {names[1]}", f"{'-' * half}-+-{'-' * half}"]
    for number in range(max(len(left), len(right))):
        one, other = (side[number] if number < len(side) else "" for side in (left, right))
        body.append(f"{one:<{half}} | {other}".rstrip())
    return [printable(title), *asked, "", *body]


def alone(example: dict[str, str], columns: int) -> list[str]:
    """Return a reply that was compared with nothing."""
    width = max(min(columns, _WIDEST), _NARROWEST)
    title = f"worst reply: {example['metric']}, case {example['case']}"
    return [printable(title), *_wrapped(example["input"], width), "", *_wrapped(example["candidate"], width)]


def _wrapped(raw: str, width: int) -> list[str]:
    safe = printable(raw, keep_newlines=True).expandtabs(4)
    lines = [part for line in safe.split("\n") for part in (textwrap.wrap(line, width) or [""])]
    return lines if len(lines) <= _MOST_LINES else [*lines[: _MOST_LINES - 1], "..."]


def terminal_width() -> int:
    """Return the columns of the terminal; 100 where there is none."""
    return shutil.get_terminal_size((100, 24)).columns


def colourful(stream: IO[str]) -> bool:
    """Say whether ``stream`` is a terminal that wants colours (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class Progress:
    """How far a canary is: one line rewritten on a terminal, a line now and then elsewhere.

    Args:
        stream: where to write; standard error when None.
        expected: pairs that are likely to decide, where that is known.
    """

    def __init__(self, stream: IO[str] | None = None, *, expected: int = 0) -> None:
        self._line = Line(stream, every=_EVERY)
        self._expected = expected

    def __call__(
        self, pairs: int, requests: int, cost: float, rows: Sequence[dict[str, Any]], minimum: int = 0
    ) -> None:
        """Show the pairs judged so far, requests, money spent, and which guardrails are decided.

        The bar is full when one guardrail failed, or each is decided and ``minimum`` pairs were seen; not before.
        """
        decided = sum(row["verdict"] != "inconclusive" for row in rows)
        line = f"{counted(pairs, 'pair')}, {counted(requests, 'request')}"
        line += f", {decided} of {len(rows)} guardrails decided"
        if cost:
            line += f", cost {cost:.4f}"
        if self._line.live:
            goal = max(self._expected, minimum, 1)
            failed = any(row["verdict"] == "fail" for row in rows)
            done = failed or (decided == len(rows) and pairs >= minimum)
            filled = _BAR if done else min(_BAR * pairs // goal, _BAR - 1)
            line = f"[{'#' * filled}{'.' * (_BAR - filled)}] {line}"
        self._line.show(line, pairs)

    def close(self) -> None:
        """Leave the line."""
        self._line.close()
