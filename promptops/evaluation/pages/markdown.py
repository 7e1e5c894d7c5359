"""A run, or two of them, as Markdown: for a comment on a change or a job's summary."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from promptops.evaluation.runs import text
from promptops.text import counted, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from promptops.evaluation.runs.comparison import Pair

_MOST = 20
_RUN = ("suite", "metric", "mean", "95 % interval", "cases", "n", "readable", "words", "limit")
_PAIRS = ("suite", "metric", "first", "second", "difference", "95 % interval", "cases", "n", "words")
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|~@:<>&])")


def render(settings: Mapping[str, Any], document: Mapping[str, Any], failures: Iterable[Mapping[str, Any]]) -> str:
    """Return the report of a run.

    Args:
        settings: the run's ``run.json``.
        document: its summary.
        failures: its failed results; the first ones are shown.
    """
    parts = [f"## {plain(settings['prompt'])} {plain(settings['version'])}", "", plain(text.title(settings)), ""]
    parts += _table(_RUN, [text.cells(row) for row in document["rows"]])
    parts += _invalid(document["rows"])
    parts += ["", *(f"- {plain(line)}" for line in text.totals(document, settings))]
    for count, line in enumerate(failures):
        if count == _MOST:
            parts += ["", f"More than {_MOST} failed; `promptops eval show` has them all."]
            break
        parts += ["" if count else "\n### Failed\n", *_failure(line)]
    return "\n".join([*parts, ""])


def render_pairs(found: Mapping[str, Any], worst: Iterable[tuple[str, Pair]]) -> str:
    """Return the report of a comparison.

    Args:
        found: from `promptops.evaluation.runs.comparison.compare`.
        worst: pairs to show, each with the metric that it is shown for.
    """
    parts = [f"## {plain(found['base'])} and {plain(found['other'])}", ""]
    parts += [f"- {name}: {plain(title)}" for name, title in zip(("first", "second"), found["titles"], strict=True)]
    parts.append("")
    parts += _table(_PAIRS, [text.compared(row) for row in found["rows"]])
    parts += _invalid(found["rows"])
    parts += ["", f"{counted(found['pairs'], 'pair')} of the same case and replicate; second minus first."]
    for count, (metric, pair) in enumerate(worst):
        parts += ["" if count else "\n### Worst pairs\n", f"**{plain(metric)}**, {plain(text.name_of(pair.other))}", ""]
        for title, line in (("first", pair.base), ("second", pair.other)):
            parts += [f"{title}:", "", *fenced("\n".join(text.case(line)[1:]))]
    return "\n".join([*parts, ""])


def _failure(line: Mapping[str, Any]) -> list[str]:
    reasons = "; ".join(map(plain, text.reasons(line)))
    return [f"**{plain(text.name_of(line))}**: {reasons}", "", *fenced("\n".join(text.case(line)[1:]))]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ["---", "---", *["--:"] * (len(header) - 2)], *([plain(cell) for cell in row] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def _invalid(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    found = [f"- {plain(row['suite'])}/{plain(row['metric'])}: {plain(why)}" for row in rows for why in row["invalid"]]
    return ["", *found] if found else []


def plain(value: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return _MARKUP.sub(r"\\\1", printable(value)).replace("\\<", "&lt;").replace("\\&", "&amp;").replace("\\@", "&#64;")


def fenced(value: str) -> list[str]:
    """Return text as a block that nothing in it can end."""
    safe = printable(value, keep_newlines=True)
    longest = max(map(len, re.findall("`+", safe)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", safe, fence]
