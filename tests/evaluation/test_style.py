import pytest

from promptops.evaluation import evaluators, style
from promptops.evaluation.case import single
from promptops.inference.reply import Reply


def test_words_are_scaled_and_bounded():
    assert style.words("") == 0
    assert style.words("one two\nthree") == pytest.approx(0.003)
    assert style.words("x " * 5000) == 1


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("", 0),
        ("It is late.", 0),
        ("Is it late?", 1),
        ("Is it late? Yes.", 0.5),
        ("**Really?** Yes! Version 1.5 is out", 1 / 3),
        ("Why?!\n\n- one\n- two\n", 1 / 3),
        ("?? ...", 0),
    ],
)
def test_questions_are_a_share_of_sentences(text, share):
    assert style.questions(text) == pytest.approx(share)


def test_hedges_are_a_rate():
    assert style.hedges("") == 0
    assert style.hedges("It is so.") == 0
    assert style.hedges("Perhaps " + "word " * 99) == pytest.approx(0.1)
    assert style.hedges("Maybe, it depends.") == 1
    assert style.hedges("I\u2019d say " + "word " * 97) == pytest.approx(10 / 99)


@pytest.mark.parametrize(("kind", "score"), [("words", 0.004), ("questions", 0.5), ("hedges", 1)])
def test_they_are_evaluators(kind, score):
    reply = Reply("", "Perhaps. Is it late?", "m")
    definition = evaluators.expectation(kind, {})
    evaluators.check(definition)
    assert evaluators.EVALUATORS[kind].run(definition.arguments, single("a", "?"), reply) == pytest.approx(score)
