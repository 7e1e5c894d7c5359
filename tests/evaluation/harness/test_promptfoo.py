"""The real promptfoo: it is large and needs a newer Node than most machines have, so it runs where it is named."""

from __future__ import annotations

import hashlib
import json
import os
import stat

import pytest
from evaluation.canaries import flattering, text_by
from inference.faults import KEY

BINARY = os.environ.get("PROMPTOPS_PROMPTFOO", "")
COUNT = 70
CONFIG = json.dumps(
    {
        "prompts": ["{{question}}"],
        "providers": ["openai:chat:candidate"],
        "tests": [
            {
                "vars": {"question": f"Where is parcel {n}?"},
                "assert": [{"type": "not-icontains", "value": "brilliant", "metric": "Plain"}],
            }
            for n in range(COUNT)
        ],
    }
)


@pytest.mark.skipif(not BINARY, reason="PROMPTOPS_PROMPTFOO names no promptfoo; recorded results stand in for it")
@pytest.mark.parametrize("expected", [(0.8, 1), (0.0, 0)])
def test_promptfoo_is_a_harness(registry, serve, monkeypatch, expected):
    share, code = expected
    link = registry.home / "bin" / "promptfoo"
    link.parent.mkdir()
    link.write_text(f'#!/bin/sh\nexec "{BINARY}" "$@"\n')
    link.chmod(link.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", os.pathsep.join([str(link.parent), os.environ["PATH"]]))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    pin = hashlib.sha256(CONFIG.encode()).hexdigest()
    harness = {"type": "promptfoo", "config": "promptfooconfig.json", "files": {"promptfooconfig.json": pin}}
    rails = [{"metric": metric, "direction": "higher", "margin": 0.15} for metric in ("success", "plain")]
    registry.write("promptops.yaml", "version: 1\ncanary: {minimum: 40, budget: {requests: 600}}\n")
    registry.write("promptfooconfig.json", CONFIG)
    registry.write("evals/outside.yaml", json.dumps({"version": 1, "harness": harness, "guardrails": rails}))
    registry.write("prompts/reply.yaml", flattering("Answer.", "[outside]"))
    registry.commit("Add promptfoo")
    registry.write("prompts/reply.yaml", flattering("Answer. Flatter.", "[outside]"))
    server = serve(text_by(share))
    done = registry.cli("canary", "reply", "--base", "main", "--json")
    assert done.code == code, done.err
    told = json.loads(done.out)
    print(done.err, json.dumps(told["guardrails"], indent=1))
    assert {row["metric"]: row["baseline"] for row in told["guardrails"]} == {"success": 1.0, "plain": 1.0}
    assert len(server.requests) == 2 * COUNT
