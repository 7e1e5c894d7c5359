"""Several who decide at once, and everything around them failing: no wrong weight, no lost decision, a rollback wins."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import rolling
from faulting import ALL
from rolling import (
    DAY_MS,
    NAME,
    REF,
    back,
    begin,
    decisions,
    desk,
    events,
    forge,
    newest,
    rollout,
    tick,
    verified,
)

from promptops.errors import PromptopsError, RefusedError
from promptops.release import ramp
from promptops.repo.git import Git
from promptops.rollout import controller

ROUNDS = 20 if ALL else 3


def server_of(repo, *, hook=False):
    """A bare remote of a repository, ``origin``, with every ref; its hook judges pushes where that is asked for."""
    remote = repo.clone(repo.root.parent / "server.git", "--mirror")
    if hook:
        remote.promptops("hook", "install", "--server")
    repo.git("remote", "add", "origin", str(remote.root))
    repo.git("fetch", "-q", "origin")
    return remote


def other_clone(repo, name="other"):
    """Another clone, whose remote is the same."""
    other = repo.clone(repo.root.parent / name)
    other.git("remote", "set-url", "origin", repo.git("remote", "get-url", "origin"))
    other.git("fetch", "-q", "--tags", "origin", "+refs/promptops/*:refs/promptops/*")
    return other


def at_once(*calls):
    """Begin all calls together, each in a thread of its own, and return what each came to."""
    barrier, results = threading.Barrier(len(calls)), [None] * len(calls)

    def run(index, call):
        barrier.wait()
        try:
            results[index] = call()
        except PromptopsError as error:
            results[index] = error

    threads = [threading.Thread(target=run, args=each) for each in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def turned_back(repos, oid, one):
    """Put both refs of every repository back to one decision."""
    for repo in repos:
        for ref in (REF, f"refs/promptops/rollouts/prod/{NAME}/{one}"):
            repo.git("update-ref", ref, oid)


def test_rollback_wins_over_an_advance_whoever_is_first(ramp_, tmp_path):
    remote = server_of(ramp_)
    one = begin(ramp_, remote="origin")
    other = other_clone(ramp_)
    source = events(tmp_path / "events", one, units=400)
    start = newest(ramp_).oid
    orders = set()
    for number in range(ROUNDS):
        turned_back((ramp_, other, remote), start, one)
        with desk(ramp_, remote="origin") as place:
            at_once(
                lambda: tick(other, source, by="bob", remote="origin"),
                lambda place=place, number=number: (
                    time.sleep(0.02 * (number % 5)),
                    controller.roll_back(place, NAME, "prod", reason="it flatters", tell=lambda _: None),
                ),
            )
        last = newest(remote)
        assert (last.action, last.rollout.weights) == ("rollback", (0, 0))
        orders.add(tuple(each.action for each in decisions(remote)[:-2]))
        for repo in (ramp_, other):
            assert newest(repo).oid in {each.oid for each in decisions(remote)}
        assert remote.git("rev-parse", REF) == remote.git("rev-parse", f"refs/promptops/rollouts/prod/{NAME}/{one}")
    assert orders <= {("rollback",), ("rollback", "advance"), ("rollback", "promote", "advance")}
    assert verified(remote) == []


def test_two_controllers_write_one_decision(ramp_, tmp_path):
    remote = server_of(ramp_)
    one = begin(ramp_, remote="origin")
    other = other_clone(ramp_)
    source = events(tmp_path / "events", one, units=400)
    found = at_once(*(lambda repo=repo: tick(repo, source, remote="origin") for repo in (ramp_, other)))
    # The second read again, and found nothing to go on with but what its new stage lacks.
    assert [each for each in found if isinstance(each, Exception)] == []
    assert [each.action for each in decisions(remote)].count("advance") == 1
    assert verified(remote) == []


def test_decision_that_the_remote_never_heard_of_is_pushed_by_the_next_look(ramp_, tmp_path):
    remote = server_of(ramp_)
    one = begin(ramp_)
    source = events(tmp_path / "events", one, units=20)
    tick(ramp_, source, remote="origin")
    assert newest(remote).oid == newest(ramp_).oid
    assert remote.git("rev-parse", REF) == remote.git("rev-parse", f"refs/promptops/rollouts/prod/{NAME}/{one}")


def test_remote_that_is_gone_loses_no_decision_and_moves_nobody(ramp_, tmp_path):
    remote = server_of(ramp_)
    one = begin(ramp_, remote="origin")
    source = events(tmp_path / "events", one, units=400)
    away = remote.root.rename(remote.root.with_name("away.git"))
    with pytest.raises(PromptopsError, match="origin"):
        tick(ramp_, source, remote="origin")
    assert newest(ramp_).action == "start"
    away.rename(remote.root)
    assert tick(ramp_, source, remote="origin").decision.action == "advance"


def test_clones_that_decided_apart_are_told_and_nothing_is_overwritten(ramp_, tmp_path):
    remote = server_of(ramp_)
    one = begin(ramp_, remote="origin")
    other = other_clone(ramp_)
    source = events(tmp_path / "events", one, units=20)
    tick(ramp_, source)
    rolling.by_hand(other, ramp.PAUSE, remote="origin")
    with pytest.raises(RefusedError, match="decided differently"):
        tick(ramp_, source, remote="origin")
    assert (newest(remote).action, newest(ramp_).action) == ("pause", "hold")


def test_engine_that_is_down_never_goes_on_and_goes_back_only_late(ramp_, tmp_path):
    begin(ramp_)
    look = tick(ramp_, tmp_path / "nothing")
    assert (look.decision, "no events" in look.failure.message) == (None, True)
    assert rollout(ramp_, "tick", "--events", str(tmp_path / "nothing"), code=3).stdout
    assert newest(ramp_).action == "start"


def test_engine_that_breaks_after_proof_does_not_take_the_step(ramp_, tmp_path, monkeypatch):
    one = begin(ramp_)
    source = events(tmp_path / "events", one, units=400)
    assert tick(ramp_, source, dry_run=True).verdict.action == "advance"
    look = tick(ramp_, tmp_path / "nothing")
    assert (look.decision, look.verdict.action) == (None, "advance")
    # What was seen last is too old by and by, and what is too old freezes.
    monkeypatch.setattr(time, "time", lambda clock=time.time: clock() + 5 * 86_400)
    look = tick(ramp_, tmp_path / "nothing")
    assert (look.decision.action, look.decision.rollout.state) == ("hold", "frozen")
    monkeypatch.setattr(time, "time", lambda clock=time.time: clock() + 2 * 86_400)
    assert tick(ramp_, tmp_path / "nothing").decision.action == "rollback"
    assert verified(ramp_) == []


@pytest.mark.parametrize("hours", [-1, 1])
def test_clock_an_hour_off_changes_no_decision(ramp_, tmp_path, monkeypatch, hours):
    one = begin(ramp_)
    start = newest(ramp_)
    source = events(tmp_path / "events", one, units=20, days=2)
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + 3600 * hours + (30 if hours < 0 else 0))
    look = tick(ramp_, source)
    assert look.at >= start.time
    # Nothing of a day counts before something was seen to happen after it, whatever the clock says.
    assert look.evidence.watermark // DAY_MS <= look.evidence.quality.latest // DAY_MS
    monkeypatch.undo()
    assert newest(ramp_).time <= tick(ramp_, source).at
    assert verified(ramp_) == []


def test_clock_that_is_far_behind_decides_nothing_but_a_rollback(ramp_, tmp_path, monkeypatch):
    one = begin(ramp_)
    at = newest(ramp_).time
    source = events(tmp_path / "events", one, units=400)
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() - 7200)
    with pytest.raises(PromptopsError, match="hours behind"):
        tick(ramp_, source)
    assert back(ramp_).time == at


def test_hook_takes_the_whole_way_and_no_forged_step(ramp_, tmp_path):
    rolling.roles(ramp_, override=["bob"])
    remote = server_of(ramp_, hook=True)
    one = begin(ramp_, remote="origin")
    source = events(tmp_path / "events", one, units=400)
    good = tick(ramp_, source, remote="origin").decision
    own = f"refs/promptops/rollouts/prod/{NAME}/{one}"
    assert remote.git("rev-parse", own) == good.oid

    def refused(*refs):
        with Git(str(ramp_.root)) as git:
            said = git.try_run("push", "--atomic", "origin", *(f"+{ref}" for ref in refs)).stderr.decode()
        assert newest(remote).oid == good.oid, said
        for ref in (REF, own):
            ramp_.git("update-ref", ref, good.oid)
        return said

    wide = {"stage": 2, "share": "100%", "state": "promoted", "weights": (2**32 - 2**32 // 20, 2**32 // 20)}
    forge(ramp_, action="promote", since=good.time, serves=good.rollout.canary, **wide)
    assert "does not prove" in refused(REF, own)
    evidence = json.loads(ramp_.git("cat-file", "blob", f"{good.oid}:evidence.json"))
    lied = {**evidence, "exposed": [{**row, "canary": 10 * row["canary"]} for row in evidence["exposed"]]}
    forge(ramp_, evidence=lied, verdict=dict(good.rollout.verdict))
    assert "rules say" in refused(REF, own)
    forge(ramp_, verdict=None, reasons=("by hand",))
    assert "states no verdict" in refused(REF, own)
    forge(ramp_, action="pause", verdict=None, evidence=None, state="paused", at=good.time + 7200)
    assert "server's clock" in refused(REF, own)
    forge(ramp_, action="pause", verdict=None, state="paused")
    assert "does not come with it" in refused(REF)
    assert back(ramp_, remote="origin").action == "rollback"
    assert newest(remote).action == "rollback"


@pytest.mark.parametrize("file", ["evidence.json", "plan.json", "decision.json"])
def test_tampered_file_is_found_by_everybody(ramp_, tmp_path, file):
    one = begin(ramp_)
    tick(ramp_, events(tmp_path / "events", one, units=400))
    good = newest(ramp_)
    payload = ramp_.git("cat-file", "commit", good.oid)
    data = (
        ramp_.git("cat-file", "blob", f"{good.oid}:{file}")
        .replace("400", "401")
        .replace("0.1", "0.2")
        .replace("running", "frozen")
    )
    blob = ramp_.git("hash-object", "-w", "--stdin", stdin=data)
    tree = ramp_.git("ls-tree", good.oid)
    rows = [row if not row.endswith(f"\t{file}") else f"100644 blob {blob}\t{file}" for row in tree.splitlines()]
    made = ramp_.git("mktree", stdin="\n".join(rows) + "\n")
    changed = payload.replace(payload.split()[1], made) + "\n"
    ramp_.git("update-ref", REF, ramp_.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=changed))
    assert ramp_.promptops("snapshot", "--env", "prod", check=1).stderr
    assert len(verified(ramp_)) == 1


def test_webhook_is_told_and_its_failure_stops_nothing(ramp_, tmp_path):
    heard = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    rolling.planned(ramp_, notify={"webhook_env": "HOOK", "on": ["start", "rollback"]})
    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/secret"
        rollout(ramp_, "start", HOOK=address)
        rollout(ramp_, "pause", HOOK=address)
        server.shutdown()
    done = rollout(ramp_, "rollback", HOOK=address)
    assert [(each["action"], each["prompt"]) for each in heard] == [("start", NAME)]
    assert "nobody was notified" in done.stderr
    assert "secret" not in done.stderr
    assert newest(ramp_).action == "rollback"


def test_watch_serves_the_old_prompt_from_the_decision_on(ramp_, tmp_path):
    import releasing

    one = begin(ramp_)
    path = ramp_.root.parent / "snapshot.json"
    words = ("--env", "prod", "-o", str(path), "--watch", "--interval", "0.1")
    running = releasing.start(ramp_, "snapshot", *words)
    try:
        releasing.wait_until(lambda: path.exists() or running.poll() is not None)
        entry = json.loads(path.read_text())["prompts"][NAME]
        assert entry["rollout"]["weights"]["canary"]
        tick(ramp_, events(tmp_path / "events", one, harm=0.5))

        def served():
            now = json.loads(path.read_text())["prompts"][NAME]
            return now["decision"]["action"] == "rollback"

        releasing.wait_until(lambda: served() or running.poll() is not None)
        assert running.poll() is None
        assert json.loads(path.read_text())["prompts"][NAME]["rollout"] is None
    finally:
        running.terminate()
        running.wait()


def test_status_and_history_tell_where_it_stands(ramp_, tmp_path):
    one = begin(ramp_)
    source = events(tmp_path / "events", one, units=20)
    tick(ramp_, source)
    shown = json.loads(ramp_.cli("rollout", "status", NAME, "--env", "prod", "--events", source, "--json").out)
    assert (shown[0]["rollout"]["id"], shown[0]["verdict"]["action"]) == (one, "hold")
    assert one in ramp_.cli("rollout", "status", "--env", "prod", "--events", source).out
    rows = json.loads(ramp_.cli("rollout", "history", NAME, "--env", "prod", "--json").out)
    assert [row["action"] for row in rows] == ["hold", "start", "promote"]
    assert one in ramp_.cli("rollout", "history", NAME, "--env", "prod").out
    assert "0 do not hold" in ramp_.cli("rollout", "verify", NAME, "--env", "prod").out


def test_run_looks_again_until_it_is_ended(ramp_, tmp_path):
    import releasing

    one = begin(ramp_)
    folder = tmp_path / "events"
    running = releasing.start(ramp_, "rollout", "run", "--env", "prod", "--interval", "1", "--events", str(folder))
    try:
        events(folder, one, units=400)
        releasing.wait_until(lambda: newest(ramp_).rollout.stage == 1 or running.poll() is not None)
        assert running.poll() is None
    finally:
        running.terminate()
        running.wait()
    assert verified(ramp_) == []
