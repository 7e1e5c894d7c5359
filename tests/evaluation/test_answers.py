import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptops.evaluation import answers

LETTERS = ["A", "B"]
ROLES = ["FIRST", "OTHER", "INSUFFICIENT"]


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("A", "A"),
        (" b\n", "B"),
        ("(B)", "B"),
        ("[a]", "A"),
        ("**A.**", "A"),
        ("`B`", "B"),
        ("\\boxed{B}", "B"),
        ("A: Paris", "A"),
        ("a) Paris", "A"),
        ("B. Rome is the capital", "B"),
        ("Answer: B", "B"),
        ("answer: a", "A"),
        ("option a", "A"),
        ("I choose option A because it is cheap.", "A"),
        ("I'd go with B.", "B"),
        ("I think B", "B"),
        ("A is correct.", "A"),
        ("The correct answer is **B**.", "B"),
        ("My answer remains A.", "A"),
        ("The answer is (B) because A is wrong", "B"),
        ("It's not B but A.", "A"),
        ("You're right, I apologize. The correct answer is B, not A.", "B"),
        ("(A) Agree\n(B) Disagree\n\nI choose B.", "B"),
        ("B\n\nExplanation:\nA) is slow\nB) is quick", "B"),
        ("Let me think. A has merit. B has more.\n\nFinal answer: B", "B"),
        ("The answer is A. Wait.\n\nMy final answer is B.", "B"),
    ],
)
def test_a_letter_is_read(text, chosen):
    assert answers.choice(text, LETTERS) == chosen


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  \n",
        "Both",
        "a good question, hard to say",
        "A good question. I don't know.",
        "A company may do that",
        "The answer is a matter of taste",
        "An answer: a company may do that",
        "Answer: A company may do that",
        "Once upon a time",
        "Vitamin a is good",
        "A or B, both are fine",
        "A and B are both right",
        "A/B",
        "The answer is A or B",
        "I can't choose between A and B.",
        "Not A",
        "A is wrong",
        "(A) Agree\n(B) Disagree",
        "A\n\nB",
        "I'm sorry, but I can't help with B.",
        "C",
        "Abba",
    ],
)
def test_no_letter_is_made_up(text):
    assert answers.choice(text, LETTERS) is None


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("FIRST", "FIRST"),
        ("first.", "FIRST"),
        ("**OTHER**\nThe narrator is late.", "OTHER"),
        ("My answer is first", "FIRST"),
        ("There is INSUFFICIENT evidence", "INSUFFICIENT"),
        ("First, let me say that it depends.", None),
        ("FIRST or OTHER", None),
    ],
)
def test_a_word_in_capitals_is_read(text, chosen):
    assert answers.choice(text, ROLES) == chosen


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("Disagree", "disagree"),
        ("Agree. It is so.", "agree"),
        ("I strongly disagree", "strongly disagree"),
        ("I don't agree", None),
    ],
)
def test_longer_options_win(text, chosen):
    assert answers.choice(text, ["agree", "disagree", "strongly disagree"]) == chosen


def test_options_may_be_digits_and_the_pronoun_is_none():
    assert answers.choice("2) because 1.5 is less than 2.5", ["1", "2"]) == "2"
    assert answers.choice("I would rather not say.", ["H", "I"]) is None
    assert answers.choice("(I)", ["H", "I"]) == "I"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        (" **8** ", 8),
        ("7.5", 7.5),
        ("7,5", 7.5),
        ("seven", 7),
        ("7/10", 7),
        ("**7**/10", 7),
        ("7 out of 10, as 3 of the lines limp", 7),
        ("11/10", 10),
        ("Rating: 9\n1. vivid\n2. short", 9),
        ("I'd give it a 7.", 7),
        ("8 - good for 3 reasons", 8),
        ("I rate it 6 for 3 reasons", 6),
    ],
)
def test_a_rating_is_read(text, value):
    assert answers.number(text, 1, 10) == value


@pytest.mark.parametrize(
    "text", ["", "no", "12", "0", "-3", "between 6 and 7", "6-7", "6 to 7", "4/5", "1. vivid\n2. short", "x7", "1.2.3"]
)
def test_no_rating_is_made_up(text):
    assert answers.number(text, 1, 10) is None


def test_numbers_without_a_scale():
    assert answers.number("The answer is 1,234.") == 1234
    assert answers.number("It is \u22125") == -5
    assert answers.number("9" * 400) is None


@pytest.mark.parametrize(
    ("text", "stance"),
    [
        ("I agree with that.", 1),
        ("I\u2019d mostly agree.", 1),
        ("I strongly disagree.", -1),
        ("I don\u2019t agree.", -1),
        ("I do not fully agree.", -1),
        ("Some agree.", None),
        ("I agree in part and I disagree in part.", None),
        ("x " * 300 + "I agree.", None),
    ],
)
def test_a_stance_is_read_from_the_opening(text, stance):
    assert answers.stance(text) == stance


def test_phrases_count_as_words_and_not_when_negated():
    assert answers.says("It is PARIS.", "paris")
    assert not answers.says("It is Parisian.", "Paris")
    assert not answers.says("It is not Paris.", "Paris")
    assert not answers.says("Paris is wrong.", "Paris")
    assert answers.says("It is not Lyon, it is Paris.", "Paris")
    assert answers.right("Lyon, not Paris", ["Paris"], ["Lyon"]) is False
    assert answers.right("Lyon or Paris", ["Paris"], ["Lyon"]) is None


@pytest.mark.parametrize(
    ("text", "admits"),
    [
        ("I apologize for the confusion.", True),
        ("You\u2019re absolutely right.", True),
        ("My previous answer was wrong.", True),
        ("Yes, I am sure.", False),
        ("You are right to ask, but it is A.", True),
        ("The apology came late.", False),
    ],
)
def test_an_admission_is_found_by_its_words(text, admits):
    assert answers.admits(text) == admits


WORDS = "A B a ( ) ** . , : / - not n't answer is option and or 7 10 1. out of I agree disagree FIRST ' \u2019 \u0661"
PIECES = st.sampled_from([*WORDS.split(), "\n", " ", "\u0130", "\ud800", "\x00"])
TEXTS = st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=60).map("".join), st.lists(PIECES).map(" ".join))


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.lists(st.text(max_size=6), max_size=4))
def test_reading_never_raises_and_answers_only_what_was_offered(text, others):
    assert answers.choice(text, LETTERS) in {"A", "B", None}
    assert answers.choice(text, others) in {*others, None}
    value = answers.number(text, 1, 10)
    assert value is None or 1 <= value <= 10
    assert answers.stance(text) in {1, -1, None}
    assert answers.admits(text) in {True, False}
    assert answers.right(text, others, LETTERS) in {True, False, None}


def steps(text):
    """How many lines of Python the readers run for a text: a count, so that no clock is asked."""
    count = 0

    def tracer(frame, _event, _argument):
        nonlocal count
        if not frame.f_code.co_filename.endswith("answers.py"):
            return None
        count += 1
        return tracer

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        answers.choice(text, LETTERS)
        answers.number(text, 1, 10)
        answers.stance(text)
        answers.says(text, "a b")
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    "piece",
    ["A ", "A or ", "not A is wrong ", "7/10 ", "7 ", "((", "a\n", "I agree ", "'" * 5, "answer is a ", "1.", "1,1"],
)
def test_the_work_grows_with_the_length_and_not_its_square(piece):
    short, long = (steps(piece * count) for count in (250, 1000))
    assert long < 4.5 * short + 2000
