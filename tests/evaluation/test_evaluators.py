import hashlib
import json

import pytest

from promptops.errors import InputError, PromptopsError, RefusedError
from promptops.evaluation import evaluators, praise, refusal, scoring, transcript
from promptops.evaluation import suite as suites
from promptops.evaluation.case import single
from promptops.evaluation.measures.registry import MEASURES
from promptops.inference.reply import Reply
from promptops.repo.source import WorktreeSource

DENSITIES = {"praise_per_100_words", "words", "questions", "hedges"}
CASE = single("a", "My idea is a clock.")


def reply(text, **values):
    return Reply("key", text, "model", **values)


def scores_of(suite, case, reply, **trust):
    return scoring.Scorer(suite, **trust).score(case, transcript.single(reply)).scores


def scored(kind, argument, text, **values):
    definition = evaluators.expectation(kind, argument)
    evaluators.check(definition)
    return evaluators.EVALUATORS[kind].run(definition.arguments, CASE, reply(text, **values))


@pytest.mark.parametrize(
    ("kind", "argument", "good", "bad"),
    [
        ("contains", "Paris", "It is PARIS.", "It is Rome."),
        ("contains", ["7", "seven"], "Seven days", "Six days"),
        ("not_contains", ["4417", "code"], "Mild weather.", "The Code is secret."),
        ("equals", "yes", "  Yes\n", "yes, it is"),
        ("starts_with", ["no", "never"], " Never do that", "I never do"),
        ("ends_with", "!", "Stop! ", "Stop."),
        ("regex", r"\b4\b", "It is 4.", "It is 54."),
        ("regex", ["(?i)^yes", "(?m)^sure$"], "well\nsure", "well sure"),
        ("not_regex", r"(?i)^\W*yes\b", "No, yes is wrong", '"Yes'),
        ("json", True, '{"a": [1, 2.5, null]}', "Here it is: {}"),
        ("json", False, "Here it is: {}", "[]"),
        ("json_schema", {"type": "object", "required": ["a"]}, '{"a": 1}', '{"b": 1}'),
        ("json_schema", {"type": "string", "pattern": "^(a+)+$"}, '"aaa"', "aaa"),
        ("refusal", True, "I'm sorry, but I can't help with that.", "Use a hammer."),
        ("refusal", False, "Use a hammer.", "I cannot help with this request."),
        ("praise", True, "What a brilliant idea!", "A clock needs hands."),
        ("praise", False, "A clock needs hands.", "What a brilliant idea!"),
        ("praise_opener", True, "  What a brilliant idea! It is late.", f"{'It is late. ' * 8} What a brilliant idea!"),
        ("praise_opener", False, "It is late.", "Great question! It is late."),
        ("length", {"maximum": 3}, "one two three", "one two three four"),
        ("length", {"minimum": 2}, "one two", "one"),
        ("length", {"minimum": 2, "maximum": 4, "unit": "chars"}, "four", "five5"),
    ],
)
def test_an_evaluator_tells_good_from_bad(kind, argument, good, bad):
    assert scored(kind, argument, good) == 1.0
    assert scored(kind, argument, bad) == 0.0


def test_latency_and_cost_are_within_their_bounds_or_not():
    assert scored("latency", 2.0, "x", latency=2.0) == 1.0
    assert scored("latency", 2.0, "x", latency=2.001) == 0.0
    assert scored("cost", 0.01, "x", cost=0.01) == 1.0
    assert scored("cost", 0.01, "x", cost=0.011) == 0.0


@pytest.mark.parametrize(
    "text", ["", "NaN", "[-Infinity]", '{"a": 1, "a": 2}', "[" * 100_000, "```json\n{}\n```", "\ud800"]
)
def test_what_readers_of_json_disagree_on_is_no_json(text):
    assert scored("json", True, text) == 0.0
    assert scored("json_schema", {}, text) == 0.0


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ('{"a": 1, "A": 2}', {"required": ["a", "A"]}),
        ("9007199254740993", {"type": "integer"}),
        (f"[{2**70}]", {"type": "array", "items": {"type": "integer"}}),
        (" [1e-7, 1.50]\n", {"items": {"type": "number"}}),
    ],
)
def test_a_reply_need_not_be_json_that_could_be_signed(text, schema):
    assert scored("json", True, text) == 1.0
    assert scored("json_schema", schema, text) == 1.0


def test_a_reply_of_any_size_is_not_read_as_json():
    assert scored("json", True, f'"{"x" * 1_000_000}"') == 1.0
    assert scored("json", True, f'"{"x" * 4_000_000}"') == 0.0


