"""A run as text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from promptops.evaluation.progress import Line
from promptops.text import counted, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import IO

    from promptops.evaluation.runs.asking import State

NOT_VALID = "not valid here"
_HEADER = ("suite", "metric", "mean", "95% interval", "cases", "n", "readable", "words", "limit")
_TEXT_COLUMNS = 2
_BAR = 24
_EXCERPT = 300
_EVERY = 50
_WORSE = {"lower": "at most", "higher": "at least"}


def summary(settings: Mapping[str, Any], document: Mapping[str, Any], *, by_tag: bool = False) -> list[str]:
    """Return the lines of a run's summary.

    Args:
        settings: the run's ``run.json``.
        document: its summary.
        by_tag: whether a table per tag follows.
    """
    lines = [title(settings), "", *table(document["rows"])]
    if by_tag:
        for tag, rows in document["tags"].items():
            lines += ["", f"tag {printable(tag)}", *table(rows)]
    lines += ["", *totals(document, settings)]
    return lines


def title(settings: Mapping[str, Any]) -> str:
    """Return what was asked, in one line."""
    where = f"at {settings['revision'][:12]}" if settings["revision"] else "of the work tree"
    suites = ", ".join(settings["suites"])
    return printable(
        f"{settings['prompt']} {settings['version']} {where}, {settings['configuration'][7:19]},"
        f" on {settings['model']['requested']}; suites: {suites}"
    )


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a table with a row per metric; a metric below its floor has no number, and the reason below."""
    if not rows:
        return ["no scores"]
    lines = columns([_HEADER, *map(cells, rows)], _TEXT_COLUMNS)
    for row in rows:
        lines += [f"  {printable(row['suite'])}/{printable(row['metric'])}: {printable(why)}" for why in row["invalid"]]
        if row["barred"] and row["guardrail"]:
            lines.append(f"  {printable(row['suite'])}/{printable(row['metric'])}: {printable(row['barred'])}")
        lines += [f"  floor {printable(floor['name'])}: {_floor(floor)}" for floor in row["floors"]]
    return lines


def columns(rows: Sequence[Sequence[str]], left: int) -> list[str]:
    """Return rows of cells as lines, the first ``left`` columns to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = [
        [
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in rows
    ]
    return ["  ".join(row).rstrip() for row in padded]


def _floor(floor: Mapping[str, Any]) -> str:
    return f"{number(floor['mean'])}, asked for {floor['bounds']}: {floor['standing']}"


def cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the cells of a metric's row; a mean below its validity floor is no number."""
    rail = row["guardrail"]
    limit = "" if rail is None else f"{_WORSE[rail['direction']]} {rail['limit']:g}: {rail['verdict']}"
    valid = not row["invalid"] and row["mean"] is not None
    return (
        printable(row["suite"]),
        printable(row["metric"]),
        number(row["mean"]) if valid else NOT_VALID,
        f"[{row['low']:.3f}, {row['high']:.3f}]" if valid else "-",
        str(row["cases"]),
        str(row["n"]),
        f"{row['readable']:.0%}",
        number(row["words"], ".0f"),
        limit,
    )


def totals(document: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    """Return what was asked, failed and spent, and what is wrong with the run as a whole."""
    found, calls = document["totals"], document.get("calls", {})
    asked = sum(count["asked"] for count in settings["counts"].values())
    lines = [f"asked: {found['asked']:,} of {asked:,}; {found['failed']:,} failed their own `expect`"]
    if found["without_reply"]:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(found["without_reply"].items()))
        lines.append(f"without a reply: {kinds}")
    if calls:
        cost = f", {calls['cost']:.4f} {settings['model']['currency']}" if calls["cost"] else ""
        requests = counted(calls["requests"], "request")
        lines.append(f"spent: {requests}, {calls['tokens']:,.0f} tokens{cost}, {calls['seconds']:.0f} s")
    if document.get("exhausted"):
        lines.append(f"incomplete: the budget of {document['exhausted']} is used up")
    elif "complete" not in document:
        lines.append("incomplete: the run has not come to an end")
    for model, count in document["moved"].items():
        lines.append(f"another model answered: {printable(model) or 'one without a name'}, {counted(count, 'case')}")
    return lines


_COMPARED = ("suite", "metric", "first", "second", "difference", "95% interval", "cases", "n", "words")


