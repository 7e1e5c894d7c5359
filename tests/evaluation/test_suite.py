import copy

import pytest

from promptops.errors import InputError
from promptops.evaluation import suite as suites
from promptops.evaluation.case import single
from promptops.registry import data, schemas, yaml

VALUE = {
    "version": 1,
    "evaluators": {"praise": {"type": "praise"}, "short": {"type": "length", "maximum": 60, "unit": "words"}},
    "guardrails": [
        {"metric": "praise", "direction": "lower", "margin": 0.15, "limit": 0.25},
        {"metric": "expected", "direction": "higher", "margin": 0.1},
    ],
    "cases": [
        {"id": "essay", "input": "I wrote an essay."},
        {"id": "capital", "variables": {"question": "Capital of France?"}, "expect": {"contains": "Paris"}},
    ],
}


def edited(edit):
    value = copy.deepcopy(VALUE)
    edit(value)
    return value


def test_a_suite_keeps_its_cases_metrics_and_guardrails():
    suite = suites.parse("sycophancy", VALUE)
    assert [case.id for case in suite.cases] == ["essay", "capital"]
    assert set(suite.evaluators) == {"praise", "short"}
    praise, expected = suite.guardrails
    assert (praise.metric, praise.direction, praise.margin, praise.limit) == ("praise", "lower", 0.15, 0.25)
    assert (expected.metric, expected.limit) == ("expected", None)


def test_a_guardrail_without_a_margin_has_the_projects():
    suite = suites.parse("s", edited(lambda v: v["guardrails"][1].pop("margin")), margin=0.2)
    assert [rail.margin for rail in suite.guardrails] == [0.15, 0.2]
    assert schemas.problems("suite", suite.value) == []


def test_expected_bears_on_cases_with_an_expectation_only():
    suite = suites.parse("s", VALUE)
    assert suite.bears_on("expected") == {"capital"}
    assert suite.bears_on("praise") == {"essay", "capital"}


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda v: v["guardrails"][0].update(metric="prase"), "prase is not defined"),
        (lambda v: v["guardrails"].append(dict(v["guardrails"][0])), "two guardrails are on praise"),
        (lambda v: v["cases"][1].update(id="essay"), "two cases have the id essay"),
        (lambda v: v["cases"][1].update(input="x"), "both `input` and `variables`"),
        (lambda v: v["cases"][0].pop("input"), "neither `input` nor `variables`"),
        (lambda v: v["cases"][1].pop("expect"), "`expected` is never scored"),
        (lambda v: v["evaluators"].update(expected={"type": "praise"}), "`expected` is the metric"),
        (lambda v: v["evaluators"].update(bad={"type": "regex", "value": "("}), "does not compile"),
        (lambda v: v["evaluators"].update(bad={"type": "regex", "value": r"(a)\1"}), "does not compile"),
        (lambda v: v["evaluators"].update(bad={"type": "length", "unit": "words"}), "length needs"),
        (lambda v: v["evaluators"].update(bad={"type": "length", "minimum": 9, "maximum": 2}), "length needs"),
        (lambda v: v["cases"][1].update(expect={"json_schema": {"type": "strin"}}), "not valid"),
        (lambda v: v["cases"][1].update(expect={"json_schema": {"$ref": "file:///etc/hostname"}}), "not valid"),
    ],
)
def test_contradictions_are_refused(edit, message):
    with pytest.raises(InputError) as caught:
        suites.parse("s", edited(edit))
    assert message in caught.value.message
    assert "\n" not in caught.value.message


def test_a_fault_is_pointed_at():
    text = b"version: 1\nguardrails:\n  - {metric: tone, direction: lower, margin: 0.1}\ncases:\n  - {id: a, input: hello}\n"
    document = yaml.load(text, "evals/s.yaml")
    with pytest.raises(InputError) as caught:
        suites.parse("s", document.value, path="evals/s.yaml", where=document.where)
    assert (caught.value.path, caught.value.line) == ("evals/s.yaml", 3)


def test_input_fills_the_only_required_variable():
    case = single("a", "Hello").views[""]
    assert case.bind({"question": {"type": "string"}}, "a") == {"question": "Hello"}
    assert case.bind({"question": {}, "tone": {"default": "warm"}}, "a") == {"question": "Hello"}
    assert case.bind({"tone": {"default": "warm"}}, "a") == {"tone": "Hello"}


@pytest.mark.parametrize("schema", [{}, {"a": {}, "b": {}}, {"a": {"default": 1}, "b": {"default": 2}}])
def test_input_that_fits_no_single_variable_is_refused(schema):
    with pytest.raises(InputError, match="could fill") as caught:
        single("a", "Hello").views[""].bind(schema, "a")
    assert "variables" in caught.value.hint


def test_variables_must_be_those_of_the_prompt():
    schema = {"question": {}, "tone": {"default": "warm"}}
    assert single("a", None, {"question": "x"}).views[""].bind(schema, "a") == {"question": "x"}
    assert single("a", None, {"question": "x", "tone": "cold"}).views[""].bind(schema, "a") == {
        "question": "x",
        "tone": "cold",
    }
    with pytest.raises(InputError, match="unknown: lang; missing: question"):
        single("a", None, {"lang": "en"}).views[""].bind(schema, "a")


def test_the_users_own_words_are_all_texts_among_the_values():
    assert single("a", "Hello").said == "Hello"
    assert single("a", None, {"x": "one", "n": 2, "y": "two"}).said == "one\ntwo"


@pytest.mark.parametrize("name", ["regression", "sycophancy", "safety"])
def test_shipped_suites_fit_their_schema_and_a_prompt_with_one_variable(name):
    path = f"evals/{name}.yaml"
    document = yaml.load(data.read("templates", path), path)
    schemas.check_document("suite", document)
    suite = suites.parse(name, document.value, path=path, where=document.where)
    assert len(suite.cases) >= 40
    assert suite.guardrails
    assert all(case.views[""].bind({"question": {}}, case.id)["question"] for case in suite.cases)
    assert len({case.input for case in suite.cases}) == len(suite.cases)


def test_the_schema_accepts_its_own_example_and_names_a_wrong_key():
    assert schemas.problems("suite", schemas.schema("suite")["examples"][0]) == []
    assert schemas.problems("suite", VALUE) == []
    [problem] = schemas.problems("suite", edited(lambda v: v["evaluators"]["short"].update(max=3)))
    assert problem.pointer == ("evaluators", "short")
    assert "max" in problem.message
    assert schemas.problems("suite", edited(lambda v: v["cases"][1]["expect"].update(contain="x")))
