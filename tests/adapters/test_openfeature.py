"""The provider behind the real OpenFeature client."""

from __future__ import annotations

import asyncio

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason
from openfeature.track import TrackingEventDetails
from serving import ID, NAME, promoted, put, ramp
from witness import events, unit_of

from promptops.adapters.openfeature import PromptopsProvider

OLD, NEW = "1.0.0", "1.1.0"
OWN = ramp("30%")


@pytest.fixture
def path(tmp_path):
    put(tmp_path / "snapshot.json", OWN)
    return tmp_path / "snapshot.json"


@pytest.fixture
def client(path, recorded):
    api.set_provider(PromptopsProvider(str(path)), domain="test")
    yield api.get_client(domain="test")
    api.clear_providers()


def context(unit=None, **more):
    return EvaluationContext(unit, {"variables": {"ticket": "It broke"}, **more})


@pytest.mark.parametrize(("arm", "version"), [("canary", NEW), ("baseline", OLD), ("stable", OLD)])
def test_variant_is_the_arm_and_value_the_request(client, arm, version):
    unit = unit_of(arm, OWN)
    found = client.get_object_details(NAME, {}, context(unit))
    assert (found.variant, found.reason, found.error_code) == (arm, Reason.SPLIT, None)
    assert found.value == {"model": "m", "messages": [{"role": "user", "content": f"{version}: It broke"}]}
    assert found.flag_metadata["version"] == version
    assert (found.flag_metadata["rollout"], found.flag_metadata["decision"]) == (ID, 2)
    assert client.get_string_value(NAME, "", context(unit)) == f"{version}: It broke"
    assert asyncio.run(client.get_string_value_async(NAME, "", context(unit))) == f"{version}: It broke"


def test_whoever_is_nobody_gets_the_stable_arm(client):
    found = client.get_object_details(NAME, {}, context())
    assert (found.variant, found.reason) == ("stable", Reason.DEFAULT)


def test_pin_keeps_a_conversation_where_it_began(client, path):
    unit = unit_of("stable", OWN)
    pin = client.get_string_details(NAME, "", context(unit)).flag_metadata["pin"]
    put(path, promoted())
    assert client.get_string_value(NAME, "", context(unit)) == f"{NEW}: It broke"
    kept = client.get_string_details(NAME, "", context(unit, session="s", pin=pin))
    assert (kept.value, kept.reason) == (f"{OLD}: It broke", "STICKY")


def test_default_comes_with_the_reason_why(client):
    ours = context("somebody")
    assert client.get_string_details("no/such", "default", ours).error_code is ErrorCode.FLAG_NOT_FOUND
    wrong = client.get_object_details(NAME, {"d": 1}, EvaluationContext("somebody", {"variables": {"tickets": "x"}}))
    assert (wrong.error_code, wrong.value) == (ErrorCode.INVALID_CONTEXT, {"d": 1})
    assert "no variable tickets" in wrong.error_message
    assert client.get_object_details(NAME, {}, EvaluationContext("x", {"variables": 3})).error_code is (
        ErrorCode.INVALID_CONTEXT
    )
    for ask, default in (
        (client.get_boolean_details, True),
        (client.get_integer_details, 1),
        (client.get_float_details, 1.0),
    ):
        found = ask(NAME, default, ours)
        assert (found.error_code, found.value) == (ErrorCode.TYPE_MISMATCH, default)


def test_evaluation_is_no_exposure_and_tracking_is(client, recorded):
    unit = unit_of("canary", OWN)
    pin = client.get_object_details(NAME, {}, context(unit, session="s")).flag_metadata["pin"]
    assert events(recorded) == []
    about = {"prompt": NAME, "response_id": "r1", "turn": 0, "pin": pin}
    client.track("exposure", context(unit, session="s"), TrackingEventDetails(attributes=about))
    client.track(
        "opportunity", context(unit, session="s"), TrackingEventDetails(attributes={**about, "name": "thumbs"})
    )
    client.track("thumbs", context(unit, session="s"), TrackingEventDetails(1, about))
    exposure, opportunity, outcome = events(recorded)
    assert (exposure["type"], exposure["arm"], exposure["response_id"]) == ("exposure", "canary", "r1")
    assert (opportunity["type"], opportunity["name"]) == ("opportunity", "thumbs")
    assert (outcome["type"], outcome["name"], outcome["value"], outcome["turn"]) == ("outcome", "thumbs", 1, 0)
    assert len({event["unit"] for event in (exposure, opportunity, outcome)}) == 1
