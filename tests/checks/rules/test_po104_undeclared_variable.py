from __future__ import annotations

import pytest
from support import PROMPT, changed

REPLY = "prompts/reply.yaml"

INCLUDE = "\n  - {role: user, content: \"{{ ticket }}{% include 'tone.md' %}\"}"


def test_finds_with_place(judge):
    text = PROMPT.replace("{{ ticket }}", "{{ tiket }}")
    assert (REPLY, 10) in judge.places("PO104", **{REPLY: text})


@pytest.mark.parametrize(
    "text", ["{{ a.b }}", "{% if ticket == other %}x{% endif %}", "{% for i in many %}{{ i }}{% endfor %}"]
)
def test_finds(judge, text):
    assert judge.places("PO104", **{REPLY: PROMPT.replace("Answer the ticket.", text)})


def test_finds_in_an_include_that_changed_alone(judge):
    judge.stage(**{REPLY: changed(messages=INCLUDE), "prompts/tone.md": "Kind."})
    judge.repo.git("commit", "-q", "-m", "Include")
    assert judge.places("PO104", **{"prompts/tone.md": "Kind,\n{{ name }}."}) == [("prompts/tone.md", 2)]


@pytest.mark.parametrize("text", ["{% set x = ticket %}{{ x }}", "{% for i in range(3) %}{{ loop.index }}{% endfor %}"])
def test_is_silent(judge, text):
    files = {REPLY: PROMPT.replace("Answer the ticket.", text).replace("1.0.0", "1.0.1")}
    assert judge(**files) == []
