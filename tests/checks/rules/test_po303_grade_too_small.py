from __future__ import annotations

import pytest
from support import PROMPT, changed

REPLY = "prompts/reply.yaml"
GPT = "models/gpt.yaml"

ADDED = "{ticket: {type: string, maxLength: 8000}, tone: {type: string}}"


def with_tone(version, variables=ADDED):
    text = changed(version=f'"{version}"', variables=variables)
    return text.replace("Answer the ticket.", "Answer the ticket {{ tone }}.")


@pytest.mark.parametrize("released", [True, False], ids=["released", "draft"])
@pytest.mark.parametrize(
    ("text", "line"),
    [
        (with_tone("1.1.0"), 8),
        (with_tone("1.0.1", ADDED.replace("tone: {type: string}", "tone: {type: string, default: kind}")), 8),
        (changed(version='"1.0.1"', parameters="{temperature: 0.4}"), 9),
        (changed(version='"1.9.9"', output="{type: json_object}"), 10),
    ],
)
def test_finds(judge, released, text, line):
    if released:
        judge.release("1.0.0")
    assert judge.places("PO303", **{REPLY: text}) == [(REPLY, line)]


@pytest.mark.parametrize("released", [True, False], ids=["released", "draft"])
@pytest.mark.parametrize(
    "text",
    [
        with_tone("2.0.0"),
        with_tone("1.1.0", ADDED.replace("tone: {type: string}", "tone: {type: string, default: kind}")),
        changed(version='"1.1.0"', parameters="{temperature: 0.4}"),
        PROMPT.replace("1.0.0", "1.0.1").replace("Answer", "Do answer"),
    ],
)
def test_is_silent(judge, released, text):
    if released:
        judge.release("1.0.0")
    assert judge(**{REPLY: text}) == []
