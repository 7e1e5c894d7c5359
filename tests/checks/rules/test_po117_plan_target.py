from __future__ import annotations

import json

import pytest

RAIL = {"name": "abuse", "role": "guardrail", "direction": "lower", "margin": 0.02}


def plan(**members):
    stages = [{"share": "50%", "dwell": "7d"}, {"share": "100%"}]
    return json.dumps({"version": 1, "stages": stages, "metrics": [RAIL], **members}, indent=1)


@pytest.mark.parametrize(
    ("path", "members", "words"),
    [
        ("rollouts/repli.yaml", {}, "no prompt repli"),
        ("rollouts/reply.yaml", {"prompt": "other"}, "for other"),
        ("rollouts/other.yaml", {"prompt": "reply"}, "for reply"),
        ("rollouts/reply.yaml", {"prompt": "../x"}, "for ../x"),
        ("rollouts/reply.yaml", {"environment": "staging"}, "no environment staging"),
    ],
)
def test_finds_a_plan_for_nothing(judge, path, members, words):
    (found,) = [each for each in judge(**{path: plan(**members)}) if each.rule == "PO117"]
    assert (found.path, words in found.message) == (path, True)


def test_is_silent_about_a_plan_for_something(judge):
    assert judge.places("PO117", **{"rollouts/reply.yaml": plan(environment="prod", prompt="reply")}) == []


def test_finds_the_plan_of_a_prompt_or_environment_that_goes(judge):
    judge.stage(
        **{"rollouts/reply.yaml": plan(environment="eu"), "promptops.yaml": "version: 1\nenvironments: {eu: {}}\n"}
    )
    judge.repo.git("commit", "-q", "-m", "Plan")
    assert judge.places("PO117", **{"promptops.yaml": "version: 1\n"}) == [("rollouts/reply.yaml", 20)]
    judge.repo.git("reset", "-q", "--hard")
    assert judge.places("PO117", **{"prompts/reply.yaml": None}) == [("rollouts/reply.yaml", 1)]
