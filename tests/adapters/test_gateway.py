from __future__ import annotations

import json

import pytest
from serving import NAME, put, ramp
from witness import events, unit_of

from promptops.adapters import gateway
from promptops.errors import PromptopsError, UsageError

OLD, NEW = "1.0.0", "1.1.0"
OWN = ramp("30%")


@pytest.fixture
def path(tmp_path):
    put(tmp_path / "snapshot.json", OWN)
    return str(tmp_path / "snapshot.json")


def body(unit=None, *, metadata=None, **more):
    told = {"variables": {"ticket": "It broke"}} if metadata is None else metadata
    asked = {"model": f"promptops/{NAME}", "messages": [], "metadata": {"trace": "t", "promptops": told}}
    return asked | ({"user": unit} if unit else {}) | more


def filled(path, data):
    asked = gateway.read(data)
    return gateway.fill(data, gateway.load(asked, path), asked)


def test_other_models_are_left_alone():
    assert gateway.read({"model": "gpt-4o", "messages": [], "temperature": 2}) is None
    assert gateway.read({"messages": []}) is None


@pytest.mark.parametrize(("arm", "version"), [("canary", NEW), ("baseline", OLD), ("stable", OLD)])
def test_request_becomes_what_the_release_says(path, arm, version):
    later = {"role": "user", "content": "And now?"}
    request = filled(path, body(unit_of(arm, OWN), messages=[later], stream=True))
    assert request["model"] == "m"
    assert [message["content"] for message in request["messages"]] == [f"{version}: It broke", "And now?"]
    assert (request["stream"], request["metadata"]["trace"]) == (True, "t")
    about = request["metadata"]["promptops"]
    assert (about["arm"], about["version"]) == (arm, version)


def test_metadata_may_be_a_string_for_clients_that_know_no_other(path):
    told = json.dumps({"variables": {"ticket": "It broke"}, "unit": unit_of("canary", OWN)})
    request = filled(path, body("somebody else", metadata=told))
    assert request["messages"][0]["content"] == f"{NEW}: It broke"


def test_whoever_is_nobody_gets_the_stable_arm(path):
    for data in (body(), body(""), body(metadata={"variables": {"ticket": "x"}, "unit": ""})):
        assert filled(path, data)["metadata"]["promptops"]["arm"] == "stable"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (body(temperature=1), "temperature"),
        (body(tools=[]), "tools"),
        (body(metadata="{"), "no JSON"),
        (body(metadata=[1]), "another form"),
        (body(metadata={"variables": 1}), "another form"),
        (body(metadata={"arm": "canary"}), "another form"),
        (body(metadata={"variables": {}}), "needs the variable ticket"),
        (body(metadata={"variables": {"ticket": 1}}), "not string"),
    ],
)
def test_request_that_makes_no_sense_is_refused(path, data, message):
    with pytest.raises(UsageError, match=message):
        filled(path, data)


def test_only_chat_has_prompts():
    with pytest.raises(UsageError, match="chat completions"):
        gateway.read(body(), chat=False)


def test_unknown_prompt_is_named(path):
    with pytest.raises(PromptopsError, match="serves no prompt no/such"):
        filled(path, body(model="promptops/no/such"))


def test_feedback_comes_back_through_the_gateway(path, recorded):
    told = {"session": "s", "turn": 1, "opportunity": "thumbs",
            "outcome": {"name": "thumbs", "value": 0, "source": "user", "response_id": "r1"}}  # fmt: skip
    asked = gateway.read(body("user-1", metadata=told))
    assert gateway.feedback(asked, gateway.load(asked, path))
    opportunity, outcome = events(recorded)
    assert (opportunity["type"], opportunity["name"]) == ("opportunity", "thumbs")
    assert (outcome["type"], outcome["value"], outcome["response_id"]) == ("outcome", 0, "r1")
    asked = gateway.read(body("user-1"))
    assert not gateway.feedback(asked, gateway.load(asked, path))
    assert len(events(recorded)) == 2


@pytest.mark.parametrize(
    "outcome", [{}, {"name": 1}, {"name": "x", "value": "1"}, {"name": "x", "value": True}, {"name": "x", "arm": "y"}]
)
def test_outcome_that_is_none_is_refused(path, recorded, outcome):
    asked = gateway.read(body("user-1", metadata={"outcome": outcome}))
    with pytest.raises(UsageError, match="an outcome has"):
        gateway.feedback(asked, gateway.load(asked, path))
    assert events(recorded) == []
