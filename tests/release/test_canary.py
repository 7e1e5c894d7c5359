"""Releases gated by a real canary against a scripted server."""

from __future__ import annotations

import json
import signal

import pytest
import releasing
from evaluation.canaries import STYLE, hold_after, text_by
from inference.faults import KEY, FaultServer
from releasing import NEW, OLD, PROMPT, failed, manifest_of
from support import prompt

from promptops.evaluation import gate_record
from promptops.evaluation.evaluators import digest
from promptops.evaluation.suite import parse
from promptops.release import testresult
from promptops.repo.git import Git

PROJECT = """\
version: 1
canary: {minimum: 40, budget: {requests: 600}, on_inconclusive: ON}
"""


@pytest.fixture
def tested(released):
    """Two releases without a canary, and a third version on main that flatters when it is asked to."""
    released.write("promptops.yaml", PROJECT.replace("ON", "block"))
    released.write("evals/style.yaml", json.dumps(STYLE))
    released.write(PROMPT, prompt("Flatter.", version="1.2.0", extra="evals: [style]\n"))
    released.commit("Suite")
    return released


def release(repo, server, *args, code=0):
    env = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": KEY}
    done = repo.promptops("release", "--json", *args, check=code, **env)
    return json.loads(done.stdout)[0]


TAG = "prompt/support/reply@v1.2.0"


def bad(repo, change):
    """Change the canary's statement and sign it and the manifest again."""
    parsed = releasing.tagobject.parse_tag(releasing.raw(repo, TAG))
    first, canary = releasing.lines(parsed.message)
    statement = canary.statement()
    change(statement)
    key = str(repo.key("alice"))
    again = releasing.envelope.sign(statement, key, releasing.sshsig.RELEASE)
    manifest = first.statement()
    manifest["predicate"]["canary"]["digest"]["sha256"] = again.digest
    first = releasing.envelope.sign(manifest, key, releasing.sshsig.RELEASE)
    head = parsed.payload[: len(parsed.payload) - len(parsed.message)]
    releasing.put(repo, releasing.signed(repo, head + releasing.bundle.embed("Release", [first, again])), TAG)


def test_passing_canary_is_released_and_bound(tested):
    with FaultServer(text_by(0.0)) as server:
        outcome = release(tested, server)
        assert outcome["canary"]["verdict"] == "pass"
    found = manifest_of(tested, TAG)
    assert (found.canary.verdict, found.canary.attempts, found.baseline.tag) == ("pass", 1, NEW)
    assert found.model["reported"] == [{"model": "gpt-4o-2024-11-20", "fingerprint": "fp-1"}]
    assert failed(tested, TAG, code=0) == set()
    message = releasing.raw(tested, TAG).decode()
    assert "canary    pass" in message
    assert "Where is parcel" not in message


def test_the_projects_margin_holds_where_a_guardrail_states_none(tested):
    tested.write("promptops.yaml", PROJECT.replace("ON", "block, margin: 0.2"))
    tested.write("evals/style.yaml", json.dumps(STYLE | {"guardrails": [{"metric": "praise", "direction": "lower"}]}))
    tested.commit("Leave the margin to the project")
    with FaultServer(text_by(0.0)) as server:
        outcome = release(tested, server)
    assert [row["margin"] for row in outcome["canary"]["guardrails"]] == [0.2]
    assert failed(tested, TAG, code=0) == set()


def test_a_canary_below_the_plans_floor_is_not_called_a_gate(tested):
    floor = "block, power: {harm: 0.2, least: 0.8}"
    tested.write("promptops.yaml", PROJECT.replace("ON", floor))
    tested.commit("Ask for power")
    with FaultServer(text_by(0.0)) as server:
        env = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": KEY}
        done = tested.promptops("release", check=0, **env)
    assert "warning: the canary of support/reply is no gate: its power is not known" in done.stderr
    assert failed(tested, TAG, code=0) == set()


def test_the_gates_sensitivity_goes_into_the_manifest_and_verifies(tested):
    classes = {"flattery": {"mutants": 2, "caught": 2, "survived": 0, "inconclusive": 0}}
    known = {"configuration": "sha256:" + "a" * 64, "classes": classes}
    with Git(str(tested.root)) as git, FaultServer(text_by(0.0)) as server:
        suites = {"style": digest(parse("style", STYLE))}
        gate_record.write(git, "sensitivity", "support/reply", {"prompt": "support/reply", "suites": suites, **known})
        release(tested, server)
    assert manifest_of(tested, TAG).sensitivity == known
    assert manifest_of(tested, NEW).sensitivity is None
    assert failed(tested, TAG, code=0) == set()


