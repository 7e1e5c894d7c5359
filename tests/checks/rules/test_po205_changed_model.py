from __future__ import annotations

import pytest
from support import MODEL, PROMPT

REPLY = "prompts/reply.yaml"
GPT = "models/gpt.yaml"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (MODEL.replace("id: gpt-4o-2024-11-20", "id: gpt-5", 1), 2),
        (MODEL.replace("openai", "other"), 1),
        (MODEL + "parameters: {top_p: {default: 0.5}}\n", 6),
        (MODEL + f"weights: {{sha256: {'a' * 64}}}\n", 6),
    ],
)
def test_finds_once_and_without_asking_for_a_bump(judge, text, line):
    judge.release("1.0.0")
    judge.stage(**{"prompts/second.yaml": PROMPT})
    judge.release("1.0.0", "second")
    found = judge(**{GPT: text})
    assert {(each.rule, each.path, each.line) for each in found} == {("PO205", GPT, line)}


@pytest.mark.parametrize("more", ["price: {input: 1, output: 2}\n", "limits: {requests_per_minute: 5}\n", "# note\n"])
def test_is_silent(judge, more):
    judge.release("1.0.0")
    assert judge(**{GPT: MODEL + more}) == []


def test_before_a_release_anything_may_change(judge):
    text = MODEL.replace("id: gpt-4o-2024-11-20", "id: gpt-5", 1)
    assert judge.places("PO205", **{GPT: text, REPLY: PROMPT.replace("1.0.0", "1.1.0")}) == []


def test_every_release_counts_and_not_only_the_newest(judge):
    judge.release("1.0.0")
    judge.stage(
        **{"models/other.yaml": MODEL, REPLY: PROMPT.replace("1.0.0", "1.1.0").replace("model: gpt", "model: other")}
    )
    judge.release("1.1.0")
    changed = MODEL.replace("id: gpt-4o-2024-11-20", "id: gpt-5", 1)
    (found,) = [each for each in judge(**{GPT: changed}) if each.rule == "PO205"]
    assert "reply@v1.0.0" in found.message


def test_a_file_that_no_release_used_may_change(judge):
    judge.stage(**{"models/draft.yaml": MODEL})
    judge.release("1.0.0")
    assert judge(**{"models/draft.yaml": MODEL.replace("id: gpt-4o-2024-11-20", "id: gpt-5", 1)}) == []
