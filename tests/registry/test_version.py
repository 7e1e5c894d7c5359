"""Semantic versions and the grade that a change needs."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import MODEL, changed

from promptops.errors import InputError
from promptops.registry import version as versions
from promptops.registry.configuration import build
from promptops.registry.prompt import parse_model, parse_prompt

# semver.org 2.0.0, rule 11.
ORDERED = [
    "0.0.1", "0.1.0", "1.0.0-0", "1.0.0-2", "1.0.0-11", "1.0.0--1", "1.0.0-A", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta",
    "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.2.0", "1.10.0", "2.0.0-rc.1", "2.0.0", "10.0.0",
]  # fmt: skip


def test_versions_order_by_precedence():
    parsed = [versions.parse(text) for text in ORDERED]
    assert all(lower < higher for lower, higher in pairwise(parsed))
    assert all(not higher < lower for lower, higher in pairwise(parsed))


@pytest.mark.parametrize(
    "text",
    ["", "1", "1.0", "v1.0.0", "01.0.0", "1.0.0+build", "1.0.0-", "1.0.0-01", "1.0.0-a..b", "1.0.0-ä", "1.0.0 ", "1.0.0\n", "\u0661.0.0", "9999999999.0.0", "1.0.0-" + "a" * 90, None, 1.0],
)  # fmt: skip
def test_anything_else_is_no_version(text):
    with pytest.raises(InputError, match="is not a semantic version"):
        versions.parse(text)


@given(st.tuples(*[st.integers(0, 999)] * 3), st.sampled_from(["patch", "minor", "major"]))
def test_a_bump_is_the_least_step_of_its_grade(numbers, grade):
    old = versions.parse(".".join(map(str, numbers)))
    new = old.bump(grade)
    assert new > old
    assert new.grade_above(old) == grade
    assert old.grade_above(new) == "none"


def test_a_release_of_a_candidate_is_a_step():
    assert versions.parse("1.0.0").grade_above(versions.parse("1.0.0-rc.1")) == "patch"
    assert versions.parse("1.0.0").grade_above(versions.parse("1.0.0")) == "none"


def configuration(model: str = MODEL, includes: dict[str, str] | None = None, **changes: str):
    prompt = parse_prompt("prompts/reply.yaml", changed(**changes).encode())
    return build(prompt, parse_model("models/gpt.yaml", model.encode()), includes or {})


VARIABLES = "{ticket: {type: string, maxLength: 8000}, tone: {type: string, default: calm}}"


@pytest.mark.parametrize(
    ("before", "after", "grade"),
    [
        ({}, {}, "none"),
        (
            {},
            {"version": '"2.0.0"', "description": "other", "owners": "[]", "evals": "[x]", "metadata": "{a: 1}"},
            "none",
        ),
        ({}, {"messages": "[{role: user, content: 'x {{ ticket }}'}]"}, "patch"),
        ({"includes": {"a.md": "x"}}, {"includes": {"a.md": "y"}}, "patch"),
        ({}, {"parameters": "{temperature: 0.4, max_completion_tokens: 100}"}, "minor"),
        ({}, {"parameters": ""}, "minor"),
        ({}, {"model": "gpt", "tools": "[{type: function}]"}, "minor"),
        ({}, {"context": f"[{{name: kb, digest: 'sha256:{'0' * 64}'}}]"}, "minor"),
        ({}, {"variables": VARIABLES}, "minor"),
        ({"variables": VARIABLES}, {"variables": VARIABLES.replace("calm", "warm")}, "minor"),
        ({}, {"variables": "{ticket: {type: string, maxLength: 8000, description: the ticket}}"}, "minor"),
        ({"variables": VARIABLES}, {}, "major"),
        ({}, {"variables": "{ticket: {type: string, maxLength: 100}}"}, "major"),
        ({}, {"variables": "{ticket: {type: object}}"}, "major"),
        ({}, {"variables": "{text: {type: string, maxLength: 8000}}"}, "major"),
        ({}, {"variables": VARIABLES.replace(", default: calm", "")}, "major"),
        ({"variables": VARIABLES}, {"variables": VARIABLES.replace(", default: calm", "")}, "major"),
        ({}, {"output": "{type: json_object}"}, "major"),
        ({"output": "{type: json_object}"}, {"output": "{type: text}"}, "major"),
        ({"output": "{type: json_object}"}, {}, "major"),
        ({}, {"output": "{type: json_object}", "parameters": ""}, "major"),
        ({}, {"model": MODEL.replace("2024-11-20", "2025-01-01")}, "minor"),
        ({}, {"model": MODEL + "price: {input: 1, output: 2}\n"}, "none"),
    ],
)
def test_grade_of_a_change(before, after, grade):
    sides = []
    for side in (before, after):
        keys = dict(side)
        model = keys.pop("model", MODEL)
        sides.append(configuration(MODEL if model == "gpt" else model, keys.pop("includes", None), **keys))
    assert versions.grade(*sides) == grade
