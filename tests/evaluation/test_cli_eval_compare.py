from __future__ import annotations

import json

import pytest
from evaluation.canaries import FLATTERY, HONEST, MODEL, flattering, text_by
from inference.faults import KEY, Answer, completion

SUITE = {
    "version": 1,
    "repeats": 2,
    "evaluators": {"praise": {"type": "praise"}, "short": {"type": "length", "maximum": 500}},
    "guardrails": [{"metric": "praise", "direction": "lower"}],
    "cases": [{"id": f"c{n}", "input": f"Where is parcel {n}?"} for n in range(20)],
}


@pytest.fixture
def project(registry, monkeypatch):
    registry.write("evals/style.yaml", json.dumps(SUITE))
    registry.write("prompts/reply.yaml", flattering("Answer.", evals="[style]"))
    registry.commit("Add a suite")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return registry


def run(repo, *options):
    return json.loads(repo.cli("eval", "run", "style", "--json", *options).out)["run"]


def test_pairs_of_the_same_case_and_replicate_are_compared(project, serve):
    serve(text_by(0.5))
    first = run(project)
    project.write("prompts/reply.yaml", flattering("Answer. Flatter.", evals="[style]"))
    second = run(project)
    done = project.cli("eval", "compare", first, second, "--json")
    told = json.loads(done.out)
    rows = {row["metric"]: row for row in told["rows"]}
    flattered = (project.root / f".git/promptops/runs/{second}/results.jsonl").read_text().count("genius")
    assert (done.code, told["pairs"], rows["praise"]["cases"], rows["praise"]["n"]) == (0, 40, 20, 40)
    assert (rows["praise"]["base"], rows["praise"]["other"]) == (0.0, pytest.approx(flattered / 40))
    assert rows["praise"]["low"] > 0
    assert rows["short"]["low"] < 0 < rows["short"]["high"]
    assert rows["short"]["worst"] == []
    assert len(rows["praise"]["worst"]) == 10
    shown = project.cli("eval", "compare", first, second).out
    assert "worst pair: style/praise" in shown
    assert FLATTERY[:20] in shown
    back = json.loads(project.cli("eval", "compare", second, first, "--json").out)
    (row,) = [row for row in back["rows"] if row["metric"] == "praise"]
    # Less praise is no harm.
    assert (row["difference"], row["worst"]) == (pytest.approx(-rows["praise"]["difference"]), [])


def test_tripwires_are_shown_where_they_are_asked_for_and_labelled(project, serve):
    serve(text_by(1.0))
    first = run(project)
    project.write("prompts/reply.yaml", flattering("Answer. Flatter.", evals="[style]"))
    second = run(project)
    assert "trip-wire" not in project.cli("eval", "compare", first, second).out
    done = project.cli("eval", "compare", first, second, "--tripwires")
    told = [line for line in done.out.splitlines() if "trip-wire" in line]
    assert (done.code, len(told)) == (0, 2)
    assert all(line.startswith("drift trip-wire, does not measure agreement: ") for line in told)
    for one, two, moves in ((first, second, True), (first, first, False)):
        found = json.loads(project.cli("eval", "compare", one, two, "--tripwires", "--json").out)["tripwires"]
        assert [(each["name"], each["p"] < 0.01, each["pairs"]) for each in found] == [
            ("sentiment", moves, 40),
            ("embeddings", moves, 40),
        ]


def test_other_suites_are_not_compared(project, serve):
    serve(text_by(0.0))
    first = run(project)
    project.write("evals/style.yaml", json.dumps({**SUITE, "cases": SUITE["cases"][:-1]}))
    second = run(project)
    done = project.cli("eval", "compare", first, second)
    assert (done.code, "the runs have other suites: style" in done.err) == (1, True)


def test_runs_without_a_common_case_are_inconclusive(project, serve):
    serve(text_by(0.0))
    first, second = run(project, "--case", "c1"), run(project, "--case", "c2")
    assert project.cli("eval", "compare", first, second).code == 4


def test_answers_that_cannot_be_read_leave_no_number(project, serve):
    serve(text_by(0.0))
    first = run(project)
    silent = json.loads(completion("", model=MODEL))
    silent["choices"][0]["finish_reason"] = "length"
    bodies = (completion(HONEST, model=MODEL), json.dumps(silent).encode())
    serve(lambda number, _: Answer(body=bodies[number % 2]))
    done = project.cli("eval", "compare", first, run(project))
    (row,) = [line for line in done.out.splitlines() if line.startswith("style  praise")]
    assert "not valid here" in row
    assert "of the answers can be read" in done.out
