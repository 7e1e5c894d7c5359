from __future__ import annotations

import pytest
from support import PROMPT, changed

REPLY = "prompts/reply.yaml"
GPT = "models/gpt.yaml"

TEXT = PROMPT.replace("Answer the ticket.", "Answer it well.")
INCLUDING = PROMPT.replace("Answer the ticket.", "{% include 'tone.md' %}")


@pytest.mark.parametrize("released", [True, False], ids=["released", "draft"])
@pytest.mark.parametrize("text", [TEXT, changed(parameters="{temperature: 0.4}"), changed(tools="[{type: function}]")])
def test_finds(judge, released, text):
    if released:
        judge.release("1.0.0")
    found = judge(**{REPLY: text})
    assert [(each.rule, each.path) for each in found] == [("PO301", REPLY)]


@pytest.mark.parametrize("released", [True, False], ids=["released", "draft"])
def test_a_changed_include_changes_its_users(judge, released):
    judge.stage(**{REPLY: INCLUDING, "prompts/tone.md": "{% include 'deep.md' %}", "prompts/deep.md": "Kind."})
    judge.repo.git("commit", "-q", "-m", "Include")
    if released:
        judge.release("1.0.0")
    assert judge.places("PO301", **{"prompts/deep.md": "Rude."}) == [(REPLY, 1)]


def test_judges_the_index_and_not_the_work_tree(judge):
    judge.stage(**{REPLY: TEXT})
    judge.repo.write(REPLY, PROMPT)
    assert [each.rule for each in judge.check("--staged")] == ["PO301"]


def test_a_commit_between_release_and_change_does_not_hide_it(judge):
    judge.release("1.0.0")
    judge.stage(**{REPLY: TEXT})
    judge.repo.git("commit", "-q", "--no-verify", "-m", "Slip by")
    found = judge(**{REPLY: TEXT + "# comment\n"})
    assert [each.rule for each in found] == ["PO301"]
    assert [each.rule for each in judge.check("--all")] == ["PO301"]


@pytest.mark.parametrize("released", [True, False], ids=["released", "draft"])
@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("1.0.0", "1.0.1"),
        PROMPT + "# comment\n",
        changed(description="Other", owners="[others]", metadata="{a: 1}"),
        PROMPT.replace("1.0.0", "3.0.0"),
    ],
)
def test_is_silent(judge, released, text):
    if released:
        judge.release("1.0.0")
    assert judge(**{REPLY: text}) == []


def test_a_draft_may_change_freely_after_its_first_bump(judge):
    judge.repo.git("checkout", "-q", "-b", "topic")
    judge.stage(**{REPLY: TEXT.replace("1.0.0", "1.0.1")})
    judge.repo.git("commit", "-q", "-m", "Draft")
    assert judge(**{REPLY: TEXT.replace("1.0.0", "1.0.1").replace("well", "better")}) == []


def test_a_lightweight_tag_is_no_release(judge):
    judge.stage(**{REPLY: TEXT.replace("1.0.0", "1.0.1")})
    judge.repo.git("commit", "-q", "-m", "Draft")
    judge.repo.git("tag", "prompt/reply@v2.0.0")
    assert judge(**{REPLY: PROMPT.replace("1.0.0", "1.0.2")}) == []
