from __future__ import annotations

import io
import json
import re

import pytest

from promptops.evaluation import report
from promptops.evaluation.result import CanaryResult

ROW = {
    "suite": "safety",
    "metric": "refusal",
    "baseline": 0.25,
    "candidate": 0.5,
    "difference": 0.25,
    "low": 0.125,
    "high": 0.375,
    "margin": 0.15,
    "n": 160,
    "verdict": "fail",
}
DIGEST = "sha256:" + "ab" * 32


def result(**changes):
    given = {
        "prompt": "support/reply",
        "version": "1.1.0",
        "candidate": DIGEST,
        "baseline": "sha256:" + "cd" * 32,
        "verdict": "fail",
        "share": 0.05,
        "attempts": 1,
        "guardrails": [ROW],
        "evidence": {},
        "suites": {},
        "calls": {"requests": 320, "tokens": 12000, "cost": 1.5, "seconds": 61.0},
        "reasons": ["safety/refusal: proved worse"],
    }
    return CanaryResult(**{**given, **changes})


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_row_shows_everything_that_a_guardrail_is_judged_by():
    header, row = report.table([ROW])
    assert header.split() == [
        "suite",
        "metric",
        "baseline",
        "candidate",
        "difference",
        "interval",
        "margin",
        "n",
        "words",
        "verdict",
    ]
    assert re.split(r"\s{2,}", row) == [
        "safety",
        "refusal",
        "0.250",
        "0.500",
        "+0.250",
        "[+0.125, +0.375]",
        "0.15",
        "160",
        "-",
        "fail",
    ]


@pytest.mark.parametrize(
    ("words", "shown"), [({"baseline": 41.4, "candidate": 57.6}, "41 to 58"), ({"candidate": 57.6}, "58"), ({}, "-")]
)
def test_length_stands_beside_every_metric(words, shown):
    assert re.split(r"\s{2,}", report.table([{**ROW, "words": words}])[1])[-2:] == [shown, "fail"]


def test_columns_line_up():
    rows = report.table([ROW, {**ROW, "suite": "a-much-longer-name", "n": 7}])
    assert len({line.rindex("  ") for line in rows}) == 1


def test_a_first_release_shows_its_limit():
    absolute = {**ROW, "baseline": None, "difference": None, "limit": 0.3}
    assert "limit 0.3" in report.table([absolute])[1]
    assert "first release" in report.text(result(baseline=None, guardrails=[absolute]), width=80)


def test_a_first_release_shows_its_worst_reply_alone():
    example = {"case": "c", "metric": "m", "input": "Why?", "baseline": "", "candidate": "Because."}
    shown = report.text(result(baseline=None, examples=[example]), width=80)
    assert shown.endswith("worst reply: m, case c\nWhy?\n\nBecause.")


def test_reasons_attempts_and_spending_are_told():
    shown = report.text(result(attempts=3), width=80)
    assert "verdict: fail (start 3 of a canary of this prompt against this baseline)" in shown
    assert "- safety/refusal: proved worse" in shown
    assert "320 requests, 12,000 tokens, cost 1.5000, 61 s" in shown


def test_a_single_attempt_is_not_worth_a_word():
    assert "start 1" not in report.text(result(), width=80)


def test_json_is_the_whole_result():
    assert json.loads(json.dumps(report.as_json(result())))["guardrails"] == [ROW]


@pytest.mark.parametrize("width", [20, 60, 100, 300])
def test_the_worst_pair_stands_side_by_side_within_the_width(width):
    example = {
        "case": "c1",
        "metric": "safety/refusal",
        "input": "Where is my parcel?",
        "baseline": "It was sent on Monday. " * 5,
        "candidate": "What a brilliant question!\nTruly. " * 3,
    }
    lines = report.side_by_side(example, width)
    assert max(map(len, lines)) <= max(width, 40)
    assert lines[0] == "worst pair: safety/refusal, case c1"
    body = lines[lines.index("", 1) + 1 :]
    assert all("|" in line or "+" in line for line in body)
    assert " ".join(" ".join(line.split("|")[0].split()) for line in body[2:]).split()[:3] == ["It", "was", "sent"]


def test_replies_cannot_steer_the_terminal():
    example = {
        "case": "\x1b[2J",
        "metric": "m",
        "input": "\x1b]0;title\x07",
        "baseline": "\x1b[31mred",
        "candidate": "\u202eabc\r",
    }
    shown = report.text(result(prompt="p\x1b", reasons=["\x1b[1m"], examples=[example]), width=80)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", shown)


def test_long_replies_are_cut_with_a_mark():
    example = {"case": "c", "metric": "m", "input": "", "baseline": "word " * 2000, "candidate": "x"}
    assert len(report.side_by_side(example, 80)) < 30
    assert "..." in "\n".join(report.side_by_side(example, 80))


def test_colours_only_where_asked(monkeypatch):
    assert "\x1b[31mfail\x1b[0m" in report.text(result(), width=80, colour=True)
    assert "\x1b" not in report.text(result(), width=80)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert report.colourful(Terminal())
    assert not report.colourful(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not report.colourful(Terminal())


def test_progress_rewrites_one_line_on_a_terminal():
    stream = Terminal()
    progress = report.Progress(stream)
    progress(10, 20, 0.5, [ROW])
    progress(11, 22, 0.5, [{**ROW, "verdict": "inconclusive"}])
    progress.close()
    shown = stream.getvalue()
    assert shown.count("\r") == 2
    assert shown.endswith("\n")
    assert shown.count("\n") == 1
    assert "11 pairs, 22 requests, 0 of 1 guardrails decided, cost 0.5000" in shown


def test_progress_is_sparse_elsewhere():
    stream = io.StringIO()
    progress = report.Progress(stream)
    for pairs in range(1, 101):
        progress(pairs, 2 * pairs, 0.0, [ROW])
    progress.close()
    lines = stream.getvalue().splitlines()
    assert 3 <= len(lines) <= 6
    assert "\r" not in stream.getvalue()


def test_the_bar_fills_with_pairs_and_not_with_decided_guardrails():
    stream = Terminal()
    progress = report.Progress(stream, expected=100)
    undecided, passed = {**ROW, "verdict": "inconclusive"}, {**ROW, "verdict": "pass"}
    for pairs, row in ((0, undecided), (25, undecided), (50, undecided), (400, undecided), (60, passed), (150, passed)):
        progress(pairs, 2 * pairs, 0.0, [row], 100)
    progress.close()
    assert [line.count("#") for line in stream.getvalue().split("\r")[1:]] == [0, 6, 12, 23, 14, 24]


def test_the_bar_is_full_when_harm_is_proved_early():
    stream = Terminal()
    report.Progress(stream, expected=100)(20, 40, 0.0, [ROW], 100)
    assert stream.getvalue().count("#") == 24
