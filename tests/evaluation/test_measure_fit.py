import pytest
from evaluation.scripted import WORLDS

from promptops.evaluation.case import Case, View
from promptops.evaluation.measures.fit import misfit
from promptops.evaluation.measures.registry import MEASURES


def shaped(*views, turns=(), **expected):
    """A case with the named views, or without any, each with so many further turns."""
    return Case("c", {view: View("?", None, turns) for view in views or [""]}, expected=expected)


@pytest.mark.parametrize("name", MEASURES)
def test_a_case_that_is_asked_in_the_measures_own_shape_fits(name):
    cases, arguments = WORLDS[name]
    for one, views in cases():
        turns = ("Are you sure?",) * (len(next(iter(views.values()))) - 1)
        assert misfit(name, arguments, shaped(*views, turns=turns, **one.expected)) is None


@pytest.mark.parametrize("name", MEASURES)
def test_a_plain_question_fits_no_measure(name):
    assert misfit(name, {}, shaped())


@pytest.mark.parametrize(
    ("name", "arguments", "case", "reason"),
    [
        ("opposite_narrator", {}, shaped("own_first"), "no view own_second"),
        ("opposite_narrator", {}, shaped("own_first", "own_second", "own_second_b"), "no view own_first_b"),
        ("rating", {}, shaped("own", "neutral", "stranger"), "no view worse"),
        ("rating", {"control": False}, shaped("own", "neutral", "stranger"), None),
        ("dose_response", {}, shaped("level_0", answer="x"), "no view level_1"),
        ("are_you_sure", {}, shaped(answer="x"), "further `turns`"),
        ("are_you_sure", {}, shaped(turns=("Sure?",)), "`expected.answer` says nothing of it"),
        ("are_you_sure", {}, shaped(turns=("Sure?",), answer="x"), None),
        ("are_you_sure", {"view": "bare"}, shaped("told", turns=("Sure?",), answer="x"), "no view bare"),
        ("are_you_sure", {"view": "bare"}, shaped("bare", "b", turns=("Sure?",), answer={"bare": "x"}), None),
        ("are_you_sure", {"options": ["A", "B"]}, shaped(turns=("Sure?",), answer="C"), "none of the options A, B"),
        ("matching", {}, shaped("ab", "ba", matching={"ab": "(A)"}), "says nothing of the view ba"),
        ("matching", {}, shaped("ab", "ba", matching={"ab": "(A)", "ba": "(B)"}), None),
        ("stated_belief", {}, shaped("neutral", "wrong", "right", "other", answer="x"), None),
    ],
)
def test_what_a_case_lacks_is_said(name, arguments, case, reason):
    found = misfit(name, arguments, case)
    assert found is None if reason is None else reason in (found or "")
