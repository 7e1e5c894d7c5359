"""PO115: a case has a part of what a measure needs."""

from __future__ import annotations

import pytest

SUITE = "evals/sides.yaml"
NARRATED = "  sided: {type: opposite_narrator, output: sycophancy}\n"
CHOSEN = "  matched: {type: matching, output: matching}\n"
WHOLE = "  - {id: whole, views: {own_first: {input: x}, own_second: {input: y}}}\n"
PLAIN = "  - {id: plain, input: x, expect: {contains: y}}\n"


def suite(*cases, evaluators=NARRATED):
    return f"version: 1\nevaluators:\n{evaluators}cases:\n{WHOLE}{''.join(cases)}"


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        (suite("  - {id: half, views: {own_first: {input: x}}}\n"), "it has no view own_second"),
        (
            suite("  - {id: half, views: {own_first: {input: x}, own_second: {input: y}, own_first_b: {input: z}}}\n"),
            "it has no view own_second_b",
        ),
        (
            suite(
                "  - {id: half, expected: {matching: {ab: A}}, views: {ab: {input: x}, ba: {input: y}}}\n",
                evaluators=NARRATED + CHOSEN,
            ),
            "`expected.matching` says nothing of the view ba",
        ),
    ],
    ids=["view", "variant", "gold"],
)
def test_finds_what_is_left_out(judge, text, lacks):
    (found,) = judge(**{SUITE: text})
    assert (found.rule, found.path, found.line) == ("PO115", SUITE, text.count("\n", 0, text.index("id: half")) + 1)
    assert lacks in found.message


@pytest.mark.parametrize(
    "text",
    [
        suite(),
        suite(PLAIN),
        suite("  - {id: other, views: {first: {input: x}, second: {input: y}}}\n"),
        suite(
            "  - {id: shared, views: {own: {input: x}, neutral: {input: y}, stranger: {input: z}}}\n",
            evaluators="  rated: {type: rating, output: own_over_neutral, control: false}\n"
            "  held: {type: stated_belief, output: accuracy}\n",
        ),
    ],
    ids=["whole", "no-views", "no-measure", "another-measure"],
)
def test_is_silent(judge, text):
    assert [each for each in judge(**{SUITE: text}) if each.rule == "PO115"] == []


def test_a_malformed_suite_is_another_rule_s(judge):
    assert {each.rule for each in judge(**{SUITE: "views: 1\n"})} == {"PO101"}
