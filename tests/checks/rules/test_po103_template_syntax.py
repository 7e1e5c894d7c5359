from __future__ import annotations

import pytest
from support import changed

REPLY = "prompts/reply.yaml"


def with_text(text):
    return changed(version='"1.0.1"', messages="\n  - role: user\n    content: |\n      {{ ticket }}\n      " + text)


@pytest.mark.parametrize(
    "text", ["{% if ticket %}x", "{{ ticket", "{{ ticket | nofilter }}", "{% nonsense %}", "{{ a b }}"]
)
def test_finds(judge, text):
    found = judge.places("PO103", **{REPLY: with_text(text)})
    assert [path for path, _ in found] == [REPLY]


def test_names_the_line_in_the_file(judge):
    text = with_text("{% if ticket %}x")
    assert judge.places("PO103", **{REPLY: text}) == [(REPLY, text.split("\n").index("      {% if ticket %}x") + 1)]


def test_finds_in_includes(judge):
    files = {REPLY: with_text("{% include 'a.md' %}"), "prompts/a.md": "fine\n{% if %}\n"}
    assert judge.places("PO103", **files) == [("prompts/a.md", 2)]


@pytest.mark.parametrize("text", ["{% raw %}{{ x }}{% endraw %}", "{% if ticket %}x{% endif %}", "{ } % #"])
def test_is_silent(judge, text):
    assert judge(**{REPLY: with_text(text)}) == []
