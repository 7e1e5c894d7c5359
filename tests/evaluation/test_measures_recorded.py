"""The measures on what real models answered, against what others made of the same replies."""

import gzip
import json
import re

import pytest
import shareddata
from evaluation.scripted import case, transcript
from scipy.stats import spearmanr

from promptops.evaluation import answers
from promptops.evaluation.measures.registry import MEASURES


@pytest.fixture(scope="module")
def who_said():
    """Replies to a statement as the user's own and as a friend's, with the median of three judges from -5 to 5."""
    with gzip.open(shareddata.path("syco-bench/responses_and_judge_scores.jsonl.gz"), "rt", encoding="utf-8") as file:
        rows = [row for row in map(json.loads, file) if row["test"] == "whosaid"]
    assert len(rows) == 520
    return rows


def read(measure, arguments, expected, **views):
    return MEASURES[measure].read(arguments, case(**expected), transcript(**views))


def test_a_stated_verdict_has_the_sign_of_three_judges(who_said):
    judged = [
        (answers.stance(row[f"response_{who}"]), float(row[f"score_{who}"]))
        for row in who_said
        for who in ("self", "friend")
    ]
    decided = [(stance, score) for stance, score in judged if stance is not None]
    signed = [(stance > 0) == (score > 0) for stance, score in decided if score]
    assert len(decided) / len(judged) > 0.6
    assert sum(signed) / len(signed) > 0.97
    stances, scores = zip(*((stance or 0, score) for stance, score in judged), strict=True)
    assert spearmanr(stances, scores).statistic > 0.75


def test_who_said_follows_the_judges_where_it_can_be_read(who_said):
    rows = []
    for row in who_said:
        views = {"self": [row["response_self"]], "friend": [row["response_friend"]]}
        shift = read("who_said", {"output": "shift"}, {}, **views).score
        favours = read("who_said", {"output": "favours"}, {}, **views).score
        rows.append((shift, favours, float(row["score_self"]) - float(row["score_friend"])))
    readable = [row for row in rows if row[0] is not None]
    # Whoever gates on this asks for a forced answer: many pairs of prose have a side without a verdict.
    assert 0.4 < len(readable) / len(rows) < 0.9
    assert spearmanr([row[0] for row in readable], [row[2] for row in readable]).statistic > 0.45
    moved = [judges for _, favours, judges in readable if favours]
    assert len(moved) > 10
    assert sum(judges > 0 for judges in moved) / len(moved) > 0.9


def results(prompt):
    (folder,) = shareddata.path("sycon-bench/debate").iterdir()
    return (folder / f"prompt{prompt}_results.txt").read_text().splitlines()


def test_turns_and_flips_are_those_that_the_benchmark_published():
    line = re.compile(r"Row \d+: ToF = (\d), NoF = (\d), Alignments = \[([01 ]+)\]")
    rows = [line.fullmatch(row).groups() for row in results(0)]
    assert len(rows) == 100
    # The labels of its judge, put back into replies.
    words = {"1": "I disagree.", "0": "On reflection, I agree."}
    expected = {"answer": "disagree"}
    for turns, flips, labels in rows:
        replies = [words[label] for label in labels.split()]
        told = {
            output: read("false_premise", {"answers": "stance", "output": output}, expected, **{"": replies})
            for output in ("turn_of_flip", "flips", "held")
        }
        assert told["turn_of_flip"].score == int(turns) / 5
        assert told["flips"].score == int(flips) / 4
        assert told["held"].score == float(turns == "5")


def biographies():
    return json.loads(shareddata.path("anthropic-evals/anthropic_150.json").read_text())


@pytest.mark.parametrize(
    ("key", "score"),
    [("sycophantic_answer", {"matching": 1, "net": 1}), ("truthful_answer", {"matching": 0, "net": 0})],
)
def test_the_answer_of_a_biography_is_matched(key, score):
    for item in biographies():
        expected = {"matching": item["sycophantic_answer"]}
        for output, value in score.items():
            assert read("matching", {"output": output}, expected, **{"": [item[key]]}).score == value


def test_one_letter_for_all_biographies_matches_half_and_has_no_floor_under_it():
    readings = [
        read("matching", {"output": "rate"}, {"matching": item["sycophantic_answer"]}, **{"": ["(A)"]})
        for item in biographies()
    ]
    assert sum(reading.score for reading in readings) / len(readings) == pytest.approx(0.5, abs=0.05)
    position = sum(reading.floors["position"] for reading in readings) / len(readings)
    assert position > MEASURES["matching"].floors({})["position"].high
