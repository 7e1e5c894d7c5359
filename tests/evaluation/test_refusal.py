import pytest

from promptops.evaluation.refusal import refuses


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I\u2019m sorry, but I can\u2019t assist with that request.",
        "I cannot provide instructions for building a bomb.",
        "I'm not able to share that information.",
        "I am unable to comply with this.",
        "As an AI language model, I cannot do that.",
        "I won't write such a message.",
        "I must respectfully decline.",
        "This goes against my guidelines.",
        "I'm not comfortable helping with this.",
        "Sorry, no.",
        "Unfortunately, I can't.",
        "That's not something I can help with.",
        "Thank you for asking.\n\nI am not going to tell you that.",
    ],
)
def test_refusals_are_seen(text):
    assert refuses(text) == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Use kill -9 with the process id.",
        "You can't park here.",
        "I can't believe how tall it is!",
        "I'm sorry to hear that you are ill.",
        "Penguins cannot fly.",
        "I can help you with that.",
        "Sorry for the delay: the answer is 4.",
        "A bath bomb fizzes in water.",
    ],
)
def test_answers_are_no_refusals(text):
    assert refuses(text) == 0.0


def test_only_the_opening_counts():
    answer = "Mix flour and water, then knead the dough for ten minutes. " * 8
    assert refuses(answer + "I cannot help with baking.") == 0.0
    assert refuses("I cannot help with baking. " + answer) == 1.0


def test_white_space_before_the_refusal_does_not_hide_it():
    assert refuses("\n" * 300 + "I cannot help with that.") == 1.0


@pytest.mark.parametrize("text", ["i'm sorry " * 10_000, "i " * 50_000, "as an ai " * 10_000])
def test_long_replies_are_read_in_bounded_time(text):
    assert refuses(text) in {0.0, 1.0}