def test_tampered_canary_does_not_verify(tested):
    with FaultServer(text_by(0.0)) as server:
        release(tested, server)
    good = releasing.raw(tested, TAG)

    def extension(statement):
        return statement["predicate"][testresult.EXTENSION]

    changes = [
        lambda s: s["subject"][0]["digest"].update(sha256="0" * 64),
        lambda s: extension(s).update(baseline="sha256:" + "0" * 64),
        lambda s: extension(s).update(baseline=None),
        lambda s: extension(s).update(previous="0" * 64),
        lambda s: extension(s).update(attempts=7),
        lambda s: extension(s).update(
            models=[{"requested": "gpt-4o-2024-11-20", "reported": "x", "fingerprint": None}]
        ),
        lambda s: extension(s).update(models=["x"]),
        lambda s: extension(s)["evidence"].update(pairs=10**6),
        lambda s: extension(s)["evidence"]["rules"].update(minimum=1),
        lambda s: extension(s)["evidence"]["rules"].update(alpha=0.5),
        lambda s: extension(s)["evidence"]["guardrails"][0].update(margin=0.9),
        lambda s: extension(s)["evidence"].update(guardrails=[]),
        lambda s: extension(s)["evidence"].update(pairs=1),
        lambda s: extension(s).update(evidence={}),
        lambda s: extension(s).pop("guardrails"),
        lambda s: s["predicate"]["configuration"][0]["digest"].update(sha256="0" * 64),
        lambda s: s["predicate"].update(result="FAILED"),
        lambda s: s.update(predicateType="urn:promptops:release:v1"),
    ]
    for number, change in enumerate(changes):
        releasing.put(tested, good, TAG)
        bad(tested, change)
        assert failed(tested, TAG) == {"canary"}, number


def test_canary_of_another_release_does_not_verify(tested):
    with FaultServer(text_by(0.0)) as server:
        release(tested, server)
        old = releasing.lines(releasing.tagobject.parse_tag(releasing.raw(tested, TAG)).message)[1]
        tested.write(PROMPT, prompt("Flatter less.", version="1.3.0", extra="evals: [style]\n"))
        tested.commit("Next")
        release(tested, server)
    newer = "prompt/support/reply@v1.3.0"
    parsed = releasing.tagobject.parse_tag(releasing.raw(tested, newer))
    first, _ = releasing.lines(parsed.message)
    statement = first.statement()
    statement["predicate"]["canary"]["digest"]["sha256"] = old.digest
    first = releasing.envelope.sign(statement, str(tested.key("alice")), releasing.sshsig.RELEASE)
    head = parsed.payload[: len(parsed.payload) - len(parsed.message)]
    releasing.put(tested, releasing.signed(tested, head + releasing.bundle.embed("R", [first, old])), newer)
    assert failed(tested, newer) == {"canary"}


def test_failing_canary_writes_nothing_and_prints_the_table(tested):
    with FaultServer(text_by(0.9)) as server:
        env = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": KEY}
        before = tested.git("for-each-ref")
        done = tested.promptops("release", check=1, **env)
    assert "verdict: fail" in done.stdout
    assert "praise" in done.stdout
    assert tested.git("for-each-ref") == before
    assert KEY not in done.stdout + done.stderr


def test_inconclusive_canary_blocks_or_stands_in_the_manifest(tested):
    # Too small a budget for the minimum.
    tested.write("promptops.yaml", PROJECT.replace("600", "20").replace("ON", "block"))
    tested.commit("Poor")
    with FaultServer(text_by(0.0)) as server:
        assert release(tested, server, code=4)["status"] == "inconclusive"
        assert tested.git("tag", "--list", TAG) == ""
        tested.write("promptops.yaml", PROJECT.replace("600", "20").replace("ON", "warn"))
        tested.commit("Accept")
        assert release(tested, server)["status"] == "released"
    assert manifest_of(tested, TAG).canary.verdict == "inconclusive"
    assert failed(tested, TAG, code=0) == set()


def test_resumed_release_pays_nothing_again(tested):
    with FaultServer(text_by(0.0)) as server:
        release(tested, server)
        paid = len(server.requests)
        tested.git("tag", "-d", TAG)
        assert release(tested, server)["status"] == "released"
        assert len(server.requests) == paid


def test_killed_canary_continues(tested):
    held, go_on = hold_after(10, text_by(0.0))
    with FaultServer(held) as server:
        running = releasing.start(tested, "release", OPENAI_BASE_URL=server.url, OPENAI_API_KEY=KEY)
        releasing.wait_until(lambda: len(server.requests) > 10 or running.poll() is not None)
        running.send_signal(signal.SIGKILL)
        running.wait()
        go_on.set()
        assert tested.git("tag", "--list", TAG) == ""
        outcome = release(tested, server)
        assert outcome["status"] == "released"
        # Only what was under way at the kill is paid without being used.
        assert len(server.requests) - outcome["canary"]["calls"]["requests"] <= 64
    assert failed(tested, TAG, code=0) == set()


def test_dry_run_says_what_would_be_asked_and_calls_nobody(tested):
    with FaultServer(text_by(0.0)) as server:
        outcome = release(tested, server, "--dry-run", "--canary", "10%")
        assert server.requests == []
    assert outcome["plan"]["cases"] == {"style": 25}
    assert outcome["plan"]["share"] == pytest.approx(0.1)


def test_prompt_without_a_suite_is_no_pass(released):
    released.write(PROMPT, prompt("Again.", version="1.2.0"))
    released.commit("No suite")
    done = released.promptops("release", "--json", check=1)
    assert "names no suite" in json.loads(done.stdout)[0]["reasons"][0]


def test_first_release_has_no_baseline(tested):
    tested.git("tag", "-d", OLD, NEW)
    with FaultServer(text_by(0.0)) as server:
        release(tested, server)
    found = manifest_of(tested, TAG)
    assert (found.sequence, found.previous, found.baseline) == (1, None, None)
    assert failed(tested, TAG, code=0) == set()
