"""PO114: a suite names a model that plays the user, or feedback, that cannot be used."""

from __future__ import annotations

import pytest
from evaluation.judged import model_file

SUITE, MODEL, DATA = "evals/voice.yaml", "models/persona.yaml", "evals/data/thumbs.jsonl"
PLAYED = """version: 1
evaluators: {praise: {type: praise}}
guardrails: [{metric: praise, direction: lower, limit: 0.5}]
cases:
  - {id: plain, input: x}
  - id: played
    input: x
    turns:
      - simulate: {persona: a man, goal: a tip, turns: 2, model: persona}
  - id: seen
    views:
      own:
        input: x
        turns:
          - "Why?"
          - simulate: {persona: a man, goal: a tip, turns: 2, model: persona}
"""
HEARD = """version: 1
evaluators:
  praise: {type: praise}
  thumbs:
    type: feedback
    path: evals/data/thumbs.jsonl
guardrails:
  - {metric: praise, direction: lower}
  - {metric: thumbs, direction: higher}
cases:
  - {id: a, input: x}
"""
THUMB = '{"case": "a", "version": "1.0.0", "rating": true}\n'


def test_finds_the_missing_model_of_a_simulated_user(judge):
    assert judge.places("PO114", **{SUITE: PLAYED}) == [(SUITE, 9), (SUITE, 16)]


def test_finds_that_the_model_went_away(judge):
    judge.stage(**{SUITE: PLAYED, MODEL: model_file()})
    judge.repo.git("commit", "-q", "-m", "Suite")
    assert [found.rule for found in judge.check("--all")] == []
    assert judge.places("PO114", **{MODEL: None}) == [(SUITE, 9), (SUITE, 16)]


def test_finds_missing_feedback(judge):
    assert judge.places("PO114", **{SUITE: HEARD}) == [(SUITE, 6)]


@pytest.mark.parametrize(
    ("data", "line"),
    [(f"{THUMB}{{", 2), (f"{THUMB}[]", 2), (f"{THUMB}\n{THUMB}7", 4), ("\n", 1), (f'{THUMB}{{"case": "a"}}', 2)],
)
def test_finds_malformed_feedback_at_its_line(judge, data, line):
    assert judge.places("PO114", **{SUITE: HEARD, DATA: data}) == [(DATA, line)]


def test_is_silent_on_feedback_that_can_be_read(judge):
    assert judge(**{SUITE: HEARD, DATA: THUMB}) == []


def test_a_malformed_suite_is_another_rule_s(judge):
    assert {each.rule for each in judge(**{SUITE: "simulate: 1\n"})} == {"PO101"}
