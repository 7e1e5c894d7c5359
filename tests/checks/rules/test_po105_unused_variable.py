from __future__ import annotations

import pytest
from support import PROMPT, changed

REPLY = "prompts/reply.yaml"

UNUSED = changed(
    version='"1.1.0"', variables="{ticket: {type: string, maxLength: 8000}, tone: {type: string, default: kind}}"
)


def test_finds(judge):
    assert judge.places("PO105", **{REPLY: UNUSED}) == [(REPLY, 9)]


def test_a_use_in_an_include_counts(judge):
    text = UNUSED.replace("Answer the ticket.", "{% include 'tone.md' %}")
    assert judge(**{REPLY: text, "prompts/tone.md": "Be {{ tone }}."}) == []


def test_says_nothing_while_a_template_is_broken(judge):
    text = UNUSED.replace("Answer the ticket.", "{% include 'gone.md' %}")
    assert judge.places("PO105", **{REPLY: text}) == []


@pytest.mark.parametrize("text", [PROMPT.replace("1.0.0", "1.0.1")])
def test_is_silent(judge, text):
    assert judge(**{REPLY: text}) == []