def comparison(found: Mapping[str, Any]) -> list[str]:
    """Return the differences of two runs as a table."""
    lines = columns([_COMPARED, *map(compared, found["rows"])], _TEXT_COLUMNS)
    for row in found["rows"]:
        lines += [f"  {printable(row['suite'])}/{printable(row['metric'])}: {printable(why)}" for why in row["invalid"]]
    asked = [f"{name}: {title}" for name, title in zip(("first", "second"), found["titles"], strict=True)]
    return [*asked, "", *lines, "", f"{counted(found['pairs'], 'pair')} of the same case and replicate"]


def compared(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the cells of a metric's differences; there are none where a validity floor does not hold."""
    valid = not row["invalid"]
    return (
        printable(row["suite"]),
        printable(row["metric"]),
        number(row["base"]) if valid else NOT_VALID,
        number(row["other"]) if valid else NOT_VALID,
        number(row["difference"], "+.3f") if valid else "-",
        f"[{row['low']:+.3f}, {row['high']:+.3f}]" if valid else "-",
        str(row["cases"]),
        str(row["n"]),
        " and ".join(number(words, ".0f") for words in row["words"]),
    )


def number(value: float | None, form: str = ".3f") -> str:
    """Return a number as text, ``-`` for none."""
    return "-" if value is None else format(value, form)


def case(line: Mapping[str, Any]) -> list[str]:
    """Return a result in full: what was said, answered and scored."""
    lines = [name_of(line)]
    if line["tags"]:
        lines.append(f"tags: {printable(', '.join(line['tags']))}")
    if line.get("failure"):
        return [*lines, f"no reply: {printable(line['failure']['message'])}"]
    for name, session in line["views"].items():
        lines += [f"[{printable(name)}]"] * bool(name)
        for turn in session:
            lines += _quoted("> ", turn["said"]) + _quoted("  ", turn["text"])
            lines += [f"  tool call: {printable(str(call.get('function')))}" for call in turn.get("tool_calls", ())]
    marks = ", ".join(f"{printable(name)} {number(score)}" for name, score in line["scores"].items())
    lines += [f"scores: {marks}"] * bool(marks)
    lines += [f"does not hold: {printable(unmet)}" for unmet in line["unmet"]]
    return lines


def failures(lines: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a paragraph for each failed case."""
    found = []
    for line in lines:
        found.append(name_of(line))
        found += [f"  {printable(why)}" for why in reasons(line)]
        replies = [session[-1]["text"] for session in line.get("views", {}).values() if session]
        found += [f"  reply: {printable(excerpt(reply))}" for reply in replies]
    return found


def name_of(line: Mapping[str, Any]) -> str:
    """Return how a result is called."""
    return printable(f"{line['suite']}/{line['case']}, replicate {line['replicate']}")


def reasons(line: Mapping[str, Any]) -> list[str]:
    """Return why a result counts as failed."""
    if line.get("failure"):
        return [f"no reply ({line['failure']['kind']}): {line['failure']['message']}"]
    return list(line["unmet"]) or ["its own `expect` does not hold"]


def excerpt(text: str) -> str:
    """Return the beginning of a long text."""
    return text if len(text) <= _EXCERPT else text[:_EXCERPT] + " ..."


def _quoted(mark: str, text: str) -> list[str]:
    return [mark + part for part in printable(text, keep_newlines=True).split("\n")]


class Progress:
    """How far a run is: one line rewritten on a terminal, a line now and then elsewhere.

    Args:
        currency: of the model's price.
        stream: where to write; standard error when None.
    """

    def __init__(self, currency: str, stream: IO[str] | None = None) -> None:
        self._line = Line(stream, every=_EVERY)
        self._currency = currency

    def __call__(self, state: State) -> None:
        """Show it."""
        text = f"{state.done:,} of {state.total:,}, {state.failed:,} failed, {counted(state.requests, 'request')}"
        if state.cost:
            text += f", {state.cost:.4f} {self._currency}"
        if self._line.live:
            filled = _BAR * state.done // max(state.total, 1)
            text = f"[{'#' * filled}{'.' * (_BAR - filled)}] {text}"
        self._line.show(text, state.done)

    def close(self) -> None:
        """Leave the line."""
        self._line.close()
