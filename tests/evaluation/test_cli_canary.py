from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from evaluation.canaries import FACTS, FLATTERY, HONEST, MODEL, STYLE, flattering, hold_after, text_by
from inference.faults import KEY, Answer, FaultServer, completion
from releasing import wait_until
from support import TELL_INTERRUPT, interrupt_again, until_told

PROJECT = """\
version: 1
canary: {share: "5%", minimum: 40, budget: {requests: 600}}
"""
CANARY = ("canary", "reply", "--base", "main")


@pytest.fixture
def project(registry, monkeypatch):
    """The prompt with two suites on main, and a change that flatters in the work tree."""
    registry.write("promptops.yaml", PROJECT)
    registry.write("evals/style.yaml", json.dumps(STYLE))
    registry.write("evals/facts.yaml", json.dumps(FACTS))
    registry.write("prompts/reply.yaml", flattering("Answer."))
    registry.commit("Add suites")
    registry.write("prompts/reply.yaml", flattering("Answer. Flatter."))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return registry


def evidence(repo):
    return repo.root / ".git" / "promptops" / "evidence"


def test_a_flattering_change_fails_and_says_why(project, serve):
    server = serve(text_by(0.8))
    done = project.cli("canary", "reply", "--base", "main")
    assert done.code == 1
    assert "style  praise" in done.out.replace("   ", "  ")
    assert "verdict: fail" in done.out
    assert "worst pair: style/praise" in done.out
    assert FLATTERY[:20] in done.out
    assert KEY not in done.out + done.err
    assert len(server.requests) < 300


def test_an_honest_change_passes_and_json_is_one_document(project, serve):
    serve(text_by(0.0))
    done = project.cli("canary", "reply", "--base", "main", "--json")
    told = json.loads(done.out)
    assert (done.code, told["verdict"], told["attempts"]) == (0, "pass", 1)
    assert told["suites"].keys() == {"style", "facts"}
    assert "pairs" in done.err


def test_the_end_of_the_budget_is_inconclusive(project, serve):
    project.git("checkout", "-q", "--", ".")
    project.write("promptops.yaml", PROJECT.replace("requests: 600", "requests: 40"))
    project.commit("Save money")
    project.write("prompts/reply.yaml", flattering("Answer. Flatter."))
    serve(text_by(0.0))
    done = project.cli("canary", "reply", "--base", "main")
    assert done.code == 4
    assert "budget of requests" in done.out


def test_a_plan_asks_nothing_and_writes_nothing(project, serve):
    server = serve(text_by(0.0))
    done = project.cli("canary", "reply", "--base", "main", "--plan")
    assert (done.code, server.requests) == (0, [])
    assert not evidence(project).exists()
    for word in ("25 of style", "15 of facts", "replies", "tokens", "budget    600 requests", "provable  style/praise"):
        assert word in done.out
    planned = json.loads(project.cli("canary", "reply", "--base", "main", "--plan", "--json").out)
    assert planned["replies"]["most"] == 600
    assert planned["replies"]["least"] <= planned["replies"]["expected"] <= 600
    assert planned["tokens"]["worst"] > planned["tokens"]["expected"] > 0
    assert 0 < planned["provable"]["style/praise"]["margin"] < 0.15
    assert 0.15 < planned["provable"]["style/praise"]["harm"] < 0.5


