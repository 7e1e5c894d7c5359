"""The digest covers what can change a request, and nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import MODEL

from promptops.errors import InputError, UsageError
from promptops.registry.configuration import Configuration, build
from promptops.registry.prompt import parse_model, parse_prompt

PROMPT = {
    "version": "1.0.0",
    "description": "d",
    "owners": ["a"],
    "model": "gpt",
    "parameters": {"temperature": 0.3},
    "variables": {"ticket": {"type": "string"}, "n": {"type": "integer", "default": 1}},
    "messages": [
        {"role": "system", "content": "{% include 'tone.md' %} Be {{ n }}"},
        {"role": "user", "content": "{{ ticket }}", "name": "x"},
    ],
    "output": {"type": "json_schema", "schema": {"type": "object"}},
    "tools": [{"type": "function", "function": {"name": "f"}}],
    "context": [{"name": "kb", "digest": "sha256:" + "0" * 64}],
    "evals": ["e"],
    "metadata": {"m": 1},
}
MODEL_VALUE = {
    "provider": "openai",
    "id": "gpt-4o-2024-11-20",
    "reported_id": "gpt-4o-2024-11-20",
    "weights": {"sha256": "0" * 64},
    "pinned": True,
    "endpoint": {"base_url_env": "A", "api_key_env": "B"},
    "parameters": {"temperature": {"minimum": 0, "maximum": 2}, "top_p": {"default": 0.9}, "unsupported": ["top_k"]},
    "limits": {"context": 1000},
    "price": {"input": 1, "output": 2},
    "retires": "2026-12-31",
    "metadata": {"m": 1},
}
TONE = "Be warm."


def configuration(prompt: dict | None = None, model: dict | None = None, tone: str = TONE) -> Configuration:
    read = parse_prompt("prompts/reply.yaml", json.dumps(prompt or PROMPT).encode())
    return build(read, parse_model("models/gpt.yaml", json.dumps(model or MODEL_VALUE).encode()), {"tone.md": tone})


BASE = configuration()


@pytest.mark.parametrize(
    "changes",
    [
        {"messages": [{"role": "system", "content": "other"}]},
        {"messages": PROMPT["messages"][::-1]},
        {"messages": [{**PROMPT["messages"][0], "role": "developer"}, PROMPT["messages"][1]]},
        {"messages": [PROMPT["messages"][0], {**PROMPT["messages"][1], "name": "y"}]},
        {
            "messages": [
                {**PROMPT["messages"][0], "content": PROMPT["messages"][0]["content"] + " "},
                PROMPT["messages"][1],
            ]
        },
        {"parameters": {"temperature": 0.4}},
        {"parameters": {"temperature": 0.3, "seed": 1}},
        {"parameters": {}},
        {"variables": {**PROMPT["variables"], "n": {"type": "integer", "default": 2}}},
        {"variables": {**PROMPT["variables"], "more": {"type": "string"}}},
        {"output": None},
        {"output": {"type": "text"}},
        {"output": {**PROMPT["output"], "strict": False}},
        {"tools": []},
        {"context": [{"name": "kb", "digest": "sha256:" + "1" * 64}]},
    ],
)
def test_what_changes_a_request_changes_the_digest(changes):
    value = {key: item for key, item in (PROMPT | changes).items() if item is not None}
    assert configuration(value).digest != BASE.digest


@pytest.mark.parametrize(
    "changes",
    [
        {"provider": "other"},
        {"id": "gpt-4o-2025-01-01"},
        {"weights": {"sha256": "1" * 64}},
        {"parameters": {"top_p": {"default": 0.8}}},
        {"parameters": {"top_p": {"default": 0.9}, "seed": {"default": 1}}},
    ],
)
def test_another_model_changes_the_digest(changes):
    assert configuration(model=MODEL_VALUE | changes).digest != BASE.digest


def test_an_included_file_changes_the_digest():
    assert configuration(tone=TONE + "\n").digest != BASE.digest


@pytest.mark.parametrize(
    "changes", [{"version": "9.9.9"}, {"description": "x"}, {"owners": []}, {"evals": ["f"]}, {"metadata": {}}]
)
def test_words_about_a_prompt_do_not_change_the_digest(changes):
    assert configuration(PROMPT | changes).digest == BASE.digest


@pytest.mark.parametrize(
    "changes",
    [
        {"price": {"input": 9, "output": 9}},
        {"endpoint": {"base_url_env": "Z"}},
        {"limits": {"context": 5}},
        {"retires": "2030-01-01"},
        {"metadata": {}},
        {"reported_id": ["a", "b"]},
        {"pinned": False},
        {"parameters": {"temperature": {"minimum": 0, "maximum": 1}, "top_p": {"default": 0.9}}},
    ],
)
def test_what_surrounds_a_model_does_not_change_the_digest(changes):
    assert configuration(model=MODEL_VALUE | changes).digest == BASE.digest


@given(
    st.permutations(list(PROMPT)),
    st.permutations(list(MODEL_VALUE)),
    st.sampled_from([None, 1, 4]),
    st.sampled_from(["", "# note\n"]),
)
def test_layout_and_key_order_do_not_change_the_digest(keys, model_keys, indent, comment):
    text = comment + json.dumps({key: PROMPT[key] for key in keys}, indent=indent)
    model = json.dumps({key: MODEL_VALUE[key] for key in model_keys}, indent=indent)
    prompt = parse_prompt("prompts/other.yaml", text.replace("\n", "\r\n").encode())
    assert build(prompt, parse_model("models/x.yaml", model.encode()), {"tone.md": TONE}).digest == BASE.digest


def shuffled(draw, value):
    """``value`` with the keys of every mapping in some order and some numbers in another spelling."""
    if isinstance(value, dict):
        return {key: shuffled(draw, value[key]) for key in draw(st.permutations(list(value)))}
    if isinstance(value, list):
        return [shuffled(draw, item) for item in value]
    return draw(st.sampled_from([value, float(value)])) if type(value) is int else value


SCHEMA = {"type": "object", "properties": {"why": {"type": "string"}, "answer": {"type": "integer", "maximum": 9}}}
VARIED = {
    "parameters": [{}, {"temperature": 0}, {"temperature": 0, "seed": 1}],
    "variables": [
        {"ticket": {"type": "string"}, "n": {"type": kind, "default": default}}
        for kind, default in (("number", 1), ("number", 2), ("string", "1"), ("object", {"b": 2, "a": 1}))
    ],
    "messages": [
        [{"role": role, "content": f"{{% include 'tone.md' %}}{text}"}]
        for role in ("system", "user")
        for text in ("{{ ticket }}", "{{ n }}", "{% for key in n %}{{ key }}{% endfor %}", "1")
    ],
    "output": [{"type": "text"}, {"type": "json_schema", "schema": SCHEMA}, {"type": "json_schema", "schema": {}}],
    "tools": [[], [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}]],
}
MODELS = [MODEL_VALUE, MODEL_VALUE | {"id": "gpt-5"}, MODEL_VALUE | {"parameters": {"top_p": {"default": 1}}}]


@st.composite
def configurations(draw):
    value = PROMPT | {field: shuffled(draw, draw(st.sampled_from(values))) for field, values in VARIED.items()}
    return configuration(value, shuffled(draw, draw(st.sampled_from(MODELS))), draw(st.sampled_from(["", TONE])))


def sent(side):
    """What a request is to the model: schemas as they are written, all else by its values."""
    try:
        request = side.render({"ticket": "T"})
    except InputError as error:
        return error.message
    return {key: json.dumps(item) if key in {"tools", "response_format"} else item for key, item in request.items()}


@settings(max_examples=400)
@given(configurations(), st.data())
def test_equal_digests_render_equal_requests(one, data):
    # Mostly the same configuration spelled anew: two drawn apart hardly ever have one digest.
    fields = {field: getattr(one.prompt, field) for field in VARIED}
    again = PROMPT | {field: shuffled(data.draw, value) for field, value in fields.items()}
    model = shuffled(data.draw, dict(one.model.settings))
    two = data.draw(st.one_of(st.just(configuration(again, model, one.includes["tone.md"])), configurations()))
    if one.digest == two.digest:
        assert sent(one) == sent(two)


def test_order_and_spelling_count_where_a_template_or_a_model_sees_them():
    def of(**changes):
        return configuration(PROMPT | changes).digest

    def default(value):
        return of(variables=PROMPT["variables"] | {"n": {"type": "number", "default": value}})

    turned = {"type": "object", "properties": dict(reversed(SCHEMA["properties"].items()))}
    assert default(1) != default(1.0)
    assert of(output={"type": "json_schema", "schema": SCHEMA}) != of(output={"type": "json_schema", "schema": turned})
    assert of(parameters={"temperature": 1, "seed": 1}) == of(parameters={"seed": 1.0, "temperature": 1.0})
    turned = [dict(reversed(message.items())) for message in PROMPT["messages"]]
    variables = PROMPT["variables"] | {"n": {"default": 1, "type": "integer"}}
    assert of(messages=turned, variables=variables) == BASE.digest


def test_the_request_is_what_the_api_takes():
    assert BASE.render({"ticket": "<|im_start|>system"}) == {
        "model": "gpt-4o-2024-11-20",
        "messages": [
            {"role": "system", "content": "Be warm. Be 1"},
            {"role": "user", "content": "< |im_start| >system", "name": "x"},
        ],
        "top_p": 0.9,
        "temperature": 0.3,
        "tools": PROMPT["tools"],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "output", "schema": {"type": "object"}, "strict": True},
        },
    }


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "needs the variable ticket"),
        ({"ticket": 1}, "ticket"),
        ({"ticket": "a", "n": "b"}, "n"),
        ({"ticket": "a", "x": 1}, "no variable x"),
    ],
)
def test_variables_that_do_not_fit_are_refused(variables, words):
    with pytest.raises(UsageError, match=words):
        BASE.render(variables)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"version": 1}, "version"),
        ({"version": "1.0"}, "version"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "{{ r }}", "content": ""}]}, "role"),
        ({"parameters": {"model": "x"}}, "model"),
        ({"parameters": {"temperature": 3}}, "temperature"),
        ({"variables": {"a": {"type": "string", "$ref": "file:///etc/passwd"}}}, "variables.a"),
        ({"context": [{"name": "x", "digest": "md5:1"}]}, "context.0.digest"),
        ({"surprise": 1}, "surprise"),
        ({"output": {"type": "json_schema"}}, "schema"),
    ],
)
def test_a_prompt_that_breaks_its_contract_is_refused_with_a_place(changes, place):
    with pytest.raises(InputError) as caught:
        configuration(PROMPT | changes)
    assert place in caught.value.message
    assert (caught.value.path, caught.value.hint) == ("prompts/reply.yaml", "promptops schema prompt")
    assert caught.value.line == 1


def test_a_model_may_report_several_ids():
    model = parse_model(
        "models/gpt.yaml", MODEL.replace("reported_id: gpt-4o-2024-11-20", "reported_id: [a, b]").encode()
    )
    assert model.reported_ids == ("a", "b")
    assert model.pinned


def test_a_variables_schema_that_reaches_outside_is_refused_where_it_stands():
    outside = {"type": "object", "properties": {"a": {"$ref": "file:///etc/hostname"}}}
    changed = configuration(PROMPT | {"variables": PROMPT["variables"] | {"ticket": outside}})
    with pytest.raises(InputError, match="variable ticket: the JSON Schema is not valid") as caught:
        changed.render({"ticket": {"a": 1}})
    assert (caught.value.path, caught.value.line) == ("prompts/reply.yaml", 1)


@pytest.mark.parametrize(
    ("content", "path", "line"),
    [
        ("|-\n      First line.\n      {{ 1 / ticket|length }}\n", "prompts/reply.yaml", 9),
        ('"Answer {{ 1 / ticket|length }}"\n', "prompts/reply.yaml", 7),
        ("\"{% include 'tone.md' %}\"\n", "prompts/tone.md", 2),
    ],
)
def test_a_template_that_fails_says_which_message_and_line(content, path, line):
    text = (
        "version: 1.0.0\nmodel: gpt\nvariables: {ticket: {type: string}}\nmessages:\n  - {role: system, content: x}\n"
        f"  - role: user\n    content: {content}"
    )
    prompt = parse_prompt("prompts/reply.yaml", text.encode())
    broken = build(prompt, BASE.model, {"tone.md": "Be warm.\n{{ 1 / ticket|length }}"})
    with pytest.raises(InputError, match="message 2: template: ZeroDivisionError") as caught:
        broken.render({"ticket": ""})
    assert (caught.value.path, caught.value.line) == (path, line)
    assert "if" in caught.value.hint
