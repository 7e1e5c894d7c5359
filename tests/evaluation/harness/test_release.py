from __future__ import annotations

import hashlib
import json

from inference.faults import KEY, Answer, FaultServer, completion
from support import make_project, prompt

SCORE = """\
import json, os, urllib.request
with open("scores.jsonl", "w") as file:
    for n in range(45):
        body = json.dumps({"messages": [{"role": "user", "content": f"Where is parcel {n}?"}]}).encode()
        headers = {"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"]}
        request = urllib.request.Request(os.environ["OPENAI_BASE_URL"] + "/chat/completions", body, headers)
        said = json.load(urllib.request.urlopen(request))["choices"][0]["message"]["content"]
        print(json.dumps({"id": n, "right": "Wednesday" in said}), file=file)
"""
FACT = {"metric": "expected", "direction": "higher", "margin": 0.15, "limit": 0.6}
CASE = {"input": "When?", "expect": {"contains": "Wednesday"}}


def test_a_harness_gates_a_release_that_verifies_offline(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    repo = make_project(tmp_path, ("alice",), solo=True)
    repo.write("score.py", SCORE)
    files = {"score.py": hashlib.sha256(SCORE.encode()).hexdigest()}
    harness = {"type": "command", "argv": ["python3", "score.py"], "scores": "scores.jsonl", "files": files}
    rails = [{"metric": "right", "direction": "higher", "margin": 0.15, "limit": 0.6}]
    repo.write("evals/outside.yaml", json.dumps({"version": 1, "harness": harness, "guardrails": rails}))
    repo.write("promptops.yaml", "version: 1\ncanary: {minimum: 40, budget: {requests: 600}}\n")
    repo.write("prompts/support/reply.yaml", prompt(extra="evals: [outside]\n"))
    repo.commit("Add a harness")
    with FaultServer(lambda _, body: Answer(body=completion("On Wednesday.", model=body["model"]))) as server:
        repo.extra_env.update(OPENAI_BASE_URL=server.url, OPENAI_API_KEY=KEY)
        repo.promptops("check")
        repo.promptops("release")
        asked = len(server.requests)
        root = json.loads(repo.promptops("policy", "show", "--json").stdout)["root"]
        repo.promptops("verify", "support/reply@1.0.0", "--root", root)
        drifted = repo.promptops("drift", "support/reply", "--env", "prod", check=3)
        assert "every suite of support/reply is asked by a harness" in drifted.stderr
        assert len(server.requests) == asked == 45
        # Beside cases, drift asks those and says what it leaves out.
        facts = {"version": 1, "guardrails": [FACT], "cases": [CASE | {"id": f"c{n}"} for n in range(40)]}
        repo.write("evals/facts.yaml", json.dumps(facts))
        repo.write("prompts/support/reply.yaml", prompt(version="1.1.0", extra="evals: [outside, facts]\n"))
        repo.commit("Add cases")
        repo.promptops("release")
        drifted = repo.promptops("drift", "support/reply", "--env", "prod", check=0)
        assert "left out: outside, which a harness asks" in drifted.stdout
        told = json.loads(repo.promptops("drift", "support/reply", "--env", "prod", "--json", check=0).stdout)
        assert [each["left_out"] for each in told] == [["outside"]]
