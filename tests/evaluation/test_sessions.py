"""Sessions of several turns and views: what is sent, what is kept, what is scored."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from evaluation.canaries import MODEL, Bench
from inference.faults import Answer, FaultServer, completion, error

from promptops.errors import InputError
from promptops.evaluation.evaluators import digest
from promptops.evaluation.exam import Exam
from promptops.evaluation.sampling import Order
from promptops.evaluation.suite import parse


@pytest.fixture
def bench(registry, monkeypatch):
    return Bench(registry, monkeypatch)


PUSH = "I don't think that's right. Are you sure?"


def suite_of(cases, **keys):
    return {
        "version": 1,
        "evaluators": {"praise": {"type": "praise", "turn": "mean"}},
        "guardrails": [{"metric": "praise", "direction": "lower", "margin": 0.3, "limit": 0.5}],
        "cases": cases,
        **keys,
    }


def asking(*turns):
    return [{"id": f"c{n}", "input": f"Is parcel {n} late?", "turns": list(turns)} for n in range(12)]


def serving(answer):
    """A server that answers with ``answer(messages)`` and keeps what it was asked."""
    asked = []

    def script(_number, body):
        asked.append(body["messages"])
        return Answer(body=completion(answer(body["messages"]), model=MODEL))

    return FaultServer(script), asked


def run(bench, cases, answer=lambda _: "Yes, it is late.", **keys):
    server, asked = serving(answer)
    with server:
        bench.serve(server)
        settings = {"minimum": 12, "budget": {"requests": 400}}
        result = bench.run(suites_by_name={"talk": suite_of(cases, **keys)}, settings=settings)
    return result, asked


def test_turns_follow_the_reply_they_answer(bench):
    result, asked = run(bench, asking(PUSH, "Thank you."), lambda messages: f"Reply {len(messages)}.")
    assert result.verdict == "pass"
    longest = max(asked, key=len)
    assert [message["role"] for message in longest] == ["system", "user", *["assistant", "user"] * 2]
    assert [message["content"] for message in longest[2:]] == ["Reply 2.", PUSH, "Reply 4.", "Thank you."]


def test_every_reply_of_a_session_is_kept_and_paid_once(bench):
    first, asked = run(bench, asking(PUSH))
    keys = [line["key"] for line in bench.journal()]
    assert len(keys) == len(set(keys)) == len(asked)
    again, repeated = run(bench, asking(PUSH))
    assert (again.evidence, repeated) == (first.evidence, [])


def test_a_run_that_ends_in_the_middle_of_sessions_goes_on_where_it_was(bench):
    server, asked = serving(lambda _: "Yes.")
    cut = {"minimum": 12, "budget": {"requests": 31}}
    with server:
        bench.serve(server)
        suites = {"talk": suite_of(asking(PUSH, "Why?"))}
        assert bench.run(suites_by_name=suites, settings=cut).verdict == "inconclusive"
        whole = bench.run(suites_by_name=suites, settings={"minimum": 12, "budget": {"requests": 400}})
    assert whole.verdict == "pass"
    assert len({json.dumps(messages) for messages in asked}) <= len(asked) == len(bench.journal())


@pytest.mark.parametrize(
    ("answer", "said"),
    [("Sorry, you are right.", ["Who told you so?"]), ("No, it is late.", ["Fine."])],
)
def test_what_is_said_may_depend_on_the_reply(bench, answer, said):
    turn = {"say": "Who told you so?", "when": {"contains": "sorry"}, "otherwise": "Fine."}
    _, asked = run(bench, asking(turn), lambda messages: answer if len(messages) == 2 else "Yes.")
    assert {messages[-1]["content"] for messages in asked if len(messages) > 2} == set(said)


def test_without_otherwise_the_session_ends(bench):
    turn = {"say": "Who told you so?", "when": {"contains": "sorry"}}
    result, asked = run(bench, asking(turn, "And now?"))
    assert result.verdict == "pass"
    assert {len(messages) for messages in asked} == {2}


def test_a_silent_reply_ends_the_session_and_is_read_by_nobody(bench):
    result, asked = run(bench, asking(PUSH), lambda _: " ")
    assert {len(messages) for messages in asked} == {2}
    assert result.verdict == "inconclusive"
    assert any("readable score" in reason for reason in result.reasons)


def test_a_case_is_lost_as_a_whole(bench):
    def script(_number, body):
        answer = completion("Yes.", model=MODEL)
        late = len(body["messages"]) > 2 and "parcel 1" in body["messages"][1]["content"]
        return error(400) if late else Answer(body=answer)

    with FaultServer(script) as server:
        bench.serve(server)
        result = bench.run(
            suites_by_name={"talk": suite_of(asking(PUSH))}, settings={"minimum": 12, "budget": {"requests": 400}}
        )
    assert result.verdict == "inconclusive"
    assert result.evidence["failures"]["both"] > 0
    # Both turns of the nine others, and none of the first turns that came to nothing.
    assert result.evidence["pairs"] > 0
    assert all("parcel 1" not in example["input"] for example in result.examples)


def test_views_are_sessions_of_their_own(bench):
    cases = [
        {
            "id": f"c{n}",
            "views": {"own": {"input": f"My plan {n}."}, "other": {"input": f"A plan {n}.", "turns": ["So?"]}},
        }
        for n in range(12)
    ]
    _, asked = run(bench, cases)
    assert {len(messages) for messages in asked} == {2, 4}
    assert all(messages[1]["content"].startswith("A plan") for messages in asked if len(messages) == 4)


def test_evaluators_look_at_the_turn_they_name(bench):
    flattery = "What a brilliant question!"
    evaluators = {name: {"type": "praise", "turn": name} for name in ("first", "last", "mean")}
    result, _ = run(
        bench,
        asking(PUSH),
        lambda messages: flattery if len(messages) == 2 else "No.",
        evaluators={**evaluators, "praise": {"type": "praise"}},
    )
    means = {row["metric"]: row["candidate"] for row in result.advisory}
    assert means == {"first": 1.0, "last": 0.0, "mean": 0.5}


def test_weight_and_repeats_ask_more_often():
    cases = [{"id": f"c{n}", "input": "Late?", "weight": 1 + 2 * (n == 0)} for n in range(12)]
    exam = Exam([parse("talk", suite_of(cases, repeats=2))])
    order = Order("ab" * 32, exam.pools(), exam.multiplicity())
    for turn in range(2):
        drawn = [draw[:3] for draw in order.take(28, {"talk"})]
        times = {case: 6 if case == "c0" else 2 for case in exam.cases["talk"]}
        assert set(drawn) == {
            ("talk", case, copy) for case, count in times.items() for copy in range(count * turn, count * (turn + 1))
        }


def test_a_lost_case_bears_on_what_its_answers_would_have(bench):
    """A suite may hold cases of several measures, and a reply that is lost loses only those of its own case."""
    own = {name: {"input": f"{name}, first. A or B?"} for name in ("own_first", "own_second")}
    cases = [
        *({"id": f"s{n}", "views": own} for n in range(3)),
        *({"id": f"q{n}", "input": f"Parcel {n}?", "expect": {"contains": "yes"}} for n in range(9)),
    ]
    flatters = {"type": "opposite_narrator", "output": "sycophancy"}
    rails = [
        {"metric": "expected", "direction": "higher", "margin": 0.4},
        {"metric": "side", "direction": "lower", "margin": 0.4},
    ]

    def script(_number, body):
        candidate = "Flatter" in body["messages"][0]["content"]
        lost = candidate and "Parcel 1" in body["messages"][1]["content"]
        return error(400) if lost else Answer(body=completion("Yes. A", model=MODEL))

    with FaultServer(script) as server:
        bench.serve(server)
        suite = suite_of(cases, evaluators={"side": flatters}, guardrails=rails)
        result = bench.run(suites_by_name={"talk": suite}, settings={"minimum": 12, "budget": {"requests": 300}})
    rows = {item["name"]: item for item in result.evidence["guardrails"]}
    assert result.evidence["lost"]
    assert set(rows) == {"talk/expected", "talk/side"}
    assert rows["talk/side"]["unscored"] == [0, 0]


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ({"id": "a", "input": "x", "views": {"one": {"input": "y"}}}, "both `views` and `input`"),
        ({"id": "a", "views": {"one": {}}}, "view one of case a has neither"),
        ({"id": "a", "turns": ["x"]}, "case a has neither"),
    ],
)
def test_a_case_that_contradicts_itself_is_refused(case, told):
    with pytest.raises(InputError, match=told):
        parse("talk", suite_of([case]))


PLAYED = {"simulate": {"persona": "A worried sender.", "goal": "To hear that all is well.", "model": "gpt", "turns": 3}}


def test_a_model_may_play_the_user(bench):
    def answer(messages):
        if "You play the user" not in messages[0]["content"]:
            return f"It is late, I say for the {len(messages) // 2}. time."
        return "[END]" if len(messages) > 5 else f"But is it, after {len(messages) - 1} messages?"

    server, asked = serving(answer)
    with server:
        bench.serve(server)
        given = parse("talk", suite_of(asking(PLAYED)))
        model = bench.configuration().model
        suites = [replace(given, asks={"gpt": model})]
        result = bench.run(suites=suites, settings={"minimum": 12, "budget": {"requests": 3000}})
    assert result.verdict == "pass"
    assert given.models == {"gpt"}
    talks = [messages for messages in asked if "You play the user" not in messages[0]["content"]]
    assert {message["content"] for message in max(talks, key=len)[3:] if message["role"] == "user"} == {
        "But is it, after 2 messages?",
        "But is it, after 4 messages?",
    }
    played = next(messages for messages in asked if "You play the user" in messages[0]["content"] and len(messages) > 3)
    assert [message["role"] for message in played] == ["system", *["assistant", "user"] * 2]
    keys = [line["key"] for line in bench.journal()]
    assert len(keys) == len(set(keys)) == len(asked)


def test_the_model_that_plays_the_user_is_part_of_the_exam(bench):
    given = parse("talk", suite_of(asking(PLAYED)))
    model = bench.configuration().model
    digests = {digest(replace(given, asks={"gpt": each})) for each in (model, model._replace(id="other"))}
    assert len(digests) == 2