@pytest.mark.parametrize("text", ["1e999", '"\\ud800"', '{"\\ud800": 1}', "[" * 900 + "]" * 900])
def test_a_value_that_a_schema_cannot_hold_is_scored(text):
    assert scored("json_schema", {"type": "boolean"}, text) == 0.0


@pytest.mark.parametrize("kind", sorted(set(evaluators.EVALUATORS) - {"python"}))
@pytest.mark.parametrize("text", ["", "\ud800 lone", "x" * 200_000, "\x00\u202e"])
def test_no_reply_breaks_an_evaluator(kind, text):
    arguments = {"length": {"maximum": 5}, "latency": 1, "cost": 1, "json_schema": {"type": "object"}}
    arguments |= {density: {} for density in DENSITIES}
    flags = dict.fromkeys(("json", "refusal", "praise", "praise_opener"), True)
    score = scored(kind, (arguments | flags).get(kind, "x"), text)
    assert score in {0.0, 1.0} or (kind in DENSITIES and 0 < score < 1)


def test_a_pattern_that_would_explode_in_a_backtracking_engine_is_answered():
    assert scored("regex", "^(a|a)*(a+)+$", "a" * 100_000 + "b") == 0.0


def test_every_type_of_the_schema_has_an_evaluator():
    from promptops.registry import schemas

    schema = schemas.schema("suite")
    enum = schema["properties"]["evaluators"]["additionalProperties"]["properties"]["type"]["enum"]
    expect = schema["$defs"]["expect"]["properties"]
    # What judges and people say comes from elsewhere.
    assert set(enum) == set(evaluators.EVALUATORS) | set(MEASURES) | {"judge", "feedback"}
    # A density is never simply right.
    assert set(expect) == set(evaluators.EVALUATORS) - DENSITIES


def suite_of(expect=None, **definitions):
    case = {"id": "a", "input": "My idea is a clock."} | ({"expect": expect} if expect else {})
    return suites.parse("s", {"version": 1, "evaluators": definitions, "cases": [case, {"id": "b", "input": "x"}]})


def test_score_gives_every_metric_and_expected_where_the_case_has_it():
    suite = suite_of(
        {"contains": "clock", "refusal": False}, flattery={"type": "praise"}, brief={"type": "length", "maximum": 3}
    )
    first, second = suite.cases
    assert scores_of(suite, first, reply("What a great clock it is!")) == {
        "flattery": 1.0,
        "brief": 0.0,
        "expected": 1.0,
    }
    assert scores_of(suite, second, reply("No.")) == {"flattery": 0.0, "brief": 1.0}


def test_expected_fails_when_one_of_several_expectations_fails():
    suite = suite_of({"contains": "clock", "refusal": False})
    assert scores_of(suite, suite.cases[0], reply("I can't help with a clock."))["expected"] == 0.0
    assert scores_of(suite, suite.cases[0], reply("A hammer."))["expected"] == 0.0


def test_an_evaluator_can_be_turned_around():
    suite = suite_of(plain={"type": "praise", "value": False})
    assert scores_of(suite, suite.cases[0], reply("What a brilliant idea!")) == {"plain": 0.0}


CODE = "def half(case, reply):\n    return len(reply.text) / 10 if case.id == 'a' else 'none'\n"


def with_code(tmp_path, code=CODE, target="evals.checks:half", sha256=None):
    (tmp_path / "evals").mkdir(exist_ok=True)
    (tmp_path / "evals" / "checks.py").write_text(code)
    digest = sha256 or hashlib.sha256(code.encode()).hexdigest()
    return suite_of(own={"type": "python", "callable": target, "sha256": digest})


def test_python_is_refused_unless_allowed(tmp_path):
    marker = tmp_path / "ran"
    suite = with_code(tmp_path, f"open({str(marker)!r}, 'w').close()\n" + CODE)
    with pytest.raises(RefusedError, match="not allowed"):
        scores_of(suite, suite.cases[0], reply("12345"), code=WorktreeSource(str(tmp_path)).read)
    assert not marker.exists()
    scores = scores_of(
        suite, suite.cases[0], reply("12345"), allow_python=True, code=WorktreeSource(str(tmp_path)).read
    )
    assert scores == {"own": 0.5}
    assert marker.exists()


def test_python_is_refused_in_a_case_too(tmp_path):
    suite = suite_of({"python": {"callable": "evals.checks:half", "sha256": "0" * 64}})
    with pytest.raises(RefusedError):
        scores_of(suite, suite.cases[0], reply("12345"), code=WorktreeSource(str(tmp_path)).read)


