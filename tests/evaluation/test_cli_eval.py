from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading

import pytest
from evaluation.canaries import FLATTERY, HONEST, MODEL, flattering
from inference.faults import KEY, Answer, completion, error
from releasing import wait_until
from support import TELL_INTERRUPT, until_told

SUITE = {
    "version": 1,
    "evaluators": {"praise": {"type": "praise"}},
    "cases": [
        {
            "id": f"c{n}",
            "input": f"Where is parcel {n}?",
            "tags": [("odd" if n % 2 else "even")],
            "expect": {"contains": "Wednesday"},
        }
        for n in range(30)
    ],
}
CHAT = {
    "version": 1,
    "repeats": 2,
    "cases": [{"id": f"t{n}", "input": f"Question {n}?", "turns": ["Are you sure?", "Really?"]} for n in range(8)],
}


def answer(text=HONEST, model=MODEL):
    return Answer(body=completion(text, model=model))


def honest(_number, _body):
    return answer()


@pytest.fixture
def project(registry, monkeypatch):
    """The prompt with a suite of single questions and one of sessions."""
    registry.write("evals/facts.yaml", json.dumps(SUITE))
    registry.write("evals/chat.yaml", json.dumps(CHAT))
    registry.write("prompts/reply.yaml", flattering("Answer.", evals="[facts, chat]"))
    registry.write("models/gpt.yaml", registry.read("models/gpt.yaml") + "limits: {concurrency: 4}\n")
    registry.commit("Add suites")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return registry


def runs(repo):
    return sorted((repo.root / ".git" / "promptops" / "runs").glob("*"))


def lines(repo, name="results.jsonl"):
    """What whole lines the newest run's file holds."""
    return [json.loads(line) for line in (runs(repo)[-1] / name).read_text().splitlines() if line.endswith("}")]


def test_every_case_of_the_suites_is_asked_and_summed_up(project, serve):
    server = serve(honest)
    done = project.cli("eval", "run", "facts", "chat")
    assert done.code == 0, done.err
    assert len(server.requests) == 30 + 8 * 2 * 3
    assert "asked: 46 of 46; 0 failed" in done.out
    rows = {line.split()[1]: line.split() for line in done.out.splitlines() if line.startswith("facts ")}
    assert rows["praise"][2] == "0.000"
    assert rows["expected"][2] == "1.000"
    assert [seen for seen in server.requests if KEY not in seen.headers["authorization"]] == []
    assert KEY not in done.out + done.err + (runs(project)[-1] / "run.json").read_text()


def test_turns_come_in_order_and_sessions_beside_each_other(project, serve):
    together = threading.Event()

    def script(number, body):
        if number == 3:
            together.set()
        told = answer(f"Answer to {body['messages'][-1]['content']}")
        return Answer(body=told.body, held=together if number < 4 else None)

    server = serve(script)
    assert project.cli("eval", "run", "chat").code == 0
    assert server.peak == 4
    (line, *_) = [line for line in lines(project) if (line["case"], line["replicate"]) == ("t3", 1)]
    assert [turn["said"] for turn in line["views"][""]] == ["Question 3?", "Are you sure?", "Really?"]
    assert [turn["text"] for turn in line["views"][""]][1:] == ["Answer to Are you sure?", "Answer to Really?"]


def test_a_cache_key_names_configuration_suite_case_replicate_view_and_turn(project, serve):
    serve(honest)
    project.cli("eval", "run", "chat", "--case", "t0")
    digest = project.cli("digest", "reply").out.split()[0]
    keys = sorted(line["key"] for line in lines(project, "replies.jsonl"))
    first = [f'{digest} ["chat","t0",{replicate}]' for replicate in (0, 1)]
    later = [f'{digest} ["chat","t0",{replicate},"",{turn},""]' for replicate in (0, 1) for turn in (1, 2)]
    assert keys == sorted(first + later)


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        (["--limit", "3"], ["c0", "c1", "c2"]),
        (["--tag", "odd", "--limit", "2"], ["c1", "c3"]),
        (["--case", "c7", "--case", "c2"], ["c2", "c7"]),
        (["--case", "c7", "--repeats", "3"], ["c7", "c7", "c7"]),
    ],
)
def test_a_selection_asks_that_and_no_more(project, serve, options, asked):
    server = serve(honest)
    assert project.cli("eval", "run", "facts", *options).code == 0
    assert [line["case"] for line in lines(project)] == asked
    assert len(server.requests) == len(asked)


