from __future__ import annotations

import json

import pytest
from evaluation.canaries import FACTS, FLATTERY, STYLE, text_by
from inference.faults import KEY, Answer, FaultServer
from support import make_project, prompt

PROJECT = """\
version: 1
canary: {share: "5%", minimum: 40, budget: {requests: 900}}
environments: {prod: {}, staging: {}}
"""


class Provider:
    """A server whose behaviour changes on command, with nothing changed in git."""

    def __init__(self):
        self.flattering = 0.0
        self.server = FaultServer(self.answer)

    def answer(self, number, body) -> Answer:
        return text_by(self.flattering, marker="")(number, body)


@pytest.fixture(scope="module")
def provider():
    made = Provider()
    with made.server:
        yield made


@pytest.fixture(scope="module")
def released(tmp_path_factory, provider):
    """A project with one release, made with a canary and live in prod."""
    repo = make_project(tmp_path_factory.mktemp("drift"), ("alice",), solo=True)
    repo.extra_env.update({"OPENAI_BASE_URL": provider.server.url, "OPENAI_API_KEY": KEY})
    repo.write("promptops.yaml", PROJECT)
    repo.write("evals/style.yaml", json.dumps(STYLE))
    repo.write("evals/facts.yaml", json.dumps(FACTS))
    repo.write("prompts/support/reply.yaml", prompt(parameters="{temperature: 0}", extra="evals: [style, facts]\n"))
    repo.commit("Ready")
    repo.promptops("release", "--no-push")
    repo.promptops("promote", "support/reply", "--env", "prod", "--reason", "first", "--no-push")
    return repo


def drift(repo, *args, check=None):
    done = repo.promptops("drift", *args, check=check)
    return done, json.loads(done.stdout) if "--json" in args and done.stdout else None


def test_a_live_release_is_compared_with_its_own_replies(released, provider):
    provider.flattering = 0.0
    before = released.git("rev-parse", "HEAD"), released.git("for-each-ref")
    _, (told,) = drift(released, "--env", "prod", "--json", check=0)
    assert (told["tag"], told["used"], told["verdict"]) == ("prompt/support/reply@v1.0.0", "replies", "pass")
    assert (released.git("rev-parse", "HEAD"), released.git("for-each-ref")) == before
    assert released.git("status", "--porcelain") == ""


def test_a_provider_that_changes_its_model_is_found(released, provider):
    provider.flattering = 0.8
    done, _ = drift(released, "support/reply", "--env", "prod", check=1)
    assert "the replies of its canary" in done.stdout
    assert "verdict: fail" in done.stdout
    assert FLATTERY[:20] in done.stdout


def test_a_plain_clone_falls_back_to_the_statistics_in_the_tag(released, provider, tmp_path):
    provider.flattering = 0.9
    clone = released.clone(tmp_path / "clone")
    _, (told,) = drift(clone, "support/reply", "--env", "staging", "--json", check=1)
    assert (told["used"], told["verdict"]) == ("means", "fail")


def test_what_an_environment_does_not_serve_is_said(released, provider, tmp_path):
    clone = released.clone(tmp_path / "clone")
    done, _ = drift(clone, "--env", "prod", check=3)
    assert "serves nothing in this clone" in done.stderr
    done, _ = drift(clone, "unknown", "--env", "prod", check=3)
    assert "no release of unknown" in done.stderr
    drift(clone, "--env", "nowhere", check=2)


def test_a_later_canary_compares_with_the_release_and_continues_into_the_next(released, provider):
    provider.flattering = 0.0
    text = prompt("Answer kindly.", version="1.0.1", parameters="{temperature: 0}", extra="evals: [style, facts]\n")
    released.write("prompts/support/reply.yaml", text)
    told = json.loads(released.promptops("canary", "support/reply", "--json").stdout)
    assert (told["verdict"], told["attempts"]) == ("pass", 1)
    assert told["baseline"] is not None
    released.commit("Be kind")
    asked = len(provider.server.requests)
    released.promptops("release", "--no-push")
    # The release rests on the evidence that the canary left: nothing is paid twice.
    assert len(provider.server.requests) == asked