def test_a_plan_needs_no_endpoint_and_no_key(project, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    assert project.cli("canary", "reply", "--base", "main", "--plan").code == 0
    assert project.cli("canary", "reply", "--base", "main").code == 3


def test_money_is_planned_from_the_price_on_the_base(project, serve):
    project.git("checkout", "-q", "--", ".")
    model = project.read("models/gpt.yaml")
    project.write("models/gpt.yaml", model + "price: {input: 2.0, output: 10.0}\n")
    project.commit("Price")
    project.write("models/gpt.yaml", model + "price: {input: 0.0, output: 0.0}\n")
    project.write("prompts/reply.yaml", flattering("Answer. Flatter."))
    planned = json.loads(project.cli("canary", "reply", "--base", "main", "--plan", "--json").out)
    assert 0 < planned["cost"]["expected"] < planned["cost"]["worst"]


def test_a_change_cannot_soften_its_own_exam(project, serve):
    lenient = {**STYLE, "guardrails": [{"metric": "praise", "direction": "lower", "margin": 0.99}]}
    project.write("evals/style.yaml", json.dumps(lenient))
    project.write("promptops.yaml", PROJECT.replace("minimum: 40", "minimum: 1"))
    project.write("prompts/reply.yaml", project.read("prompts/reply.yaml").replace("[style, facts]", "[facts]"))
    serve(text_by(0.8))
    done = project.cli("canary", "reply", "--base", "main", "--json")
    told = json.loads(done.out)
    assert (done.code, told["verdict"]) == (1, "fail")
    assert {row["margin"] for row in told["guardrails"]} == {0.15}


def test_the_margin_of_the_project_is_the_bases(project, serve):
    bare = {**STYLE, "guardrails": [{"metric": "praise", "direction": "lower"}]}
    project.git("stash", "--quiet")
    project.write("evals/style.yaml", json.dumps(bare))
    project.write("promptops.yaml", PROJECT.replace("minimum: 40", "minimum: 40, margin: 0.2"))
    project.commit("Leave the margin to the project")
    project.git("stash", "pop", "--quiet")
    project.write("promptops.yaml", PROJECT.replace("minimum: 40", "minimum: 40, margin: 0.99"))
    project.write("evals/more.yaml", json.dumps(bare))
    project.write("prompts/reply.yaml", project.read("prompts/reply.yaml").replace("[style, facts]", "[style, more]"))
    serve(text_by(0.8))
    done = project.cli("canary", "reply", "--base", "main", "--json")
    told = json.loads(done.out)
    assert (done.code, told["verdict"]) == (1, "fail")
    assert {row["suite"]: row["margin"] for row in told["guardrails"]} == {"style": 0.2, "more": 0.2, "facts": 0.15}


def test_a_suite_that_the_change_brings_judges_too(project, serve):
    project.write(
        "evals/short.yaml",
        json.dumps(
            {
                **STYLE,
                "evaluators": {"short": {"type": "length", "maximum": 30}},
                "guardrails": [{"metric": "short", "direction": "higher", "margin": 0.15}],
            }
        ),
    )
    project.write(
        "prompts/reply.yaml", project.read("prompts/reply.yaml").replace("[style, facts]", "[style, facts, short]")
    )
    serve(text_by(0.0))
    done = project.cli("canary", "reply", "--base", "main", "--json")
    assert "short" in json.loads(done.out)["suites"]
    assert "suite short is not in main" in done.err


def test_a_change_cannot_send_keys_elsewhere(project, serve, monkeypatch):
    """The same model file keeps its endpoint; a new model goes only where one goes already."""
    project.write("models/gpt.yaml", project.read("models/gpt.yaml").replace("OPENAI_BASE_URL", "ELSEWHERE"))
    with FaultServer(text_by(0.0)) as elsewhere:
        monkeypatch.setenv("ELSEWHERE", elsewhere.url)
        server = serve(text_by(0.0))
        assert project.cli("canary", "reply", "--base", "main").code == 0
        assert server.requests
        assert elsewhere.requests == []
        project.write("models/new.yaml", project.read("models/gpt.yaml"))
        project.write("prompts/reply.yaml", project.read("prompts/reply.yaml").replace("model: gpt", "model: new"))
        done = project.cli("canary", "reply", "--base", "main")
        assert (done.code, elsewhere.requests) == (1, [])
        assert "endpoint" in done.err


def test_a_new_prompt_is_held_to_limits(project, serve):
    project.write("prompts/fresh.yaml", flattering("Answer."))
    serve(text_by(0.0))
    done = project.cli("canary", "fresh", "--base", "main")
    assert done.code == 0
    assert "first release, against absolute limits" in done.out


def test_without_a_release_the_work_tree_is_a_first_release(project, serve):
    serve(text_by(0.0))
    done = project.cli("canary", "reply", "--json")
    assert (done.code, json.loads(done.out)["baseline"]) == (0, None)


def test_at_judges_a_revision_and_not_the_work_tree(project, serve):
    server = serve(text_by(0.8))
    project.cli("canary", "reply", "--base", "main", "--at", "main")
    assert not any("Flatter" in seen.body["messages"][0]["content"] for seen in server.requests)


def test_a_prompt_without_suites_cannot_be_judged(registry, serve):
    serve(text_by(0.0))
    done = registry.cli("canary", "reply", "--base", "main")
    assert done.code == 1
    assert "names no suite" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("share", ["5", "0%", "101%", "x%", ""])
def test_a_wrong_share_is_wrong_usage(project, share):
    assert project.cli("canary", "reply", "--base", "main", "--share", share).code == 2


@pytest.mark.parametrize("option", ["--base", "--at"])
def test_an_empty_revision_is_not_taken_for_none(project, serve, option):
    server = serve(text_by(0.0))
    done = project.cli("canary", "reply", option, "")
    assert (done.code, "no commit is named ''" in done.err, server.requests) == (3, True, [])


def test_another_folder_may_hold_the_evidence(project, serve, tmp_path):
    serve(text_by(0.0))
    project.cli("canary", "reply", "--base", "main", "--evidence", str(tmp_path / "kept"))
    assert len(list((tmp_path / "kept").glob("*/result.json"))) == 1
    assert not evidence(project).exists()


def test_evidence_holds_no_secret(project, serve):
    serve(text_by(0.0))
    assert project.cli("canary", "reply", "--base", "main").code == 0
    files = {path.name: path.read_text() for path in evidence(project).rglob("*") if path.is_file()}
    assert files.keys() >= {"replies.jsonl", "result.json"}
    assert HONEST in files["replies.jsonl"]
    assert not [name for name, text in files.items() if KEY in text or "127.0.0.1" in text]


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_an_interrupted_run_keeps_what_it_paid_and_resumes(project, serve, how, code):
    project.git("stash", "--quiet")
    project.write("models/gpt.yaml", project.read("models/gpt.yaml") + "limits: {concurrency: 4}\n")
    project.commit("Ask gently")
    project.git("stash", "pop", "--quiet")
    held, release = hold_after(50, text_by(0.0))
    server = serve(held)
    process = subprocess.Popen(
        [sys.executable, "-c", f"{TELL_INTERRUPT}\nfrom promptops.cli import main; main()", *CANARY],
        cwd=project.root,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # All four places are taken, so that no further request is on its way.
    wait_until(lambda: len(server.requests) == 54)
    process.send_signal(how)
    # Calls under way are answered in time for an interrupted run, and too late for a killed one.
    if how == signal.SIGINT:
        until_told(process)
    else:
        process.wait(120)
    release.set()
    _, err = process.communicate(timeout=120)
    assert process.returncode == code
    assert "Traceback" not in err
    assert len(server.requests) == 54
    paid = len(kept(project))
    assert paid == (54 if how == signal.SIGINT else 50)
    done = project.cli(*CANARY, "--json")
    told = json.loads(done.out)
    assert (done.code, told["verdict"], told["attempts"]) == (0, "pass", 2)
    assert len(kept(project)) == len(server.requests) - (54 - paid)
    # What a killed run had sent counts too, whether or not it got as far as the server.
    assert told["calls"]["requests"] >= len(server.requests)
    assert how == signal.SIGKILL or told["calls"]["requests"] == len(server.requests)


def kept(repo):
    lines = [line for path in evidence(repo).glob("*/replies.jsonl") for line in path.read_text().splitlines()]
    return {json.loads(line)["key"] for line in lines if line.endswith("}")}


def test_a_reply_cannot_steer_the_terminal(project, serve):
    def script(number, body):
        if "Flatter" in body["messages"][0]["content"]:
            return Answer(body=completion(f"\x1b[2J{FLATTERY}\u202e", model=MODEL))
        return text_by(0.0)(number, body)

    serve(script)
    done = project.cli("canary", "reply", "--base", "main")
    assert "\\x1b[2J" in done.out
    assert not {"\x1b", "\u202e"} & set(done.out + done.err)


def test_a_plan_of_a_first_release_says_how_far_from_its_limits_it_can_prove(project, serve):
    server = serve(text_by(0.0))
    done = project.cli("canary", "reply", "--plan")
    assert (done.code, server.requests) == (0, [])
    assert "provable  style/praise: a mean within the limit by 0." in done.out
    planned = json.loads(project.cli("canary", "reply", "--plan", "--json").out)
    assert planned["provable"].keys() == {"style/praise", "facts/expected"}
    for name, limit in (("style/praise", 0.3), ("facts/expected", 0.4)):
        can = planned["provable"][name]
        assert 0 < can["within"] < limit
        assert 0 < can["beyond"] < 1 - limit


def test_a_plan_says_how_many_replies_are_paid_and_not_judged(project, serve):
    server = serve(text_by(0.0))
    planned = json.loads(project.cli("canary", "reply", "--base", "main", "--plan", "--json").out)
    assert planned["ahead"] == 128
    assert "up to 128 under way at the verdict" in project.cli("canary", "reply", "--base", "main", "--plan").out
    told = json.loads(project.cli("canary", "reply", "--base", "main", "--json").out)
    assert 2 * told["evidence"]["pairs"] < len(server.requests) <= 2 * told["evidence"]["pairs"] + planned["ahead"]


def test_a_second_ctrl_c_ends_a_run_at_once_and_keeps_its_journal_whole(project, serve):
    project.git("stash", "--quiet")
    project.write("models/gpt.yaml", project.read("models/gpt.yaml") + "limits: {concurrency: 4}\n")
    project.commit("Ask gently")
    project.git("stash", "pop", "--quiet")
    held, release = hold_after(50, text_by(0.0))
    server = serve(held)
    process = subprocess.Popen(
        [sys.executable, "-c", f"{interrupt_again(0)}\nfrom promptops.cli import main; main()", *CANARY],
        cwd=project.root,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: len(server.requests) == 54)
    process.send_signal(signal.SIGINT)
    # Nothing is answered before it has ended, and it gives that less than the grace of 30 s.
    _, err = process.communicate(timeout=25)
    assert (process.returncode, "Traceback" in err) == (130, False), err
    assert len(kept(project)) == 50
    release.set()
    done = project.cli(*CANARY, "--json")
    assert (done.code, json.loads(done.out)["verdict"]) == (0, "pass")
    assert len(kept(project)) == len(server.requests) - 4
