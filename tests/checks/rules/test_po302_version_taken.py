from __future__ import annotations

import pytest
from support import PROMPT

REPLY = "prompts/reply.yaml"
GPT = "models/gpt.yaml"

TEXT = PROMPT.replace("Answer the ticket.", "Answer it well.")


@pytest.fixture
def twice(judge):
    judge.release("1.0.0")
    judge.stage(**{REPLY: TEXT.replace("1.0.0", "1.1.0")})
    judge.release("1.1.0")
    return judge


@pytest.mark.parametrize("version", ["1.0.0", "1.0.5", "0.9.0", "1.1.0-rc.1"])
def test_finds(twice, version):
    text = TEXT.replace("1.0.0", version).replace("well", "best")
    assert twice.places("PO302", **{REPLY: text}) == [(REPLY, 1)]


def test_finds_lower_drafts(judge):
    assert judge.places("PO302", **{REPLY: TEXT.replace("1.0.0", "0.9.0")}) == [(REPLY, 1)]


def test_other_names_with_the_same_beginning_do_not_count(twice):
    twice.repo.git("tag", "--no-sign", "-a", "-m", "x", "prompt/reply-more@v9.0.0")
    twice.repo.git("tag", "--no-sign", "-a", "-m", "x", "prompt/reply/more@v9.0.0")
    assert twice(**{REPLY: TEXT.replace("1.0.0", "1.1.1").replace("well", "best")}) == []


@pytest.mark.parametrize(
    "text",
    [TEXT.replace("1.0.0", "1.1.1").replace("well", "best"), PROMPT.replace("1.0.0", "1.1.1"), PROMPT],
    ids=["new", "revert under a new version", "back to a release"],
)
def test_is_silent(twice, text):
    assert twice(**{REPLY: text}) == []