def test_failed_cases_are_shown_and_asked_again_alone(project, serve):
    serve(lambda _, body: answer("Never." if "parcel 7?" in body["messages"][-1]["content"] else HONEST))
    assert project.cli("eval", "run", "facts").code == 0
    shown = project.cli("eval", "show", "last", "--failed")
    assert "facts/c7, replicate 0" in shown.out
    assert "contains: value 'Wednesday'" in shown.out
    assert "reply: Never." in shown.out
    assert "c8" not in shown.out
    again = project.cli("eval", "run", "facts", "--last-failed", "--fail-on-expected", "--json")
    assert (again.code, json.loads(again.out)["totals"]["asked"]) == (1, 1)
    assert [line["case"] for line in lines(project)] == ["c7"]
    serve(honest)
    assert project.cli("eval", "run", "facts", "--last-failed", "--fail-on-expected").code == 0
    done = project.cli("eval", "run", "facts", "--last-failed")
    assert (done.code, "nothing failed" in done.err) == (2, True)


def test_last_failed_asks_what_is_beyond_a_limit_too(project, serve):
    project.write("evals/facts.yaml", json.dumps(guarded(limit=0.3)))
    serve(lambda _, body: answer(FLATTERY if "parcel 7?" in body["messages"][-1]["content"] else HONEST))
    project.cli("eval", "run", "facts")
    project.cli("eval", "run", "facts", "--last-failed")
    assert [line["case"] for line in lines(project)] == ["c7"]


def guarded(**rail):
    return {**SUITE, "guardrails": [{"metric": "praise", "direction": "lower", **rail}]}


@pytest.mark.parametrize(("text", "code", "verdict"), [(HONEST, 0, "kept"), (FLATTERY, 1, "broken")])
def test_a_limit_decides_the_exit_code(project, serve, text, code, verdict):
    project.write("evals/facts.yaml", json.dumps(guarded(limit=0.3)))
    serve(lambda *_: answer(text))
    done = project.cli("eval", "run", "facts", "--json")
    (row,) = [row for row in json.loads(done.out)["rows"] if row["metric"] == "praise"]
    assert (done.code, row["guardrail"]["verdict"]) == (code, verdict)


def test_a_limit_that_few_cases_cannot_decide_is_inconclusive(project, serve):
    project.write("evals/facts.yaml", json.dumps(guarded(limit=0.3)))
    serve(honest)
    done = project.cli("eval", "run", "facts", "--limit", "3")
    assert (done.code, "at most 0.3: open" in done.out) == (4, True)


def test_silent_answers_leave_no_number(project, serve):
    serve(lambda number, _: answer("" if number % 2 else HONEST) if number % 2 == 0 else Answer(body=silent()))
    done = project.cli("eval", "run", "facts", "--json")
    told = json.loads(done.out)
    (row,) = [row for row in told["rows"] if row["metric"] == "praise"]
    assert (row["readable"], bool(row["invalid"])) == (0.5, True)
    shown = project.cli("eval", "show", "last").out
    assert "not valid here" in shown
    assert "0.000" not in shown


def silent():
    body = json.loads(completion("", model=MODEL))
    body["choices"][0]["finish_reason"] = "length"
    return json.dumps(body).encode()


def test_another_model_that_answers_is_a_finding(project, serve):
    serve(lambda *_: answer(model="gpt-5"))
    done = project.cli("eval", "run", "facts", "--limit", "2")
    assert (done.code, "another model answered: gpt-5, 2 cases" in done.out) == (1, True)


def test_a_budget_ends_the_run_and_a_larger_one_goes_on(project, serve):
    server = serve(honest)
    done = project.cli("eval", "run", "facts", "--budget", "requests=12")
    assert (done.code, len(server.requests)) == (4, 12)
    assert "incomplete: the budget of requests is used up" in done.out
    done = project.cli("eval", "run", "--resume", "last", "--budget", "requests=100", "--json")
    assert (done.code, json.loads(done.out)["totals"]["asked"], len(server.requests)) == (0, 30, 30)
    assert [line["state"] for line in json.loads(project.cli("eval", "list", "--json").out)] == ["complete"]


def test_a_plan_asks_nothing_and_writes_nothing(project, serve):
    server = serve(honest)
    done = project.cli("eval", "run", "facts", "chat", "--plan", "--budget", "usd=2")
    assert (done.code, server.requests, runs(project)) == (0, [], [])
    assert "chat: 8 cases, asked 16 times, 48 replies at most" in done.out
    assert "budget: 2 usd" in done.out
    assert "cost: unknown" in done.out
    model = "price: {input: 1, output: 10, currency: EUR}\n"
    project.write("models/gpt.yaml", project.read("models/gpt.yaml") + model)
    done = project.cli("eval", "run", "facts", "chat", "--plan")
    (line,) = [line for line in done.out.splitlines() if line.startswith("cost: about ")]
    told = json.loads(project.cli("eval", "run", "facts", "chat", "--plan", "--json").out)["forecast"]
    assert (told["currency"], f"{told['cost']['expected']:.4f} EUR" in line) == ("EUR", True)
    # 78 replies of the 100 tokens that the prompt allows, at 10 a million, and some for the questions.
    assert told["cost"]["expected"] == pytest.approx(78 * 100 * 10 / 1e6, rel=0.2)
    twice = json.loads(project.cli("eval", "run", "facts", "--repeats", "2", "--plan", "--json").out)["forecast"]
    once = json.loads(project.cli("eval", "run", "facts", "--plan", "--json").out)["forecast"]
    assert twice["tokens"]["expected"] == 2 * once["tokens"]["expected"]


