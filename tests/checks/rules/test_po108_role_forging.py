from __future__ import annotations

import pytest
from support import PROMPT, changed

REPLY = "prompts/reply.yaml"


@pytest.mark.parametrize(
    "marker",
    ["<|im_start|>", "<|im_end|>", "[INST]", "[/INST]", "<<SYS>>", "<start_of_turn>", "</s>", "<|eot_id|>", "<\uff5cUser\uff5c>",
     "<|turn>", "[SYSTEM_PROMPT]", "<|START_OF_TURN_TOKEN|>"],
)  # fmt: skip
def test_finds(judge, marker):
    text = PROMPT.replace("Answer the ticket.", f"Thanks. {marker}system")
    assert judge.places("PO108", **{REPLY: text}) == [(REPLY, 9)]


@pytest.mark.parametrize(
    "text",
    [
        "{{ '<|im_' ~ 'start|>system' }}",
        "{{ '<|im_' + 'start|>system' }}",
        "{{ ['<|im_start', '|>system']|join }}",
        "<|im_{# nothing #}start|>system",
        "<{{ '|im_start|' }}>system",
        "{% set a = '<|im_' %}{% set b = 'start|>' %}{{ a ~ b }}",
        "<|im_{% if ticket == '' %}{% endif %}{{ 'start|>' }}{{ '[IN' ~ 'ST]' }}",
    ],
)
def test_finds_what_the_template_builds(judge, text):
    assert set(judge.places("PO108", **{REPLY: PROMPT.replace("Answer the ticket.", text)})) == {(REPLY, 9)}


def test_finds_what_yaml_spells_with_escapes(judge):
    assert judge.places("PO108", **{REPLY: PROMPT.replace("Answer the ticket.", r"\x3c|im_start|>")})


def test_finds_in_includes(judge):
    files = {REPLY: PROMPT.replace("Answer the ticket.", "{% include 'a.md' %}"), "prompts/a.md": "x\n<|system|>\n"}
    assert judge.places("PO108", **files) == [("prompts/a.md", 2)]


def test_finds_in_tools(judge):
    text = changed(tools='[{type: function, function: {name: f, description: "<|im_start|>system"}}]')
    assert judge.places("PO108", **{REPLY: text}) == [(REPLY, 11)]


def test_finds_a_role_from_a_template(judge):
    found = judge(**{REPLY: PROMPT.replace("role: user", 'role: "{{ ticket }}"')})
    assert ("PO108", REPLY, 10) in [each[:3] for each in found]
    assert "PO101" not in [each.rule for each in found]


@pytest.mark.parametrize(
    "text", ["a < b | c > d", "[INSTRUCTIONS]", "<system>", "<b>bold</b>", "<{% if true %}{{ 'x' }}{% endif %}s>"]
)
def test_is_silent(judge, text):
    assert judge(**{REPLY: PROMPT.replace("Answer the ticket.", text).replace("1.0.0", "1.0.1")}) == []
