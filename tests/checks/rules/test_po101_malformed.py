from __future__ import annotations

import pytest
from support import MODEL, PROMPT, changed

REPLY = "prompts/reply.yaml"


@pytest.mark.parametrize(
    ("path", "text", "line"),
    [
        (REPLY, PROMPT + "model: other\n", 11),
        (REPLY, changed(version="1.1"), 10),
        (REPLY, changed(version=""), 1),
        (REPLY, PROMPT.replace("role: system", "role: robot"), 9),
        (REPLY, "", 1),
        (REPLY, b"\xff\xfe", 1),
        (REPLY, "version: [", 2),
        ("models/gpt.yaml", "provider: openai\nid: x\npinned: maybe\n", 3),
        ("promptops.yaml", "version: 2\n", 1),
        ("rollouts/reply.yaml", "version: 1\n", 1),
        ("evals/safety.yaml", "not: a suite\n", 1),
        (".promptops/policy.yaml", "version: 1\n", 1),
    ],
)
def test_finds(judge, path, text, line):
    assert (path, line) in judge.places("PO101", **{path: text})


def test_names_every_violation_not_the_first_alone(judge):
    text = changed(version='"1.1.0"', model="a/b", messages="[]")
    assert len(judge.places("PO101", **{REPLY: text})) == 2


@pytest.mark.parametrize("text", [changed(version='"1.0.1"', messages="[{role: user, content: 'Hi {{ ticket }}'}]")])
def test_is_silent(judge, text):
    assert judge(**{REPLY: text}) == []


@pytest.mark.parametrize(
    ("variable", "reason"),
    [
        ("{type: string, pattern: '('}", "not a"),
        ("{type: string, pattern: '(?=a)b'}", "not a"),
        ("{type: string, maxLength: many}", "many"),
        ("{type: string, minLength: -1}", "-1"),
        ("{type: string, enum: a}", "array"),
        ("{type: array, items: {$ref: 'file:///etc/hostname'}}", "file:///etc/hostname"),
        ("{type: integer, default: soon}", "default does not fit"),
        ("{type: string, maxLength: 3, default: long}", "default does not fit"),
        ("{type: string, pattern: '^a', default: b}", "default does not fit"),
        ("{type: array, items: {type: string}, default: [1]}", "default does not fit"),
    ],
)
def test_finds_a_variable_that_no_value_can_be_judged_by(judge, variable, reason):
    staged = judge(**{REPLY: PROMPT.replace("{type: string, maxLength: 8000}", variable)})
    (found,) = (each for each in staged if each.rule == "PO101")
    assert (found.path, found.line) == (REPLY, 7)
    assert found.message.startswith("variable ticket: ")
    assert reason in found.message


@pytest.mark.parametrize(
    "variable",
    [
        "{type: string, description: x, minLength: 0, enum: [a, b], default: b}",
        "{type: string, pattern: '^[a-z]+$', default: abc}",
        "{type: array, items: {$ref: '#/$defs/one'}, $defs: {one: {type: integer}}, default: [1]}",
        "{type: number, default: 1}",
    ],
)
def test_is_silent_about_a_variable_that_fits_itself(judge, variable):
    text = changed(version='"2.0.0"').replace("{type: string, maxLength: 8000}", variable)
    assert [each for each in judge(**{REPLY: text}) if each.rule == "PO101"] == []


SUITE = """\
version: 1
evaluators:
  short: {type: length, maximum: 60}
  polite: {type: regex, value: "(?i)please|thank"}
guardrails:
  - {metric: short, direction: higher}
cases:
  - {id: a, input: x}
  - {id: b, input: y}
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("id: b", "id: a", 9, "two cases have the id a"),
        ("metric: short", "metric: brief", 6, "brief is not defined"),
        ("metric: short", "metric: expected", 6, "never scored"),
        ("(?i)please|thank", "(please", 4, "does not compile"),
        ("maximum: 60", "maximum: 1, minimum: 2", 3, "length needs"),
        ("input: y", "input: y, expect: {not_regex: '(?!x)'}", 9, "does not compile"),
    ],
)
def test_finds_a_suite_that_contradicts_itself(judge, old, new, line, message):
    (found,) = judge(**{"evals/safety.yaml": SUITE.replace(old, new)})
    assert (found.rule, found.path, found.line) == ("PO101", "evals/safety.yaml", line)
    assert message in found.message


def test_is_silent_about_a_whole_suite(judge):
    assert judge(**{"evals/safety.yaml": SUITE}) == []


def test_reports_a_bad_model_once_beside_its_users(judge):
    found = judge(**{"models/gpt.yaml": "provider: openai\n"})
    assert {(each.rule, each.path) for each in found} == {("PO101", "models/gpt.yaml"), ("PO201", REPLY)}


def test_leaves_other_files_alone(judge):
    assert judge(**{"README.md": "version: [", "docs/x.yaml": "a: [", "evals/data/x.yaml": "a: ["}) == []


def test_model_text_is_valid(judge):
    assert judge(**{"models/other.yaml": MODEL}) == []
