"""A session keeps the release that it began with, until a rollback takes it away."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving import ID, NAME, body, entry, promoted, put, ramp, rolled_back, rollout

from promptops.errors import UsageError
from promptops.runtime import Snapshot, assignment
from promptops.runtime.assignment import SLOTS, weight
from promptops.runtime.sessions import Sessions

UNITS = [f"user-{number}" for number in range(400)]
EARLY = next(unit for unit in UNITS if assignment.slot(ID, unit) < weight("1%"))
LATE = next(unit for unit in UNITS if weight("25%") < assignment.slot(ID, unit) < weight("50%"))
TOP = next(unit for unit in UNITS if assignment.slot(ID, unit) >= SLOTS - weight("1%"))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "snapshot.json"


@pytest.fixture
def opened(path):
    put(path, ramp("1%"))
    return Snapshot(str(path))


def got(resolved):
    return resolved.arm, resolved.version, resolved.reason


def test_arms_serve_their_releases(path, opened):
    found = opened.load(NAME, unit=EARLY)
    assert got(found) == ("canary", "1.1.0", "SPLIT")
    assert (found.rollout, found.stage, found.slot) == (ID, 0, assignment.slot(ID, EARLY))
    assert (found.propensity, found.unit, found.session) == (weight("1%"), EARLY, None)
    assert found.render(ticket="x")["messages"][0]["content"] == "1.1.0: x"
    assert got(opened.load(NAME, unit=TOP)) == ("baseline", "1.0.0", "SPLIT")
    assert got(opened.load(NAME, unit=LATE)) == ("stable", "1.0.0", "SPLIT")
    assert opened.load(NAME, unit=LATE).propensity == SLOTS - 2 * weight("1%")


@pytest.mark.parametrize("unit", [None, ""])
def test_a_request_without_a_unit_is_never_in_the_canary(path, opened, unit):
    put(path, ramp("50%", 3))
    found = opened.load(NAME, unit=unit)
    assert (*got(found), found.slot, found.unit) == ("stable", "1.0.0", "DEFAULT", None, None)


def test_without_a_rollout_everybody_gets_the_stable_release(path):
    put(path, entry("1.0.0"))
    found = Snapshot(str(path)).load(NAME, unit="anybody")
    assert (*got(found), found.slot, found.rollout, found.stage) == ("stable", "1.0.0", "DEFAULT", None, None, None)
    assert found.propensity == SLOTS


def test_a_ramp_never_switches_a_session(path, opened):
    assert got(opened.load(NAME, unit=LATE, session="talk")) == ("stable", "1.0.0", "SPLIT")
    for sequence, share in enumerate(["5%", "25%", "50%"], 3):
        put(path, ramp(share, sequence))
        assert got(opened.load(NAME, unit=LATE, session="talk")) == ("stable", "1.0.0", "STICKY")
    assert got(opened.load(NAME, unit=LATE, session="another")) == ("canary", "1.1.0", "SPLIT")
    # What was stable is the hold-back's now, and the session goes on with it.
    put(path, promoted())
    assert got(opened.load(NAME, unit=LATE, session="talk")) == ("stable", "1.0.0", "STICKY")
    assert opened.load(NAME, unit=LATE, session="talk").render(ticket="x")["messages"][0]["content"] == "1.0.0: x"
    # Nobody keeps it any more.
    put(path, entry("1.1.0", 10))
    assert got(opened.load(NAME, unit=LATE, session="talk")) == ("stable", "1.1.0", "OVERRIDE")
    assert got(opened.load(NAME, unit=LATE, session="talk")) == ("stable", "1.1.0", "STICKY")


def test_a_session_from_before_a_rollout_stays_out_of_it(path):
    put(path, entry("1.0.0", 1))
    opened = Snapshot(str(path))
    opened.load(NAME, unit=EARLY, session="talk")
    put(path, ramp("50%"))
    assert got(opened.load(NAME, unit=EARLY, session="talk")) == ("stable", "1.0.0", "STICKY")
    assert opened.load(NAME, unit=EARLY).arm == "canary"


def test_a_pin_holds_in_another_process_and_through_a_restart(path, opened):
    pin = opened.load(NAME, unit=LATE, session="talk").pin
    put(path, ramp("50%", 3))
    found = Snapshot(str(path)).load(NAME, unit=LATE, session="talk", pin=pin)
    assert got(found) == ("stable", "1.0.0", "STICKY")
    assert found.pin == pin
    assert len(pin) < 100
    assert Snapshot(str(path)).load(NAME, unit=LATE, pin=pin).arm == "stable"


def test_an_immediate_rollback_takes_pins_away_at_once(path, opened):
    pin = opened.load(NAME, unit=EARLY, session="talk").pin
    stable = opened.load(NAME, unit=LATE, session="other").pin
    put(path, rolled_back(3))
    assert got(opened.load(NAME, unit=EARLY, session="talk")) == ("stable", "1.0.0", "OVERRIDE")
    assert got(opened.load(NAME, unit=EARLY, pin=pin)) == ("stable", "1.0.0", "OVERRIDE")
    assert got(opened.load(NAME, unit=LATE, pin=stable)) == ("stable", "1.0.0", "STICKY")
    assert got(opened.load(NAME, unit=EARLY)) == ("stable", "1.0.0", "SPLIT")


def test_a_rollback_for_new_conversations_lets_old_ones_end(path, opened):
    pin = opened.load(NAME, unit=EARLY, session="talk").pin
    put(path, rolled_back(3, "new-conversations"))
    assert got(opened.load(NAME, unit=EARLY, session="talk")) == ("canary", "1.1.0", "STICKY")
    assert got(opened.load(NAME, unit=EARLY, session="more", pin=pin)) == ("canary", "1.1.0", "STICKY")
    assert got(opened.load(NAME, unit=EARLY, session="new")) == ("stable", "1.0.0", "SPLIT")


@pytest.mark.parametrize(("scope", "served"), [("immediate", "1.0.0"), ("new-conversations", "1.1.0")])
def test_a_rollback_after_the_promotion_reaches_those_who_were_stable(path, opened, scope, served):
    put(path, promoted())
    assert opened.load(NAME, unit=LATE, session="talk").version == "1.1.0"
    assert opened.load(NAME, session="anonymous").version == "1.1.0"
    put(path, rolled_back(10, scope))
    assert opened.load(NAME, unit=LATE, session="talk").version == served
    assert opened.load(NAME, session="anonymous").version == served


def test_a_rollback_in_one_step_reaches_every_session(path):
    put(path, entry("1.1.0", 1))
    opened = Snapshot(str(path))
    opened.load(NAME, session="talk")
    put(path, entry("1.0.0", 2))
    assert got(opened.load(NAME, session="talk")) == ("stable", "1.0.0", "OVERRIDE")


def test_a_superseding_rollout_puts_no_running_session_into_its_canary(path, opened):
    pin = opened.load(NAME, unit=EARLY, session="talk").pin
    put(path, ramp("50%", 3, salt="another00000", new="1.2.0"))
    assert got(opened.load(NAME, unit=EARLY, session="talk")) == ("stable", "1.0.0", "OVERRIDE")
    # The same release again, in an arm that this rollout did not assign.
    put(path, ramp("50%", 4, salt="another00000", new="1.1.0"))
    assert got(opened.load(NAME, unit=EARLY, pin=pin)) == ("stable", "1.0.0", "OVERRIDE")


def test_an_old_snapshot_leaves_nobody_in_the_canary(path, caplog):
    put(path, ramp("50%"), created=1000)
    opened = Snapshot(str(path))
    pin = opened.load(NAME, unit=EARLY, session="talk").pin
    opened.max_age = 60
    assert got(opened.load(NAME, unit=EARLY, session="talk")) == ("stable", "1.0.0", "OVERRIDE")
    assert got(opened.load(NAME, unit=EARLY, pin=pin)) == ("stable", "1.0.0", "OVERRIDE")
    assert got(opened.load(NAME, unit=EARLY)) == ("stable", "1.0.0", "DEFAULT")
    assert [record.getMessage().split(": ")[1] for record in caplog.records] == ["everybody gets the stable release"]
    assert opened.stale


@pytest.mark.parametrize("pin", ["x", "1:a:b", "2:-:stable:0", "1:-:other:0", ":::", "\ud800"])
def test_a_pin_that_is_none_is_ignored_and_said_once(opened, caplog, pin):
    for _ in range(3):
        assert got(opened.load(NAME, unit=EARLY, pin=pin)) == ("canary", "1.1.0", "SPLIT")
    assert len(caplog.records) == 1


@pytest.mark.parametrize("given", [{"unit": 7}, {"session": 7}, {"pin": 7}, {"unit": 0}])
def test_what_is_no_text_is_refused(opened, given):
    with pytest.raises(UsageError, match="is int, not str"):
        opened.load(NAME, **given)


def test_a_forged_pin_gives_nothing_that_is_not_served(opened):
    forged = f"1:{ID}:canary:0000000000000000"
    assert got(opened.load(NAME, unit=LATE, pin=forged)) == ("stable", "1.0.0", "OVERRIDE")


@given(st.lists(st.integers(0, 200), max_size=2000))
def test_the_memory_is_bounded_and_keeps_what_is_in_use(keys):
    memory = Sessions(100)
    for key in keys:
        memory.put(("always", "in use"), "kept")
        memory.put((NAME, str(key)), key)
        assert memory.get((NAME, str(key))) == key
        assert memory.get(("always", "in use")) == "kept"
        assert sum(len(each) for each in memory._generations) <= 101


def test_a_forked_process_goes_on_with_the_sessions_and_follows_the_file(path, opened):
    opened.load(NAME, unit=LATE, session="talk")
    # As if another thread were reading the file at this moment.
    assert opened._lock.acquire()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            put(path, ramp("50%", 3))
            found = [opened.load(NAME, unit=LATE, session="talk"), opened.load(NAME, unit=LATE)]
            os.write(writing, " ".join(each.arm for each in found).encode())
        finally:
            os._exit(0)
    opened._lock.release()
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b"stable canary"
    os.waitpid(child, 0)


def test_threads_keep_every_session_while_the_file_changes(path, opened):
    wrong = []

    def talk(number):
        unit, session = UNITS[number], f"talk-{number}"
        first = opened.load(NAME, unit=unit, session=session)
        for _ in range(100):
            found = opened.load(NAME, unit=unit, session=session)
            if (found.arm, found.version) != (first.arm, first.version):
                wrong.append((first.arm, found.arm))

    threads = [threading.Thread(target=talk, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for sequence in range(3, 40):
        put(path, ramp(f"{sequence}%", sequence))
    for thread in threads:
        thread.join()
    assert not wrong


def test_tasks_of_one_loop_are_served_alike(path, opened):
    async def talk(number):
        found = [opened.load(NAME, unit=UNITS[number], session=str(number)).arm]
        await asyncio.sleep(0)
        found.append(opened.load(NAME, unit=UNITS[number], session=str(number)).arm)
        return len(set(found))

    async def everybody():
        return await asyncio.gather(*(talk(number) for number in range(100)))

    assert set(asyncio.run(everybody())) == {1}


def test_the_hold_back_gets_the_old_release(path):
    put(path, promoted(holdback="2%"))
    opened = Snapshot(str(path))
    assert got(opened.load(NAME, unit=TOP)) == ("baseline", "1.0.0", "SPLIT")
    assert got(opened.load(NAME, unit=LATE)) == ("canary", "1.1.0", "SPLIT")
    assert got(opened.load(NAME)) == ("stable", "1.1.0", "DEFAULT")


def test_an_arm_of_its_own_may_differ_in_every_part(path):
    made = body("2.0.0") | {"variables": {"topic": {"type": "string"}}, "arguments": {"model": "other"}}
    made["messages"] = [{"role": "system", "content": "{{ topic }}"}]
    put(path, entry("1.0.0", 2, rollout(weight("50%"), canary=made)))
    assert Snapshot(str(path)).load(NAME, unit=EARLY).render(topic="t") == {
        "model": "other",
        "messages": [{"role": "system", "content": "t"}],
    }
