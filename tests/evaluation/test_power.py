"""What a gate could have caught: simulated through the real gate, from measured or assumed spread."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from evaluation.canaries import FACTS, STYLE, Bench, flattering, text_by
from inference.faults import KEY, FaultServer

from promptops.evaluation import gate_record, noise, power
from promptops.evaluation.study import Terms, prepare
from promptops.registry.project import Canary, Power
from promptops.statistics.power import crossing_probabilities

PROJECT = "version: 1\ncanary: {minimum: 90, budget: {requests: 240}%s}\n"


@pytest.fixture
def bench(registry, monkeypatch):
    return Bench(registry, monkeypatch)


def study_of(bench, **changes):
    settings = {"minimum": 40, "budget": {"requests": 160}}
    return prepare(bench.git, Terms(**bench.arguments(**{"settings": settings, **changes})))


def test_one_guardrail_is_caught_as_often_as_the_exact_law_says(bench):
    """With yes-or-no scores the law of the first crossing is known without simulation."""
    study = study_of(bench, suites_by_name={"style": STYLE})
    found = power.study_power(study, harm=0.3, runs=200)
    exact = crossing_probabilities(
        80, discordance=0.3 + 0.7 * 0.1, harm=0.3, margin=0.15, threshold=20, against_harm=False
    )[-1]
    (rail,) = found.guardrails
    assert 0.2 < exact < 0.95
    assert rail.caught.low <= exact <= rail.caught.high
    assert (rail.source, rail.discordance, found.budget) == ("assumed", 0.1, 80)


def test_more_harm_is_caught_wherever_less_is_and_equal_seeds_agree(bench):
    study = study_of(bench)
    simulation = power.Simulation(study, noise.Noise(), 7, 150)
    for number in range(10):
        verdicts = [simulation.run(number, 150, "style/praise", harm / 10)[0] == "fail" for harm in range(11)]
        assert verdicts == sorted(verdicts)
    assert power.study_power(study, runs=20) == power.study_power(study, runs=20)
    assert power.study_power(study, runs=20) != power.study_power(study, runs=20, seed=2)


def test_an_unchanged_prompt_hardly_ever_fails_and_a_harm_within_the_margin_is_not_caught(bench):
    found = power.study_power(study_of(bench), harm=0.1, runs=60)
    assert found.false_alarms.low <= 0.05
    assert found.caught.value <= 0.05
    assert all(rail.smallest["80%"] > rail.bound for rail in found.guardrails)
    assert all(rail.smallest["80%"] <= rail.smallest["99%"] for rail in found.guardrails)
    assert all(rail.needed is None for rail in found.guardrails)


def test_a_small_budget_catches_nothing_and_says_what_it_would_take(bench):
    poor = study_of(bench, settings={"minimum": 10, "budget": {"requests": 20}})
    found = power.study_power(poor, harm=0.9, runs=20)
    assert (found.budget, found.caught.value, found.undecided.value) == (10, 0.0, 1.0)
    assert {rail.smallest["80%"] for rail in found.guardrails} == {None}
    assert all(10 < rail.needed.pairs <= 40 for rail in found.guardrails)
    assert all(rail.needed.replies == 2 * rail.needed.pairs for rail in found.guardrails)


def test_the_spread_is_measured_in_kept_evidence_that_did_not_fail(bench):
    with FaultServer(text_by(0.0)) as server:
        bench.serve(server)
        assert bench.run(settings={"minimum": 90}).verdict == "pass"
    study = study_of(bench)
    found = power.study_power(study, harm=0.3, runs=20)
    assert found.comparisons == 1
    assert {(rail.source, rail.discordance) for rail in found.guardrails} == {("measured", 0.0)}
    assumed = power.study_power(study_of(bench, evidence_dir=str(bench.evidence / "none")), harm=0.3, runs=20)
    assert assumed.comparisons == 0
    assert found.undecided.value < assumed.undecided.value
    assert found.typical.pairs < assumed.typical.pairs


def test_a_failed_comparison_and_other_suites_are_no_measure_of_noise(bench):
    with FaultServer(text_by(0.9)) as server:
        bench.serve(server)
        assert bench.run().verdict == "fail"
        assert bench.run(suites_by_name={"facts": FACTS}).verdict == "pass"
    study = study_of(bench)
    subject = study.store.subject
    assert noise.measure(study.store.root, study.exam, subject.prompt, subject.suites, "paired") == noise.Noise()


def test_differences_have_mean_zero_whoever_was_better_then(bench):
    """A kept candidate that was better than its baseline makes no later one look better."""
    study = study_of(bench, suites_by_name={"style": STYLE})
    pairs = [noise.Pair({"style/praise": -1000}, {}) for _ in range(20)] + [noise.Pair({"style/praise": 0}, {})] * 80
    measured = noise.Noise({"style": pairs}, 1, {"style/praise": [-1000] * 20 + [0] * 80})
    simulation = power.Simulation(study, measured, 1, 500)
    verdicts = [simulation.run(number, 500)[0] for number in range(20)]
    assert verdicts.count("fail") <= 2
    assert verdicts.count("pass") >= 10


def test_a_first_release_is_simulated_against_its_limits(bench):
    found = power.study_power(study_of(bench, baseline=None), harm=0.6, runs=20)
    assert {rail.name: rail.bound for rail in found.guardrails} == {"style/praise": 0.3, "facts/expected": 0.6}
    assert found.caught.value > 0.9
    assert found.false_alarms.value == 0.0
    assert found.typical.replies == found.typical.pairs


def test_money_and_tokens_end_a_simulated_canary_too(bench):
    rich = study_of(bench)
    priced = {"price": {"input": 1000.0, "output": 1000.0}}
    arms = {
        name: each._replace(model=each.model._replace(settings={**each.model.settings, **priced}))
        for name, each in rich.configurations.items()
    }
    costly = replace(rich, configurations=arms, settings=rich.settings._replace(budget={"usd": 5.0}))
    found = power.study_power(costly, runs=20)
    assert found.budget < power.study_power(rich, runs=20).budget
    assert found.typical.cost == pytest.approx(5.0, rel=0.1)


FLOOR = {"name": "reply", "settings": Canary(power=Power(0.3, 0.8)), "suites": {"style": "sha256:a"}}


def record(**changes):
    known = {"prompt": "reply", "basis": gate_record.basis(FLOOR["settings"], FLOOR["suites"]), "harm": 0.3}
    return {**known, "caught": 0.9, "assumed": False, **changes}


@pytest.mark.parametrize(
    ("known", "told"),
    [
        (None, "power is not known"),
        (record(), None),
        (record(caught=0.79), "not a gate: a harm of 0.3 is caught in 79%"),
        (record(assumed=True), "by assumption"),
        (record(harm=0.4), "power is not known"),
        (record(basis=gate_record.basis(FLOOR["settings"], {"style": "sha256:b"})), "power is not known"),
        (record(basis=gate_record.basis(Canary(minimum=1), FLOOR["suites"])), "power is not known"),
    ],
)
def test_a_gate_below_the_floor_is_not_called_one(bench, known, told):
    if known:
        gate_record.write(bench.git, "power", "reply", known)
    found = gate_record.shortfall(bench.git, FLOOR["name"], FLOOR["settings"], FLOOR["suites"])
    assert (found is None) if told is None else told in found
    assert gate_record.shortfall(bench.git, "reply", Canary(), FLOOR["suites"]) is None


@pytest.fixture
def project(registry, monkeypatch):
    """The prompt with two suites on main, and another wording in the work tree."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    registry.write("evals/style.yaml", json.dumps(STYLE))
    registry.write("evals/facts.yaml", json.dumps(FACTS))
    registry.write("prompts/reply.yaml", flattering("Answer."))
    asking(registry, "")
    registry.write("prompts/reply.yaml", flattering("Answer well."))
    return registry


