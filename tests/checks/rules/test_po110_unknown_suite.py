from __future__ import annotations

import pytest
from support import MODEL, PROMPT, changed

REPLY = "prompts/reply.yaml"


def test_finds(judge):
    assert judge.places("PO110", **{REPLY: changed(evals="[safety]")}) == [(REPLY, 11)]


def test_finds_deletion(judge):
    judge.stage(**{REPLY: changed(evals="[safety]"), "evals/safety.yaml": "cases: []\n"})
    judge.repo.git("commit", "-q", "-m", "Suite")
    assert judge.places("PO110", **{"evals/safety.yaml": None}) == [(REPLY, 11)]


@pytest.mark.parametrize("evals", ["", "[]"])
def test_is_silent(judge, evals):
    assert judge(**{REPLY: changed(evals=evals)}) == []


def test_is_silent_when_the_suite_is_there(judge):
    assert judge.places("PO110", **{REPLY: changed(evals="[a]"), "evals/a.yaml": "cases: []\n"}) == []


def test_fixtures_are_valid(judge):
    assert judge(**{"prompts/b.yaml": PROMPT, "models/b.yaml": MODEL}) == []
