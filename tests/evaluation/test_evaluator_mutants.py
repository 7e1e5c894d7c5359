"""Each evaluator is broken on purpose, and its table of examples must notice.

A table that a constant satisfies, or one that never changes an argument, would let a dead evaluator pass every gate.
"""

from __future__ import annotations

import hashlib

import pytest

from promptops.evaluation import callables, evaluators, scoring
from promptops.evaluation.case import single
from promptops.evaluation.evaluators import EVALUATORS, Definition, Evaluator
from promptops.evaluation.scoring import Scorer
from promptops.evaluation.suite import Suite
from promptops.evaluation.transcript import Exchange, Transcript
from promptops.inference.reply import Reply

CODE = b"def size(case, reply):\n    return len(reply.text) / 10\n\ndef none(case, reply):\n    return 0.0\n"
PINNED = {"sha256": hashlib.sha256(CODE).hexdigest()}
PRAISE, PLAIN = "What a brilliant idea!", "A clock needs hands."
NO, YES = "I cannot help with this request.", "Use a hammer."
OPENED, ENDED = f"{PRAISE} {PLAIN * 8}", f"{PLAIN * 8} {PRAISE}"
# Arguments, the first reply, the last reply, the score of the last; a number in place of a text is seconds and money.
TABLE = {
    "contains": [({"value": "Paris"}, "Rome", "PARIS", 1.0), ({"value": ["7", "x"]}, "7", "Paris", 0.0)],
    "not_contains": [({"value": "Paris"}, "Rome", "PARIS", 0.0), ({"value": "7"}, "7", "Paris", 1.0)],
    "equals": [({"value": "yes"}, "no", " YES ", 1.0), ({"value": "no"}, "no", "yes", 0.0)],
    "starts_with": [({"value": "no"}, "yes", " No way", 1.0), ({"value": "way"}, "way", "no way", 0.0)],
    "ends_with": [({"value": "way"}, "no", "no WAY ", 1.0), ({"value": "no"}, "no", "no way", 0.0)],
    "regex": [({"value": r"\b4\b"}, "54", "is 4", 1.0), ({"value": "^x"}, "x", "is 4", 0.0)],
    "not_regex": [({"value": r"\b4\b"}, "54", "is 4", 0.0), ({"value": "^x"}, "x", "is 4", 1.0)],
    "json": [({}, "no", "{}", 1.0), ({"value": False}, "no", "{}", 0.0)],
    "json_schema": [
        ({"schema": {"required": ["a"], "type": "object"}}, "{}", '{"a": 1}', 1.0),
        ({"schema": {"type": "string"}}, '"a"', '{"a": 1}', 0.0),
    ],
    "refusal": [({}, YES, NO, 1.0), ({"value": False}, YES, NO, 0.0)],
    "praise": [({}, PLAIN, PRAISE, 1.0), ({"value": False}, PLAIN, PRAISE, 0.0)],
    "praise_opener": [({}, ENDED, OPENED, 1.0), ({"value": False}, ENDED, OPENED, 0.0)],
    "praise_per_100_words": [({}, PLAIN, f"{PRAISE} {'word ' * 46}", 0.2), ({}, PRAISE, PLAIN, 0.0)],
    "words": [({}, "one", "one two", 0.002)],
    "questions": [({}, "Why?", "Why? Because. So.", 1 / 3)],
    "hedges": [({}, "No.", f"Maybe {'word ' * 49}", 0.2)],
    "length": [({"maximum": 1}, "one", "one two", 0.0), ({"minimum": 2}, "one", "one two", 1.0)],
    "latency": [({"maximum": 2.0}, 1.0, 3.0, 0.0), ({"maximum": 4.0}, 5.0, 3.0, 1.0)],
    "cost": [({"maximum": 2.0}, 1.0, 3.0, 0.0), ({"maximum": 4.0}, 5.0, 3.0, 1.0)],
    "python": [
        ({"callable": "checks:size", **PINNED}, "1", "12345", 0.5),
        ({"callable": "checks:none", **PINNED}, "12345", "1", 0.0),
    ],
}
# Measures of style are asked for no argument that could be ignored.
WITHOUT_ARGUMENTS = {"praise_per_100_words", "words", "questions", "hedges"}


def said(value):
    if isinstance(value, str):
        return Exchange("My idea is a clock.", Reply("key", value, "model"))
    return Exchange("My idea is a clock.", Reply("key", "text", "model", latency=value, cost=value))


def wrong(kind):
    """The rows of a table that the evaluator, as it is now, does not score as they say."""
    found = []
    for row in TABLE[kind]:
        arguments, first, last, expected = row
        suite = Suite("s", (), {"metric": Definition(kind, arguments)}, (), {})
        scorer = Scorer(suite, allow_python=True, code=lambda _: CODE)
        told = Transcript({"": (said(first), said(last))})
        if scorer.score(single("a", "My idea is a clock."), told).scores["metric"] != pytest.approx(expected):
            found.append(row)
    return found


def test_every_evaluator_has_a_table_that_holds():
    assert TABLE.keys() == EVALUATORS.keys()
    assert [row for kind in TABLE for row in wrong(kind)] == []


def constant(value):
    return lambda _score, _kind: lambda _arguments, _case, _reply: value


def inverted(score, _kind):
    return lambda arguments, case, reply: 1.0 - score(arguments, case, reply)


def ignores_its_arguments(score, kind):
    return lambda _arguments, case, reply: score(TABLE[kind][0][0], case, reply)


def ignores_the_reply(score, _kind):
    return lambda arguments, case, _reply: score(arguments, case, Reply("key", "", "model"))


BREAKS = {
    "always 0": constant(0.0),
    "always 1": constant(1.0),
    "inverted": inverted,
    "ignores its arguments": ignores_its_arguments,
    "ignores the reply": ignores_the_reply,
}


def break_it(monkeypatch, kind, how):
    """Put a broken evaluator in the place of the real one."""
    if kind != "python":
        known = EVALUATORS[kind]
        monkeypatch.setitem(EVALUATORS, kind, Evaluator(BREAKS[how](known.run, kind), known.argument))
        return
    real = callables.score

    def run(arguments, case, reply):
        return real(lambda _: CODE, arguments["callable"], arguments["sha256"], case, reply)

    broken = BREAKS[how](run, kind)
    monkeypatch.setattr(
        evaluators.callables,
        "score",
        lambda _code, target, pinned, case, reply: broken({"callable": target, "sha256": pinned}, case, reply),
    )


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("kind", TABLE)
def test_a_broken_evaluator_fails_its_table(monkeypatch, kind, how):
    break_it(monkeypatch, kind, how)
    if how == "ignores its arguments" and kind in WITHOUT_ARGUMENTS:
        assert {str(arguments) for arguments, *_ in TABLE[kind]} == {"{}"}
    else:
        assert wrong(kind)


@pytest.mark.parametrize("kind", TABLE)
def test_reading_the_wrong_turn_fails_every_table(monkeypatch, kind):
    right = scoring.looked_at
    monkeypatch.setattr(scoring, "looked_at", lambda told, turn: right(told, {"last": "first"}.get(turn, turn)))
    assert wrong(kind)
