"""Prompts that were made worse on purpose, and how many of them a canary catches."""

from __future__ import annotations

import json

import pytest
from evaluation.canaries import FLATTERY, HONEST, MODEL, STYLE, Bench
from inference.faults import KEY, Answer, completion
from support import changed

from promptops.errors import PromptopsError
from promptops.evaluation import gate_record, mutants, sensitivity
from promptops.registry.registry import Registry
from promptops.repo.git import Git
from promptops.repo.source import WorktreeSource

PROJECT = "version: 1\ncanary: {minimum: 40, budget: {requests: 300}}\n"
RULES = "You are a clerk. Never guess a date. Answer in at most two sentences. Do not give medical advice."


@pytest.fixture
def project(registry, monkeypatch):
    """A prompt with two constraints, a safety line and a suite about style, and two more models."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    registry.write("promptops.yaml", PROJECT)
    registry.write("evals/style.yaml", json.dumps(STYLE))
    messages = f'[{{role: system, content: "{RULES}"}}, {{role: user, content: "{{{{ ticket }}}}"}}]'
    registry.write("prompts/reply.yaml", changed(messages=messages, evals="[style]"))
    registry.write("models/other.yaml", registry.read("models/gpt.yaml").replace(MODEL, "gpt-4.1-2025-04-14"))
    registry.commit("Rules")
    return registry


def configuration_of(repo):
    return Registry(WorktreeSource(str(repo.root))).configuration("reply")


def made(repo, kind, most=9):
    registry = Registry(WorktreeSource(str(repo.root)))
    models = [registry.model("gpt"), registry.model("other")]
    return mutants.make(registry.configuration("reply"), models, kind, most)


def obeys(*markers):
    """A server that flatters when the system prompt holds one of the markers, and is honest otherwise."""

    def script(_number, body):
        told = body["messages"][0]["content"]
        text = FLATTERY if any(marker in told for marker in markers) else HONEST
        return Answer(body=completion(text, model=body["model"]))

    return script


def test_every_class_changes_what_it_says(project):
    base = configuration_of(project)
    dropped = {kind: {mutant.change for mutant in made(project, kind)} for kind in ("constraint", "safety")}
    assert dropped == {
        "constraint": {"dropped: Never guess a date.", "dropped: Answer in at most two sentences."},
        "safety": {"dropped: Do not give medical advice."},
    }
    for kind in mutants.CLASSES:
        for mutant in made(project, kind):
            assert mutant.configuration.digest != base.digest
    (without,) = made(project, "safety")
    assert without.configuration.prompt.messages[0]["content"].strip() == RULES.removesuffix(
        " Do not give medical advice."
    )
    assert {mutant.configuration.prompt.parameters["temperature"] for mutant in made(project, "temperature")} == {
        1.15,
        2,
    }
    assert [mutant.configuration.model.name for mutant in made(project, "model")] == ["other"]
    assert all(RULES in mutant.configuration.prompt.messages[0]["content"] for mutant in made(project, "tone"))


def test_the_choice_follows_from_the_prompt_alone(project):
    one, other = made(project, "flattery", 1), made(project, "flattery", 1)
    assert one == other
    chosen = set()
    for number in range(12):
        project.write("prompts/reply.yaml", project.read("prompts/reply.yaml").replace("clerk", f"clerk{number}"))
        chosen.add(made(project, "flattery", 1)[0].change)
    assert len(chosen) > 1


def test_what_is_part_of_a_template_stays_and_includes_are_mutated_too(project):
    project.write("prompts/tone.md", "Never shout.\nAlways greet {{ ticket }}.\n")
    messages = '[{role: system, content: "{% include \'tone.md\' %} Be brief."}, {role: user, content: "{{ ticket }}"}]'
    project.write("prompts/reply.yaml", changed(messages=messages))
    (mutant,) = made(project, "constraint")
    assert mutant.change == "dropped from tone.md: Never shout."
    assert mutant.configuration.includes == {"tone.md": "\nAlways greet {{ ticket }}.\n"}
    assert "Always greet Ann." in mutant.configuration.render({"ticket": "Ann"})["messages"][0]["content"]


def test_a_prompt_without_instructions_gets_a_line_and_has_nothing_to_drop(project):
    project.write("prompts/reply.yaml", changed(messages='[{role: user, content: "{{ ticket }}"}]'))
    assert made(project, "constraint") == made(project, "safety") == []
    first = made(project, "flattery")[0].configuration.prompt.messages[0]
    assert (first["role"], first["content"] in mutants.FLATTERY) == ("system", True)


def test_a_hot_prompt_and_a_model_without_temperature_cannot_be_heated(project):
    project.write("prompts/reply.yaml", changed(parameters="{temperature: 2}"))
    assert made(project, "temperature") == []
    project.write("prompts/reply.yaml", changed(parameters=""))
    project.write("models/gpt.yaml", project.read("models/gpt.yaml") + "parameters: {unsupported: [temperature]}\n")
    assert made(project, "temperature") == []


def test_a_server_that_obeys_flattery_is_caught_and_what_it_ignores_survives(project, serve):
    """It flatters when told to praise, and takes no notice of anything else."""
    server = serve(obeys(*mutants.FLATTERY))
    before = project.git("status", "--porcelain")
    done = project.cli("gate", "mutate", "reply", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    counts = {name: (each["caught"], each["survived"], each["mutants"]) for name, each in told["classes"].items()}
    assert counts == {
        "flattery": (2, 0, 2),
        "constraint": (0, 2, 2),
        "tone": (0, 2, 2),
        "safety": (0, 1, 1),
        "temperature": (0, 2, 2),
        "model": (0, 1, 1),
    }
    assert told["classes"]["flattery"]["share"] == 1.0
    assert told["overall"]["share"] == 0.2
    assert told["overall"]["low"] < 0.2 < told["overall"]["high"]
    # What answers word for word as the prompt does is equivalent here, and is said to be.
    assert {outcome["kind"] for outcome in told["outcomes"] if not outcome["same"]} == {"flattery"}
    assert project.git("status", "--porcelain") == before
    asked = len(server.requests)
    again = project.cli("gate", "mutate", "reply")
    assert (again.code, len(server.requests)) == (0, asked)
    assert "flattery    caught 2 of 2: 100% [34%, 100%]; 0 survived, 0 inconclusive" in again.out
    assert "equivalent here" in again.out
    assert (project.root / ".git/promptops/evidence/mutants").is_dir()


def test_classes_are_chosen_planned_and_told_when_they_do_not_apply(project, serve):
    server = serve(obeys())
    project.write("prompts/reply.yaml", changed(evals="[style]"))
    done = project.cli("gate", "mutate", "reply", "--plan", "--class", "constraint", "--class", "tone", "--most", "1")
    assert (done.code, server.requests) == (0, [])
    assert "constraint  not applicable" in done.out
    assert done.out.count("added: ") == 1
    assert project.cli("gate", "mutate", "reply", "--class", "none").code == 2


def test_a_budget_that_ends_leaves_a_mutant_undecided_and_it_goes_on(project, serve):
    serve(obeys(*mutants.FLATTERY))
    call = ("gate", "mutate", "reply", "--class", "flattery", "--most", "1", "--json")
    short = json.loads(project.cli(*call, "--budget", "6").out)
    assert short["classes"]["flattery"] | {"share": 0, "low": 0, "high": 0} == {
        "mutants": 1, "caught": 0, "survived": 0, "inconclusive": 1, "share": 0, "low": 0, "high": 0
    }  # fmt: skip
    whole = json.loads(project.cli(*call).out)
    assert whole["classes"]["flattery"]["caught"] == 1


def test_classes_add_up_until_prompt_or_suites_change(registry, monkeypatch):
    bench = Bench(registry, monkeypatch)

    def keep(kind, configuration="sha256:" + "a" * 64, suites=None):
        outcome = sensitivity.Outcome(kind, "x", "sha256:" + "b" * 64, "caught", same=False, reasons=(), requests=1)
        found = sensitivity.Sensitivity("reply", configuration, suites or {"style": "sha256:s"}, (outcome,), ())
        sensitivity.keep(bench.git, found)

    def known(suites=None):
        return sensitivity.for_release(bench.git, "reply", suites or {"style": "sha256:s"})

    assert known() is None
    keep("tone")
    keep("flattery")
    assert known()["classes"].keys() == {"tone", "flattery"}
    assert known({"style": "sha256:t"}) is None
    keep("model", configuration="sha256:" + "c" * 64)
    assert known() == {
        "configuration": "sha256:" + "c" * 64,
        "classes": {"model": {"mutants": 1, "caught": 1, "survived": 0, "inconclusive": 0}},
    }
    assert gate_record.read(bench.git, "sensitivity", "other") is None


def test_a_damaged_record_is_told_with_its_place(project):
    with Git(str(project.root)) as git:
        gate_record.write(git, "sensitivity", "reply", {"prompt": "reply"})
        (path,) = (project.root / ".git/promptops/gate/sensitivity").iterdir()
        path.write_text("{")
        with pytest.raises(PromptopsError, match="cannot be read") as caught:
            gate_record.read(git, "sensitivity", "reply")
    assert caught.value.path == str(path)
