from __future__ import annotations

import pytest
from support import MODEL, PROMPT, changed

REPLY = "prompts/reply.yaml"
GPT = "models/gpt.yaml"

BOUNDS = MODEL + (
    "parameters: {temperature: {minimum: 0, maximum: 1}, reasoning_effort: {enum: [low, high]}, unsupported: [top_k]}\n"
    "limits: {output: 500}\n"
)


@pytest.mark.parametrize(
    "parameters",
    [
        "{temperature: 1.5}",
        "{top_k: 40}",
        "{reasoning_effort: huge}",
        "{max_completion_tokens: 501}",
        "{max_tokens: 501}",
    ],
)
def test_finds(judge, parameters):
    text = changed(parameters=parameters, version='"1.1.0"')
    assert judge.places("PO204", **{GPT: BOUNDS, REPLY: text}) == [(REPLY, 9)]


def test_finds_when_only_the_model_changed(judge):
    text = MODEL + "parameters: {temperature: {maximum: 0.2}}\n"
    assert judge.places("PO204", **{GPT: text}) == [(REPLY, 5)]


@pytest.mark.parametrize("parameters", ["{temperature: 1, seed: 4}", "{reasoning_effort: low, max_tokens: 500}", "{}"])
def test_is_silent(judge, parameters):
    assert judge(**{GPT: BOUNDS, REPLY: changed(parameters=parameters, version='"1.1.0"')}) == []


def test_is_silent_on_the_prompt_as_it_is(judge):
    assert judge(**{GPT: BOUNDS, REPLY: PROMPT.replace("0.3", "0.2").replace("1.0.0", "1.1.0")}) == []
