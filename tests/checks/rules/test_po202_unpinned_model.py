from __future__ import annotations

import pytest
from support import MODEL, changed

REPLY = "prompts/reply.yaml"
GPT = "models/gpt.yaml"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("provider: openai\nid: gpt-4o\n", 2),
        ("provider: openai\nid: gpt-4o\npinned: false\n", 3),
        ("provider: openai\nid: claude-latest\npinned: true\n", 2),
        ("provider: openai\nid: llama3:latest\npinned: true\n", 2),
    ],
)
def test_finds(judge, text, line):
    assert judge.places("PO202", **{"models/new.yaml": text}) == [("models/new.yaml", line)]


def test_finds_when_a_prompt_starts_to_use_it(judge):
    judge.stage(**{"models/new.yaml": "provider: openai\nid: gpt-4o\n"})
    judge.repo.git("commit", "-q", "-m", "Model")
    assert judge.places("PO202", **{REPLY: changed(model="new", version='"1.1.0"')}) == [("models/new.yaml", 2)]


@pytest.mark.parametrize(
    "text", [MODEL, f"provider: local\nid: latest\nweights: {{sha256: {'a' * 64}}}\n"], ids=["pinned", "weights"]
)
def test_is_silent(judge, text):
    assert judge(**{"models/new.yaml": text}) == []


def test_may_only_warn_where_the_project_says_so(judge):
    files = {
        "models/new.yaml": "provider: openai\nid: x\n",
        "promptops.yaml": "version: 1\nenforcement: {PO202: warn}\n",
    }
    assert [(each.rule, each.severity) for each in judge(**files)] == [("PO202", "warn")]
