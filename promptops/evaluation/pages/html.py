"""A run, or two of them side by side, as one HTML page that loads nothing.

All of it can be read without JavaScript; the script filters by case, turn and metric. The page's own policy lets no
other script or style run than the two that are part of it, and nothing be fetched, so that a reply which slipped
through could do nothing either; every text is escaped all the same.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import TYPE_CHECKING, Any

from promptops.evaluation.pages import words
from promptops.evaluation.runs import text
from promptops.evaluation.runs.summary import failed
from promptops.registry import data
from promptops.text import counted, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from promptops.evaluation.pages.words import Piece
    from promptops.evaluation.runs.comparison import Pair

# A browser bears so many cases with ease; the folder of the run has them all.
MOST = 2000
_NAMES = ("first", "second")
_SIDES = "of the same case and replicate: the first run left, the second right, differing words marked"
_RUN = ("suite", "metric", "mean", "95 % interval", "cases", "n", "readable", "words", "limit")
_PAIRS = ("suite", "metric", "first", "second", "difference", "95 % interval", "cases", "n", "words")


def render(
    settings: Mapping[str, Any], document: Mapping[str, Any], lines: Iterable[Mapping[str, Any]], left_out: int = 0
) -> str:
    """Return the page of a run.

    Args:
        settings: the run's ``run.json``.
        document: its summary.
        lines: the results to show.
        left_out: how many others there are.
    """
    shown = list(lines)
    return _page(
        (f"{settings['prompt']} {settings['version']}", text.title(settings)),
        _table(_RUN, [text.cells(row) for row in document["rows"]]),
        [*_invalid(document["rows"]), *text.totals(document, settings)],
        [_case(line) for line in shown],
        _Filters(shown, left_out, differ=False),
    )


def render_pairs(found: Mapping[str, Any], pairs: Iterable[Pair], left_out: int = 0) -> str:
    """Return the page of a comparison.

    Args:
        found: from `promptops.evaluation.runs.comparison.compare`.
        pairs: the pairs to show.
        left_out: how many others there are.
    """
    shown = list(pairs)
    return _page(
        (f"{found['base']} and {found['other']}", f"{counted(found['pairs'], 'pair')} {_SIDES}"),
        _table(_PAIRS, [text.compared(row) for row in found["rows"]]),
        [*(f"{name}: {each}" for name, each in zip(_NAMES, found["titles"], strict=True)), *_invalid(found["rows"])],
        [_pair(pair) for pair in shown],
        _Filters([pair.other for pair in shown], left_out, differ=True),
    )


class _Filters:
    """The form above the cases; the script shows it."""

    def __init__(self, lines: Sequence[Mapping[str, Any]], left_out: int, *, differ: bool) -> None:
        self._metrics = sorted({name for line in lines for name in line.get("scores", ())})
        self._turns = max((len(view) for line in lines for view in line.get("views", {}).values()), default=0)
        self._differ = differ
        self.left_out = left_out

    def html(self) -> str:
        parts = ['<label>Case <input name="case" type="search"></label>']
        parts.append(_select("Turn", "turn", [str(number + 1) for number in range(self._turns)]))
        parts.append(_select("Metric", "metric", self._metrics))
        if self._differ:
            parts.append('<label><input name="differ" type="checkbox"> where scores differ</label>')
        parts.append('<label><input name="failed" type="checkbox"> failed</label>')
        return f'<form id="filter" hidden>{"".join(parts)}<output id="shown" class="muted"></output></form>'


def _select(title: str, name: str, values: Sequence[str]) -> str:
    options = "".join(f"<option>{_text(value)}</option>" for value in values)
    return f'<label>{title} <select name="{name}"><option value="">all</option>{options}</select></label>'


def _page(titles: tuple[str, str], table: str, notes: Sequence[str], cases: Sequence[str], filters: _Filters) -> str:
    title, about = titles
    style, script = (data.read("templates", "report", name).decode() for name in ("report.css", "report.js"))
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'"
    policy += "; form-action 'none'"
    told = "".join(f"<li>{_text(note)}</li>" for note in notes)
    rest = f'<p class="muted">{filters.left_out:,} further cases are in the folder of the run.</p>'
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>{_text(title)}</title>\n<style>{style}</style>\n</head>\n<body>",
            f'<h1>{_text(title)}</h1>\n<p class="about">{_text(about)}</p>',
            f'<div class="scroll">{table}</div>\n<ul class="notes">{told}</ul>',
            filters.html(),
            f"<main>{''.join(cases)}</main>",
            *[rest] * bool(filters.left_out),
            f"<script>{script}</script>\n</body>\n</html>\n",
        ]
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{_text(cell)}</th>' for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _invalid(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [f"{row['suite']}/{row['metric']}: {why}" for row in rows for why in row["invalid"]]


def _article(line: Mapping[str, Any], body: str, *, bad: bool) -> str:
    tags = "".join(f'<span class="tag">{_text(tag)}</span>' for tag in line["tags"])
    mark = '<span class="failed">failed</span>' if bad else ""
    head = f"<header><h3>{_text(text.name_of(line))}</h3>{mark}{tags}</header>"
    flag = " data-failed" if bad else ""
    return f'<article data-case="{_text(line["suite"] + "/" + line["case"])}"{flag}>{head}{body}</article>'


def _case(line: Mapping[str, Any]) -> str:
    bad = failed(line)
    body = "".join(f'<p class="why">{_text(why)}</p>' for why in text.reasons(line)) if bad else ""
    if line.get("failure"):
        return _article(line, f'{body}<p class="said">{_text(line["asked"])}</p>', bad=bad)
    for name, session in line["views"].items():
        body += _view(name)
        for number, turn in enumerate(session, 1):
            inner = f'<p class="said">{_text(turn["said"])}</p><p class="reply">{_text(_reply(turn))}</p>'
            body += f'<section data-turn="{number}">{inner}</section>'
    marks = [_score(name, text.number(score), differs=False) for name, score in line["scores"].items()]
    return _article(line, body + _scores(marks), bad=bad)


def _pair(pair: Pair) -> str:
    body = ""
    for name, session in pair.other["views"].items():
        body += _view(name)
        before = pair.base["views"].get(name, [])
        for number in range(max(len(before), len(session))):
            sides = [turns[number] if number < len(turns) else None for turns in (before, session)]
            body += f'<section data-turn="{number + 1}">{_exchange(*sides)}</section>'
    marks = []
    for name in {**pair.base["scores"], **pair.other["scores"]}:
        one, other = pair.base["scores"].get(name), pair.other["scores"].get(name)
        marks.append(_score(name, f"{text.number(one)} → {text.number(other)}", differs=one != other))
    return _article(pair.other, body + _scores(marks), bad=failed(pair.other))


def _exchange(before: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> str:
    """Return a turn of both runs; what the user said is told once where it is the same."""
    said = [turn["said"] for turn in (before, now) if turn is not None]
    same = len(set(said)) == 1
    left, right = words.compare(*(("" if turn is None else _reply(turn)) for turn in (before, now)))
    parts = []
    for name, turn, pieces in (("old", before, left), ("new", now, right)):
        asked = "" if same or turn is None else f'<p class="said">{_text(turn["said"])}</p>'
        reply = '<p class="reply muted">the session had ended</p>' if turn is None else _marked(pieces)
        parts.append(f'<div class="{name}">{asked}{reply}</div>')
    head = f'<p class="said">{_text(said[0])}</p>' if same else ""
    return f'{head}<div class="sides">{"".join(parts)}</div>'


def _marked(pieces: Sequence[Piece]) -> str:
    inner = "".join(f"<mark>{_text(piece.text)}</mark>" if piece.differs else _text(piece.text) for piece in pieces)
    return f'<p class="reply">{inner}</p>'


def _reply(turn: Mapping[str, Any]) -> str:
    calls = [f"tool call: {call.get('function')}" for call in turn.get("tool_calls", ())]
    return "\n".join([turn["text"], *calls]) if calls else str(turn["text"])


def _view(name: str) -> str:
    return f'<p class="view">{_text(name)}</p>' if name else ""


def _score(name: str, told: str, *, differs: bool) -> str:
    flag = " data-differs" if differs else ""
    return f'<span data-metric="{_text(name)}"{flag}>{_text(name)} {_text(told)}</span>'


def _scores(marks: Sequence[str]) -> str:
    return f'<p class="scores">{"".join(marks)}</p>' if marks else ""


def _text(value: str) -> str:
    return escape(printable(value, keep_newlines=True), quote=True)


def _hash(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