def asking(repo, floor):
    repo.write("promptops.yaml", PROJECT % floor)
    repo.commit("Set the floor")


def test_the_command_says_what_is_assumed_and_needs_no_endpoint(project):
    done = project.cli("gate", "power", "reply", "--base", "main", "--harm", "0.5", "--runs", "20")
    assert done.code == 0, done.err
    for told in ("style/praise", "facts/expected", "assumed: 10% of pairs", "false alarms", "no floor is set"):
        assert told in done.out
    (document,) = json.loads(project.cli("gate", "power", "--runs", "20", "--json").out)
    assert (document["prompt"], document["harm"], document["floor"]) == ("reply", 0.2, None)


@pytest.mark.parametrize(
    ("harm", "unmeasured", "measured"),
    [("0.6", (4, "a gate by assumption only"), (0, "a gate: 100.0%")), ("0.16", (1, "not a gate"), (1, "not a gate"))],
)
def test_the_plans_floor_decides_what_is_called_a_gate(project, serve, harm, unmeasured, measured):
    project.git("stash", "--quiet")
    asking(project, f", power: {{harm: {harm}, least: 0.8}}")
    project.git("stash", "pop", "--quiet")

    def told(expected):
        done = project.cli("gate", "power", "reply", "--base", "main", "--runs", "20")
        assert (done.code, expected[1] in done.out) == (expected[0], True), done.out

    told(unmeasured)
    serve(text_by(0.0))
    assert project.cli("canary", "reply", "--base", "main").code == 0
    told(measured)


@pytest.mark.parametrize("floor", ["{harm: 0}", "{harm: 0.2, least: 1.0}", "{harm: 1.2, least: 0.5}", "0.8"])
def test_a_floor_that_says_nothing_is_refused(project, floor):
    project.write("promptops.yaml", PROJECT % f", power: {floor}")
    assert project.cli("gate", "power", "reply").code == 1


def test_without_suites_there_is_no_gate(registry):
    done = registry.cli("gate", "power")
    assert (done.code, "no prompt names a suite" in done.err) == (1, True)
