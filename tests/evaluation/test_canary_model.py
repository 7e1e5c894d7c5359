"""One canary from end to end on a real model."""

from __future__ import annotations

import json

import pytest
from support import make_registry

from promptops.errors import PromptopsError
from promptops.inference import local, weights

LOCAL = f"""\
provider: local
id: {weights.MODEL}
reported_id: {weights.MODEL}
weights: {{sha256: {weights.SHA256}}}
limits: {{context: 2048}}
"""
PROMPT = """\
version: "1.0.0"
model: local
parameters: {temperature: 0, max_completion_tokens: 8, seed: 7}
variables: {question: {type: string}}
messages:
  - {role: system, content: "SYSTEM"}
  - {role: user, content: "{{ question }}"}
evals: [short]
"""
SUITE = {
    "version": 1,
    "evaluators": {"short": {"type": "length", "maximum": 40}},
    "guardrails": [{"metric": "short", "direction": "higher", "margin": 0.5, "limit": 0.5}],
    "cases": [{"id": f"c{n}", "input": f"What is {n} plus {n}?"} for n in range(4)],
}


@pytest.mark.model
def test_a_real_model_answers_both_arms(tmp_path, monkeypatch):
    pytest.importorskip("xllamacpp", reason="the embedded model's runtime is not installed")
    try:
        weights.fetch()
    except PromptopsError as error:
        pytest.skip(f"the embedded model's weights cannot be fetched: {error}")
    repo = make_registry(tmp_path)
    repo.write("promptops.yaml", "version: 1\ncanary: {minimum: 6, budget: {requests: 40}}\n")
    repo.write("models/local.yaml", LOCAL)
    repo.write("evals/short.yaml", json.dumps(SUITE))
    repo.write("prompts/sum.yaml", PROMPT.replace("SYSTEM", "Answer with a number."))
    repo.commit("Base")
    repo.write("prompts/sum.yaml", PROMPT.replace("SYSTEM", "Answer with one number only."))
    with local.serving() as endpoint:
        monkeypatch.setenv("PROMPTOPS_LOCAL_URL", endpoint.base_url)
        done = repo.cli("canary", "sum", "--base", "main", "--json")
    told = json.loads(done.out)
    assert (done.code, told["verdict"]) == (0, "pass")
    assert told["evidence"]["pairs"] >= 6
    assert told["models"][0]["reported"] == weights.MODEL
    assert told["calls"]["tokens"] > told["calls"]["requests"]
