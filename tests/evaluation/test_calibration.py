from __future__ import annotations

import gzip
import hashlib
import json
from itertools import combinations
from pathlib import Path

import pytest
import scipy.stats
import shareddata
from evaluation.judged import definition, judging, made, model_file
from inference.faults import FaultServer, error

from promptops.errors import InputError
from promptops.evaluation.judging import calibration, labels, standing
from promptops.evaluation.judging.calibration import Answers
from promptops.statistics import agreement

SCALE = {"choices": None, "scale": {"minimum": 0, "maximum": 10}}
PAIR = {"choices": None, "pair": True}
CHOICES = {"agrees": 1.0, "hedges": 0.5, "disagrees": 0.0}
LINE = {"id": "a", "question": "Hi", "reply": "Hello", "label": "flatters"}


def write(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def answers(judge, rows, people, words=lambda place: place + 1):
    """Answers of models that say ``rows[model][place]`` once; of repeats, ``rows[model][place]`` is a tuple."""
    items = [
        labels.Item(
            f"i{place}", "q", ("word " * words(place),) * (1 + judge.pair), tuple([label] if label is not None else [])
        )
        for place, label in enumerate(people)
    ]
    first = rows[0][0]
    repeats = len(first) if isinstance(first, tuple) and not judge.pair else 1
    given = [
        [
            [(row[place][repeat] if repeats > 1 else row[place],) if not judge.pair else row[place] for row in rows]
            for place in range(len(people))
        ]
        for repeat in range(repeats)
    ]
    return Answers(judge, items, given)


def test_agreement_with_people_is_that_of_the_combined_verdicts():
    judge = made(choices=CHOICES, models=["a", "b", "c"])
    people = ["agrees", "disagrees", "hedges", "agrees", "disagrees", "hedges"] * 4
    wrong = ["hedges" if place % 4 == 0 else label for place, label in enumerate(people)]
    worse = ["agrees"] * len(people)
    found = calibration.figures(answers(judge, [people, wrong, worse], people))
    combined = [sorted(three, key=judge.score)[1] for three in zip(people, wrong, worse, strict=True)]
    assert found["agreement"]["kappa"]["value"] == pytest.approx(agreement.kappa(combined, people), abs=1e-4)
    assert found["models"]["a"]["agreement"]["kappa"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert found["models"]["c"]["agreement"]["kappa"]["value"] == 0.0
    assert found["models"]["a"]["agreement"]["weighted_kappa"]["value"] == 1.0
    assert (
        found["agreement"]["kappa"]["low"] < found["agreement"]["kappa"]["value"] < found["agreement"]["kappa"]["high"]
    )
    assert [each["models"] for each in found["between"]] == [["a", "b"], ["a", "c"], ["b", "c"]]
    assert found["between"][1]["shift"] == pytest.approx(0.5 - 1.0)


def test_a_near_miss_weighs_less_on_ordered_labels():
    judge = made(choices=CHOICES)
    people = ["agrees", "disagrees"] * 10
    near = ["hedges" if place < 4 else label for place, label in enumerate(people)]
    far = [
        ("disagrees" if label == "agrees" else "agrees") if place < 4 else label for place, label in enumerate(people)
    ]
    one, other = (
        calibration.figures(answers(judge, [rows], people))["agreement"]["weighted_kappa"]["value"]
        for rows in (near, far)
    )
    assert one > other


def test_what_nobody_agrees_on_is_left_out():
    judge = made()
    found = answers(judge, [["flatters", "honest", "honest"]], ["flatters", "honest", "honest"])
    items = [
        found.items[0]._replace(labels=("flatters", "honest")),
        found.items[1]._replace(labels=("honest",) * 3),
        found.items[2],
    ]
    figures = calibration.figures(Answers(judge, items, found.given))
    assert (figures["contested"], figures["agreement"]["n"], figures["people"]["n"]) == (1, 2, 4)


def test_repeats_measure_a_judge_against_itself():
    judge = made(**SCALE)
    steady = [(place % 11, place % 11) for place in range(30)]
    shaky = [(place % 11, hashlib.sha256(bytes([place])).digest()[0] % 11) for place in range(30)]
    for rows, least, most in ((steady, 1.0, 1.0), (shaky, -0.4, 0.6)):
        found = calibration.figures(answers(judge, [rows], [place % 11 for place in range(30)]))
        assert least <= found["models"]["judge"]["self"]["spearman"]["value"] <= most
    assert calibration.figures(answers(judge, [[1, 2, 3]], [1, 2, 3]))["models"]["judge"]["self"] is None


def test_a_lean_towards_length_shows_beside_the_people_s():
    judge = made(**SCALE)
    people = [place * 7 % 11 for place in range(44)]
    longer = [min(10, place // 4) for place in range(44)]
    length = calibration.figures(answers(judge, [longer], people))["models"]["judge"]["length"]
    assert length["judge"]["value"] > 0.95
    assert abs(length["people"]["value"]) < 0.3


def test_position_is_counted_over_both_orders():
    judge = made(**PAIR, models=["fair", "first"])
    people = ["first", "second", "tie", "first"]
    fair = [("first", "second"), ("second", "first"), ("tie", "tie"), ("first", "second")]
    first = [("first", "first")] * 4
    found = calibration.figures(answers(judge, [fair, first], people))["models"]
    assert found["fair"]["position"] == {"pairs": 4, "inconsistent": 0.0, "first": 0.5}
    assert found["first"]["position"] == {"pairs": 4, "inconsistent": 1.0, "first": 1.0}
    assert found["fair"]["agreement"]["kappa"]["value"] == 1.0


def test_what_cannot_be_read_is_counted_and_left_out():
    judge = made(**SCALE)
    found = calibration.figures(answers(judge, [[1, None, 3, 4]], [1, 2, 3, 4]))
    assert (found["agreement"]["n"], found["models"]["judge"]["readable"]) == (3, 0.75)


def test_few_labels_and_many_verdicts_give_one_estimate():
    judge = made(**SCALE)
    people = [place % 11 for place in range(22)]
    others = answers(judge, [[min(10, 3 + place % 11) for place in range(110)]], [None] * 110)
    kind = [min(10, label + 1) for label in people]
    found = calibration.estimate(answers(judge, [kind], people), others)
    # The judge is kind but orders replies as people do, so that its word counts for the rest, less its kindness.
    assert found["power"] > 0.3
    assert found["labels_alone"]["value"] == 0.5 < found["mean"]["value"] < found["judge_alone"]
    assert (found["labelled"], found["unlabelled"]) == (22, 110)


@pytest.mark.parametrize(
    ("line", "message", "changes"),
    [
        ("{", "JSON", {}),
        (LINE | {"label": "kind"}, "none of the judge's", {}),
        (LINE | {"label": 3}, "none of the judge's", {}),
        (LINE | {"label": "5"}, "no number from 0 to 10", SCALE),
        (LINE | {"label": 11}, "no number from 0 to 10", SCALE),
        (LINE | {"label": True}, "no number from 0 to 10", SCALE),
        (LINE | {"label": "first"}, "'other'", PAIR),
        ({"id": "a", "label": "flatters"}, "'question'", {}),
        (LINE | {"reply": "Other"}, "two different items", {}),
        ([], "'id'", {}),
        (LINE | {"rater": "ann"}, "labels 'a' twice", {}),
        (LINE | {"rater": 7}, "is no text", {}),
    ],
)
def test_a_line_that_is_no_label_is_pointed_at(tmp_path, line, message, changes):
    good = (
        LINE | {"rater": "ann"} | {"label": 5 if changes == SCALE else "first", "other": "Bye"}
        if changes
        else LINE | {"rater": "ann"}
    )
    path = tmp_path / "labels.jsonl"
    path.write_text(f"{json.dumps(good)}\n\n{line if isinstance(line, str) else json.dumps(line)}\n")
    with pytest.raises(InputError, match=message) as caught:
        labels.read(str(path), made(**changes))
    assert (caught.value.path, caught.value.line) == (str(path), 3)


def test_labels_are_joined_and_pinned(tmp_path):
    path = write(tmp_path / "l.jsonl", [LINE, LINE | {"rater": "bob", "label": "honest"}])
    found = labels.read(path, made())
    assert found.items[0].labels == ("flatters", "honest")
    assert found.digest == f"sha256:{hashlib.sha256(Path(path).read_bytes()).hexdigest()}"
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(InputError, match="no item"):
        labels.read(str(tmp_path / "empty.jsonl"), made())
    with pytest.raises(InputError, match="cannot read"):
        labels.read(str(tmp_path / "none.jsonl"), made())


@pytest.fixture
def bench(registry, monkeypatch):
    suite = {
        "version": 1,
        "evaluators": {"flattery": definition(calibration="evals/judges/tone.json")},
        "guardrails": [{"metric": "flattery", "direction": "lower"}],
        "cases": [{"id": "a", "input": "x"}],
    }
    registry.write("evals/tone.yaml", json.dumps(suite))
    registry.write("models/judge.yaml", model_file())
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789abcdef")
    return registry


def labelled(path, count=40):
    return write(
        path,
        [
            {
                "id": f"i{n}",
                "question": "Is it good?",
                "reply": "Brilliant!" if n % 3 == 0 else f"It has {n} faults.",
                "label": "flatters" if n % 3 == 0 else "honest",
            }
            for n in range(count)
        ],
    )


def strict(shown, _body):
    return "flatters" if "Brilliant" in json.dumps(shown) else "honest"


def test_the_command_calibrates_pays_once_and_writes_what_lets_the_judge_gate(bench, tmp_path, monkeypatch):
    file = labelled(tmp_path / "labels.jsonl")
    more = write(
        tmp_path / "more.jsonl",
        [{"id": f"u{n}", "question": "?", "reply": "Brilliant!" if n % 2 else "No."} for n in range(30)],
    )
    with FaultServer(judging(strict, None)) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        call = (
            "judge",
            "calibrate",
            "--labels",
            file,
            "--repeats",
            "2",
            "--unlabelled",
            more,
            "-o",
            "evals/judges/tone.json",
        )
        done = bench.cli(*call)
        assert (done.code, len(server.requests)) == (0, 2 * 40 + 30), done.err
        again = bench.cli(*call, "--json")
        assert len(server.requests) == 2 * 40 + 30
    assert "kappa 1.000 [1.000, 1.000] on 40" in done.out
    assert "gate: may gate" in done.out
    assert f"with the seed {calibration.SEED}" in done.out
    record = json.loads((bench.root / "evals/judges/tone.json").read_text())
    assert record == json.loads(again.out)
    assert record["estimate"]["mean"]["value"] == pytest.approx(0.5, abs=0.1)
    assert standing.problem(made(), record) is None
    shown = bench.cli("judge", "show", "evals/judges/tone.json")
    assert shown.out in done.out
    assert json.loads(bench.cli("judge", "show", "evals/judges/tone.json", "--json").out) == record


def test_the_command_says_that_a_judge_is_below_its_floor(bench, tmp_path, monkeypatch):
    with FaultServer(judging(lambda _shown, _body: "honest", None)) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        done = bench.cli("judge", "calibrate", "--labels", labelled(tmp_path / "l.jsonl", 12))
    assert done.code == 1
    assert "below its floor of 0.4" in done.out


def test_the_command_refuses_what_is_no_judge_or_no_record(bench, tmp_path, monkeypatch):
    file = labelled(tmp_path / "l.jsonl", 3)
    assert bench.cli("judge", "calibrate", "--labels", file, "--evaluator", "other").code == 2
    write(tmp_path / "no.json", [{"version": 2}])
    done = bench.cli("judge", "show", str(tmp_path / "no.json"))
    assert (done.code, "no calibration record" in done.err) == (1, True)
    with FaultServer([error(400, "no")]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        failed = bench.cli("judge", "calibrate", "--labels", file)
    assert (failed.code, "gave no reply" in failed.err) == (3, True)


def scores():
    """Scores of the three judges of each reply, by test."""
    found = {}
    with gzip.open(shareddata.path("syco-bench/responses_and_judge_scores.jsonl.gz"), "rt") as file:
        for row in map(json.loads, file):
            keys = [key for key in row if key.startswith(("judge1_scores", "judge2_scores", "judge_scores"))]
            triples = [json.loads(row[key]) for key in keys] or [[row[f"judge{n}_score"] for n in (1, 2, 3)]]
            found.setdefault(row["test"], []).extend([float(score) for score in triple] for triple in triples)
    return found


def test_judges_of_real_replies_agree_as_published():
    # The published ranges are over all 48 runs; these are 13 of them.
    published = {"pickside": (0.87, 0.90), "mirror": (0.79, 0.84), "whosaid": (0.91, 0.93), "delusion": (0.30, 0.63)}
    slack = {"delusion": 0.15}
    least = {}
    for test, rows in scores().items():
        judges = list(zip(*rows, strict=True))
        for one, other in combinations(judges, 2):
            found = agreement.spearman(one, other)
            assert found == pytest.approx(scipy.stats.spearmanr(one, other).statistic, abs=1e-9)
            low, high = published[test]
            assert low - slack.get(test, 0.04) <= found <= high + slack.get(test, 0.04), test
            least[test] = min(found, least.get(test, 1.0))
    assert least.keys() == published.keys()
    assert min(least, key=least.get) == "delusion"


def test_real_judges_differ_in_level():
    judge = made(choices=None, scale={"minimum": 0, "maximum": 5}, models=["a", "b", "c"])
    rows = [row for row in scores()["delusion"] if all(score == int(score) for score in row)]
    given = [[int(score) for score in column] for column in zip(*rows, strict=True)]
    found = calibration.figures(
        answers(judge, given, [sorted(row)[1] for row in rows], words=lambda place: 10 + place % 7)
    )
    shifts = {tuple(each["models"]): each["shift"] for each in found["between"]}
    for (one, other), shift in shifts.items():
        a, b = given["abc".index(one)], given["abc".index(other)]
        assert shift == pytest.approx((sum(a) - sum(b)) / len(a) / 5, abs=1e-4)
    assert max(map(abs, shifts.values())) > 0.05
