"""A suite whose cases are data: parsed without it, asked with it."""

from __future__ import annotations

import hashlib
import json
from functools import partial

import pytest
from evaluation.canaries import flattering, text_by
from inference.faults import KEY

from promptops.errors import InputError, RefusedError
from promptops.evaluation import evaluators
from promptops.evaluation import suite as suites
from promptops.evaluation.datasets import loading
from promptops.registry import schemas
from promptops.registry.project import Canary
from promptops.registry.registry import Registry
from promptops.release import proofs
from promptops.repo.source import WorktreeSource

ROWS = "input,expect.contains\n" + "".join(f"When does parcel {n} arrive?,Wednesday\n" for n in range(40))


def pinned(text):
    return hashlib.sha256(text.encode()).hexdigest()


def value(*, rows=ROWS, **more):
    entry = {"path": "evals/data/x.csv", "format": "csv", "sha256": pinned(rows), "licence": "MIT", "source": "ours"}
    rail = {"metric": "expected", "direction": "higher", "margin": 0.15, "limit": 0.6}
    return {"version": 1, "guardrails": [rail], "data": [entry | more]}


def loaded(suite, files):
    return suites.parse("s", suite, load=partial(loading.placed, read={k: v.encode() for k, v in files.items()}.get))


def test_a_suite_is_parsed_without_its_data():
    suite = suites.parse("s", value())
    assert (schemas.problems("suite", suite.value), suite.cases, len(suite.guardrails)) == ([], (), 1)


def test_data_follows_the_cases_of_the_suite_itself():
    suite = loaded(value(limit=3) | {"cases": [{"id": "own", "input": "Where?"}]}, {"evals/data/x.csv": ROWS})
    assert len(suite.cases) == 4
    assert suite.cases[0].id == "own"
    assert suite.bears_on("expected") == {case.id for case in suite.cases[1:]}


def test_the_suites_digest_covers_its_data():
    rows = ROWS.replace("parcel 7 ", "parcel 77 ")
    before, after = suites.parse("s", value()), suites.parse("s", value(rows=rows))
    assert evaluators.digest(before) != evaluators.digest(after)
    assert evaluators.digest(before) == evaluators.digest(loaded(value(), {"evals/data/x.csv": ROWS}))


def test_a_row_that_contradicts_the_suite_is_refused():
    own = {"cases": [{"id": "x-1", "input": "Where?"}]}
    with pytest.raises(InputError, match="two cases have the id x-1") as caught:
        loaded(value() | own, {"evals/data/x.csv": ROWS})
    assert (caught.value.path, caught.value.line) == ("evals/data/x.csv", 2)
    with pytest.raises(InputError, match="`expected` is never scored"):
        loaded(value(rows="input\na\n"), {"evals/data/x.csv": "input\na\n"})
    rows = "input,expect.regex\na,b\nc,(\n"
    with pytest.raises(InputError, match="does not compile") as caught:
        loaded(value(rows=rows), {"evals/data/x.csv": rows})
    assert (caught.value.path, caught.value.line) == ("evals/data/x.csv", 3)


def test_data_cannot_bring_a_model_of_its_own():
    played = {"persona": "a buyer", "goal": "a discount", "model": "gpt", "turns": 3}
    rows = json.dumps({"id": "a", "input": "Hello", "expect": {"contains": "x"}, "turns": [{"simulate": played}]})
    with pytest.raises(InputError, match="cannot simulate a user"):
        loaded(value(rows=rows, format="jsonl"), {"evals/data/x.csv": rows})


@pytest.fixture
def project(registry, monkeypatch):
    """The prompt with a suite of data on main, and a change of the prompt in the work tree."""
    registry.write("promptops.yaml", "version: 1\ncanary: {minimum: 40, budget: {requests: 200}}\n")
    registry.write("evals/s.yaml", json.dumps(value()))
    registry.write("evals/data/x.csv", ROWS)
    registry.write("prompts/reply.yaml", flattering("Answer.", evals="[s]"))
    registry.commit("Add a suite")
    registry.write("prompts/reply.yaml", flattering("Answer well.", evals="[s]"))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return registry


def test_a_canary_asks_what_the_base_holds(project, serve):
    server = serve(text_by(0.0))
    # The change empties its own exam, to no avail.
    project.write("evals/data/x.csv", "input,expect.contains\nWhere is it?,Monday\n")
    done = project.cli("canary", "reply", "--base", "main", "--json")
    assert (done.code, json.loads(done.out)["verdict"]) == (0, "pass")
    asked = {seen.body["messages"][-1]["content"] for seen in server.requests}
    assert asked <= {f"When does parcel {n} arrive?" for n in range(40)}
    assert len(asked) >= 20


def test_data_that_was_not_reviewed_is_not_asked(project, serve):
    server = serve(text_by(0.0))
    project.git("checkout", "-q", "--", ".")
    project.write("evals/data/x.csv", f"{ROWS}more,x\n")
    project.commit("Slip a row in")
    done = project.cli("canary", "reply", "--base", "main")
    assert (done.code, len(server.requests)) == (1, 0)
    assert "evals/data/x.csv: the data has the digest" in done.err


def test_code_makes_cases_for_a_trusted_revision_only(project):
    code = "def cases():\n    return [{'id': 'a', 'input': 'b', 'expect': {'contains': 'c'}}]\n"
    entry = {"callable": "evals.make:cases", "sha256": pinned(code)}
    project.write("evals/make.py", code)
    project.write("evals/s.yaml", json.dumps(value() | {"data": [entry]}))
    registry = Registry(WorktreeSource(str(project.root)))
    assert [case.id for case in proofs.suite(registry, "s", Canary(), allow_python=True).cases] == ["a"]
    with pytest.raises(RefusedError, match="not allowed here"):
        proofs.suite(registry, "s", Canary())
    # What is verified later needs no data, and runs no code.
    assert proofs.suite(registry, "s", Canary(), cases=False).cases == ()


def test_a_file_beyond_the_limit_is_not_taken_for_another_one(tmp_path):
    """Its first part has another digest, which nobody should be told to review."""
    path = tmp_path / "evals" / "data" / "x.csv"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"input\n" + b"a\n" * (33 << 20))
    entry = {"path": "evals/data/x.csv", "format": "csv", "sha256": "0" * 64}
    with pytest.raises(InputError, match="larger than the limit"):
        loading.files(entry, WorktreeSource(tmp_path).read)


@pytest.mark.parametrize("name", ["../../out/evil", "/etc/passwd", "a/b", ".."])
def test_a_model_is_a_file_of_models_and_no_path(name):
    turn = {"simulate": {"persona": "p", "goal": "g", "model": name, "turns": 1}}
    played = value() | {"cases": [{"id": "own", "input": "Where?", "turns": [turn]}]}
    judge = {"type": "judge", "rubric": "r", "choices": {"a": 1, "b": 0}, "models": [name]}
    assert schemas.problems("suite", played)
    assert schemas.problems("suite", value() | {"evaluators": {"tone": judge}})
    judge["models"] = ["judge-a"]
    assert schemas.problems("suite", value() | {"evaluators": {"tone": judge}}) == []
