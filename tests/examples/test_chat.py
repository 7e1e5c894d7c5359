"""The example application in its own process, against a scripted server and, marked `model`, the embedded model."""

from __future__ import annotations

import itertools
import json
from typing import NamedTuple

import pytest
import serving
from chatting import person, running, say
from inference.faults import Answer, FaultServer, completion, error
from serving import NAME, promoted, put, ramp
from witness import events, unit_of

OLD, NEW = "1.0.0", "1.1.0"
ENV = {"CHAT_PROMPT": NAME, "CHAT_VARIABLE": "ticket"}


def echo(_number, body):
    """What was asked last, and how many messages there were; some questions are too much."""
    asked = body["messages"][-1]["content"]
    if "fail" in asked:
        return error(400)
    return Answer(body=completion(f"{asked} ({len(body['messages'])})"))


class Chat(NamedTuple):
    """A running chat; decisions are numbered, for a snapshot takes no older one."""

    address: str
    path: object
    folder: object
    number: object

    def serve(self, make, *args):
        """Put an entry into the snapshot as the newest decision, and return it."""
        own = make(*args, sequence=next(self.number))
        put(self.path, own)
        return own

    def of(self, told):
        """The events of a reply's conversation and of its user."""
        found = events(self.folder)
        (exposure,) = [event for event in found if event["type"] == "exposure"][-1:]
        return [event for event in found if event["unit"] == exposure["unit"]]


@pytest.fixture(scope="module")
def chat(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chat")
    path = folder / "snapshot.json"
    with FaultServer(echo) as server, running(path, folder / "events", server.url, **ENV) as address:
        # It starts without a snapshot, serves nothing, and needs no restart when there is one.
        with person(address) as client:
            before = client.get("/healthz").status_code, client.post("/chat", json={"text": "x"}).status_code
        assert before == (503, 503)
        yield Chat(address, path, folder / "events", itertools.count(2))


@pytest.mark.parametrize(("arm", "version"), [("canary", NEW), ("baseline", OLD), ("stable", OLD)])
def test_each_arm_gets_its_release_and_leaves_whole_events(chat, arm, version):
    unit = unit_of(arm, chat.serve(ramp, "30%"))
    with person(chat.address, unit) as client:
        told = say(client)
        assert (told["arm"], told["version"], told["turn"]) == (arm, version, 0)
        assert told["reply"] == f"{version}: It broke (1)"
        turn = {"conversation": told["conversation"], "turn": 0}
        assert client.post("/shown", json=turn).status_code == 204
        assert client.post("/thumbs", json={**turn, "up": arm == "canary"}).status_code == 204
    found = chat.of(told)
    assert {event["session"] for event in found} == {found[0]["session"]}
    assert {event["response_id"] for event in found} == {"chatcmpl-1"}
    assert [(event["type"], event.get("name"), event.get("value")) for event in found] == [
        ("exposure", None, None),
        ("outcome", "error", 0),
        ("opportunity", "thumbs", None),
        ("outcome", "thumbs", int(arm == "canary")),
    ]
    assert found[0]["arm"] == arm


def test_conversation_keeps_its_release_and_its_history(chat):
    with person(chat.address, unit_of("stable", chat.serve(ramp, "30%"))) as client:
        first = say(client)
        chat.serve(promoted)
        again = say(client, "And now?", first["conversation"])
        assert (again["conversation"], again["turn"]) == (first["conversation"], 1)
        assert again["reply"] == f"{OLD}: And now? (3)"
        assert say(client)["version"] == NEW


def test_rollback_reaches_the_next_turn(chat):
    with person(chat.address, unit_of("canary", chat.serve(ramp, "30%"))) as client:
        first = say(client)
        assert first["version"] == NEW
        chat.serve(serving.rolled_back)
        assert say(client, "And now?", first["conversation"])["version"] == OLD


def test_somebody_new_gets_a_cookie_and_nobody_judges_what_others_were_told(chat):
    chat.serve(ramp, "30%")
    with person(chat.address) as client, person(chat.address) as other:
        first = say(client)
        assert len(client.cookies["user"]) == 32
        assert say(other, conversation=first["conversation"])["conversation"] != first["conversation"]
        turn = {"conversation": first["conversation"], "turn": 0}
        assert other.post("/thumbs", json={**turn, "up": True}).status_code == 404
        assert client.post("/shown", json={**turn, "turn": 1}).status_code == 404
        assert client.post("/chat", json={"text": ""}).status_code == 422
        assert "<title>Chat</title>" in client.get("/").text


def test_health_tells_of_a_broken_snapshot_which_goes_on_being_served(chat):
    with person(chat.address, unit_of("canary", chat.serve(ramp, "30%"))) as client:
        state = client.get("/healthz").json()
        assert (state["environment"], state["stale"], state["error"], state["version"]) == ("prod", False, None, OLD)
        whole = chat.path.read_bytes()
        chat.path.write_bytes(whole[: len(whole) // 2])
        state = client.get("/healthz")
        assert state.status_code == 200
        assert state.json()["stale"]
        assert "cannot be read" in state.json()["error"]
        assert say(client)["version"] == NEW
        chat.path.write_bytes(whole)
        assert client.get("/healthz").json()["stale"] is False


def test_model_that_fails_is_an_exposure_with_an_error(chat):
    with person(chat.address, unit_of("canary", chat.serve(ramp, "10%"))) as client:
        before = len(events(chat.folder))
        assert client.post("/chat", json={"text": "fail"}).status_code == 502
    exposure, outcome = events(chat.folder)[before:]
    assert (exposure["type"], outcome["name"], outcome["value"]) == ("exposure", "error", 1)
    assert exposure["unit"] == outcome["unit"]


@pytest.mark.model
def test_embedded_model_answers_a_person(embedded, tmp_path):
    own = json.loads(json.dumps(ramp("30%")))
    for one in (own, own["rollout"]["arms"]["canary"]):
        one["arguments"] = {"model": "local", "max_tokens": 8, "temperature": 0.0}
    put(tmp_path / "snapshot.json", own)
    with (
        running(tmp_path / "snapshot.json", tmp_path / "events", embedded.base_url, **ENV) as address,
        person(address) as client,
    ):
        first = say(client, "Say hello.")
        assert first["reply"]
        assert say(client, "Once more.", first["conversation"])["turn"] == 1
    assert len(events(tmp_path / "events", "exposure")) == 2
