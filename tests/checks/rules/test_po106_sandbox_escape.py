from __future__ import annotations

import pytest
from support import PROMPT

REPLY = "prompts/reply.yaml"


@pytest.mark.parametrize(
    "text",
    [
        "{{ ticket.__class__ }}",
        "{{ ticket['__class__'] }}",
        "{{ ticket._private }}",
        "{{ [ticket]|map(attribute='__class__')|list }}",
        "{{ [ticket]|sort(attribute='a,b.__class__') }}",
        "{{ [ticket]|groupby('a._b') }}",
        "{{ [ticket]|selectattr('__class__')|list }}",
        "{% include ticket %}",
        "{% include ['a.md', 'b.md'] %}",
        "{% include 'a' ~ '.md' %}",
    ],
)
def test_finds(judge, text):
    assert judge.places("PO106", **{REPLY: PROMPT.replace('"Answer the ticket."', f'"{text}"')}) == [(REPLY, 9)]


def test_finds_in_includes(judge):
    files = {REPLY: PROMPT.replace("Answer the ticket.", "{% include 'a.md' %}"), "prompts/a.md": "x\n{{ y._z }}"}
    assert judge.places("PO106", **files) == [("prompts/a.md", 2)]


@pytest.mark.parametrize("text", ["{{ ticket.subject }}", "{{ ticket | upper }}", "{{ ticket | replace('_', ' ') }}"])
def test_is_silent(judge, text):
    assert judge(**{REPLY: PROMPT.replace("Answer the ticket.", text).replace("1.0.0", "1.0.1")}) == []


@pytest.mark.parametrize("text", ["{% extends 'base.md' %}", "{% import 'a.md' as a %}", "{% from 'a.md' import x %}"])
def test_other_templates_cannot_be_reached_at_all(judge, text):
    found = judge(**{REPLY: PROMPT.replace('"Answer the ticket."', f'"{text}"')})
    assert {"PO103", "PO106"} & {each.rule for each in found}