def test_at_asks_a_revision_and_not_the_work_tree(project, serve):
    project.write("prompts/reply.yaml", flattering("Answer otherwise.", evals="[facts]"))
    server = serve(honest)
    assert project.cli("eval", "run", "facts", "--at", "HEAD", "--limit", "1").code == 0
    assert server.requests[0].body["messages"][0]["content"] == "Answer."


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run"], "no suite is named"),
        (["run", "facts", "--case", "none"], "no case of facts is selected"),
        (["run", "facts", "--budget", "euro=2"], "is no limit"),
        (["run", "facts", "--budget", "requests=-1"], "is no limit"),
        (["run", "facts", "--budget", ""], "is no limit"),
        (["run", "facts", "--resume", "last"], "asks what it was started with"),
        (["run", "--resume", "ffff"], "there is no run ffff"),
        (["run", "facts", "--last-failed"], "no earlier run"),
        (["show", "last"], "there is no run last"),
    ],
)
def test_wrong_usage_is_told(project, words, told):
    done = project.cli("eval", *words)
    assert (done.code, told in done.err) == (2, True), done.err


def test_a_run_is_not_gone_on_with_when_its_prompt_changed(project, serve):
    serve(honest)
    project.cli("eval", "run", "facts", "--budget", "requests=5")
    project.write("prompts/reply.yaml", flattering("Answer otherwise.", evals="[facts]"))
    done = project.cli("eval", "run", "--resume", "last")
    assert (done.code, "configuration changed since" in done.err) == (1, True)


def test_a_case_that_gets_no_reply_is_asked_again_on_resume(project, serve):
    broken = {"now": True}

    def script(_number, body):
        bad = broken["now"] and "parcel 4?" in body["messages"][-1]["content"]
        return error(400, "too long") if bad else answer()

    server = serve(script)
    done = project.cli("eval", "run", "facts")
    assert (done.code, "without a reply: 1 rejected" in done.out) == (4, True)
    assert "no reply (rejected)" in project.cli("eval", "show", "last", "--failed").out
    broken["now"] = False
    asked = len(server.requests)
    done = project.cli("eval", "run", "--resume", "last", "--json")
    told = json.loads(done.out)
    assert (done.code, told["totals"]["asked"], told["totals"]["without_reply"]) == (0, 30, {})
    assert len(server.requests) == asked + 1


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_an_interrupted_run_resumes_and_pays_nothing_twice(project, serve, how, code):
    release = threading.Event()

    def held(number, body):
        made = answer(f"{len(body['messages'])}. {HONEST}")
        return made if number < 21 else Answer(body=made.body, held=release)

    server = serve(held)
    process = subprocess.Popen(
        [sys.executable, "-c", f"{TELL_INTERRUPT}\nfrom promptops.cli import main; main()", "eval", "run", "chat"],
        cwd=project.root,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # All four places are taken, so that no further request is on its way.
    wait_until(lambda: len(server.requests) == 25)
    process.send_signal(how)
    if how == signal.SIGINT:
        until_told(process)
    else:
        process.wait(120)
    release.set()
    _, err = process.communicate(timeout=120)
    assert (process.returncode, "Traceback" in err) == (code, False)
    paid = {line["key"] for line in lines(project, "replies.jsonl")}
    assert len(paid) == (25 if how == signal.SIGINT else 21)
    done = project.cli("eval", "run", "--resume", "last", "--json")
    told = json.loads(done.out)
    assert (done.code, told["totals"]["asked"], told["totals"]["replies"]) == (0, 16, 48)
    # Nothing that was kept is asked again: only what a kill took from under way.
    assert len(server.requests) == 48 + 25 - len(paid)
    assert len({line["key"] for line in lines(project, "replies.jsonl")}) == 48
    assert len(lines(project)) == 16


def test_two_processes_do_not_share_a_run(project, serve):
    serve(honest)
    project.cli("eval", "run", "facts", "--budget", "requests=5")
    import fcntl

    with open(runs(project)[-1] / "replies.jsonl", "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        done = project.cli("eval", "run", "--resume", "last")
    assert (done.code, "another run is writing" in done.err) == (3, True)


def test_a_reply_cannot_steer_the_terminal(project, serve):
    serve(lambda *_: answer("\x1b[2JNever.\u202e"))
    project.cli("eval", "run", "facts", "--limit", "1")
    shown = (
        project.cli("eval", "show", "last", "--case", "c0").out + project.cli("eval", "show", "last", "--failed").out
    )
    assert "\\x1b[2J" in shown
    assert not {"\x1b", "\u202e"} & set(shown)