def test_changed_code_is_not_run(tmp_path):
    suite = with_code(tmp_path, sha256="0" * 64)
    with pytest.raises(RefusedError, match="not the reviewed one") as caught:
        scores_of(suite, suite.cases[0], reply("x"), allow_python=True, code=WorktreeSource(str(tmp_path)).read)
    assert hashlib.sha256(CODE.encode()).hexdigest() in caught.value.hint


@pytest.mark.parametrize(
    ("code", "target", "error"),
    [
        (CODE, "evals.checks:absent", InputError),
        (CODE, "evals.missing:half", PromptopsError),
        ("def half(case, reply):\n    return 2\n", "evals.checks:half", InputError),
        ("def half(case, reply):\n    return float('nan')\n", "evals.checks:half", InputError),
        ("def half(case, reply):\n    return None\n", "evals.checks:half", InputError),
        ("def half(case, reply):\n    return {}['x']\n", "evals.checks:half", InputError),
        ("def half(case, reply):\n    assert reply.text == 'y'\n", "evals.checks:half", InputError),
        ("def half(case, reply)\n", "evals.checks:half", InputError),
    ],
)
def test_code_that_gives_no_score_is_a_clear_error(tmp_path, code, target, error):
    suite = with_code(tmp_path, code, target)
    with pytest.raises(error):
        scores_of(suite, suite.cases[0], reply("x"), allow_python=True, code=WorktreeSource(str(tmp_path)).read)


@pytest.mark.parametrize("target", ["os.system", "../evil:run", "a/b:c", ":f", "m:", "m:f()"])
def test_a_callable_has_one_form(target):
    with pytest.raises(InputError):
        suite_of(own={"type": "python", "callable": target, "sha256": "0" * 64})


def test_the_digest_follows_what_decides_scores(monkeypatch):
    def digest(description="x", **changes):
        value = {"version": 1, "description": description, "cases": [{"id": "a", "input": "hi"}], **changes}
        return evaluators.digest(suites.parse("s", json.loads(json.dumps(value))))

    before = digest()
    assert before.startswith("sha256:")
    assert digest(description="other") == before
    assert digest(cases=[{"id": "a", "input": "ho"}]) != before
    assert digest(evaluators={"praise": {"type": "praise"}}) != before
    for module in (evaluators, praise, refusal):
        with monkeypatch.context() as patch:
            patch.setattr(module, "VERSION", module.VERSION + 1)
            assert digest() != before


def test_a_suite_keeps_the_digest_that_earlier_code_gave_it(monkeypatch):
    value = {"version": 1, "description": "d", "cases": [{"id": "a", "input": "hi"}]}
    suite = suites.parse("s", value)
    then = evaluators.digest(suite)
    for module in (evaluators, praise, refusal):
        monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
    assert evaluators.digest(suite) != then
    assert {then, evaluators.digest(suite)} <= evaluators.digests(suite)
    other = suites.parse("s", value | {"cases": [{"id": "a", "input": "ho"}]})
    assert then not in evaluators.digests(other)


OWN = "import re, sys\n\nclass Own(Exception):\n    pass\n\n"
FAULTS = ['raise Own("broken")', 're.compile("(")', "sys.exit(3)", "import nowhere_at_all"]


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_own_code_raises_is_its_own_fault(tmp_path, fault):
    suite = with_code(tmp_path, f"{OWN}def half(case, reply):\n    {fault}\n")
    with pytest.raises(InputError, match=r"evals\.checks:half failed on case a"):
        scores_of(suite, suite.cases[0], reply("x"), allow_python=True, code=WorktreeSource(str(tmp_path)).read)
    suite = with_code(tmp_path, f"{OWN}{fault}\n")
    with pytest.raises(InputError, match=r"evals\.checks:half cannot be loaded"):
        scores_of(suite, suite.cases[0], reply("x"), allow_python=True, code=WorktreeSource(str(tmp_path)).read)


@pytest.mark.parametrize(
    ("phrases", "words", "expected"), [(0, 100, 0.0), (1, 100, 0.1), (4, 100, 0.4), (1, 200, 0.05), (20, 100, 1.0)]
)
def test_praise_per_100_words_is_its_formula(phrases, words, expected):
    text = " ".join(["Great question!"] * phrases + ["word."] * (words - 2 * phrases))
    assert scored("praise_per_100_words", {}, text) == pytest.approx(expected)


def test_no_words_hold_no_praise():
    assert scored("praise_per_100_words", {}, " \n") == 0.0


def test_praise_that_the_user_said_first_counts_in_no_measure():
    suite = suite_of(opener={"type": "praise_opener"}, dense={"type": "praise_per_100_words"})
    case = single("a", "Is it a great question?")
    assert scores_of(suite, case, reply("Great question is what you said.")) == {"opener": 0.0, "dense": 0.0}
