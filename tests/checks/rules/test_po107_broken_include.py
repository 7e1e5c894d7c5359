from __future__ import annotations

import pytest
from support import PROMPT

REPLY = "prompts/reply.yaml"


def including(name, version="1.0.1"):
    return PROMPT.replace("Answer the ticket.", f"{{% include '{name}' %}}").replace("1.0.0", version)


@pytest.mark.parametrize(
    "name", ["gone.md", "../promptops.yaml", "/etc/passwd", "a/../b.md", "./tone.md", "other.yaml"]
)
def test_finds(judge, name):
    files = {REPLY: including(name), "prompts/other.yaml": PROMPT, "prompts/tone.md": "x"}
    assert judge.places("PO107", **files) == [(REPLY, 9)]


def test_finds_circles(judge):
    files = {REPLY: including("a.md"), "prompts/a.md": "{% include 'b.md' %}", "prompts/b.md": "\n{% include 'a.md' %}"}
    assert judge.places("PO107", **files) == [("prompts/b.md", 2)]


def test_finds_one_file_too_many(judge):
    files = {f"prompts/c/{number}.md": f"{{% include 'c/{number + 1}.md' %}}" for number in range(100)}
    files |= {"prompts/c/100.md": "end", REPLY: including("c/0.md")}
    assert judge.places("PO107", **files) == [("prompts/c/99.md", 1)]
    assert judge.places("PO107", **{"prompts/c/99.md": "end"}) == []


def test_finds_text_that_is_not_utf8(judge):
    assert judge.places("PO107", **{REPLY: including("a.md"), "prompts/a.md": b"\xff"}) == [(REPLY, 9)]


@pytest.mark.parametrize("spelling", ["shared/tone.md", r"sh\\x61red/tone.md", r"shared\x2ftone.md"])
def test_finds_deletion_of_a_file_that_others_use(judge, spelling):
    judge.stage(**{REPLY: including("SPELLING").replace("SPELLING", spelling), "prompts/shared/tone.md": "Kind."})
    assert judge.check("--staged") == []
    judge.repo.git("commit", "-q", "-m", "Include")
    assert judge.places("PO107", **{"prompts/shared/tone.md": None}) == [(REPLY, 9)]


def test_finds_renaming_of_a_file_that_an_include_uses(judge):
    files = {REPLY: including("a.md"), "prompts/a.md": "{% include 'b c.md' %}", "prompts/b c.md": "x"}
    judge.stage(**files)
    judge.repo.git("commit", "-q", "-m", "Include")
    judge.repo.git("mv", "prompts/b c.md", "prompts/d.md")
    assert judge.places("PO107") == [("prompts/a.md", 1)]


def test_is_silent(judge):
    files = {REPLY: including("a.md"), "prompts/a.md": "{% include 'b.md' %}{% include 'b.md' %}", "prompts/b.md": "x"}
    assert judge(**files) == []
