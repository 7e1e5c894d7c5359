"""What an application serves while the decisions of a real rollout arrive in its snapshot."""

from __future__ import annotations

import pytest
from rolling import NAME, back, begin, by_hand, rollout, snapshot

from promptops.release import ramp
from promptops.runtime import assignment
from promptops.runtime.assignment import SLOTS, weight


def unit_between(salt, low, high):
    return next(str(n) for n in range(10_000) if low <= assignment.slot(salt, str(n)) < high)


def got(served, unit, session=None):
    found = served.load(NAME, unit=unit, session=session)
    assert found.render(ticket="x")["messages"]
    return found.arm, found.version, found.reason


def test_sessions_keep_their_release_through_the_stages_and_lose_it_by_a_rollback(ramp_):
    salt = begin(ramp_)
    served = snapshot(ramp_)
    first = unit_between(salt, 0, weight("5%"))
    later = unit_between(salt, weight("5%"), weight("50%"))
    top = unit_between(salt, SLOTS - weight("5%"), SLOTS)
    assert got(served, first, "a") == ("canary", "1.1.0", "SPLIT")
    assert got(served, later, "b") == ("stable", "1.0.0", "SPLIT")
    assert got(served, top, "c") == ("baseline", "1.0.0", "SPLIT")
    assert (served.load(NAME, unit=first).rollout, served.load(NAME, unit=first).stage) == (salt, 0)
    for new in ("canary", "canary"):
        by_hand(ramp_, ramp.OVERRIDE)
        snapshot(ramp_)
        assert got(served, first, "a") == ("canary", "1.1.0", "STICKY")
        assert got(served, later, "b") == ("stable", "1.0.0", "STICKY")
        assert got(served, top, "c") == ("baseline", "1.0.0", "STICKY")
        assert got(served, later)[:2] == (new, "1.1.0")
    assert served.load(NAME).version == "1.1.0"
    back(ramp_)
    snapshot(ramp_)
    assert got(served, first, "a") == ("stable", "1.0.0", "OVERRIDE")
    assert {got(served, unit)[1] for unit in (first, later, top, None)} == {"1.0.0"}


@pytest.mark.parametrize(("scope", "kept"), [("immediate", "1.0.0"), ("new-conversations", "1.1.0")])
def test_the_scope_of_a_rollback_decides_about_running_conversations(ramp_, scope, kept):
    salt = begin(ramp_)
    served = snapshot(ramp_)
    unit = unit_between(salt, 0, weight("5%"))
    pin = served.load(NAME, unit=unit, session="a").pin
    rollout(ramp_, "rollback", "--scope", scope)
    snapshot(ramp_)
    assert served.load(NAME, unit=unit, session="a").version == kept
    assert served.load(NAME, unit=unit, pin=pin).version == kept
    assert served.load(NAME, unit=unit, session="b").version == "1.0.0"
