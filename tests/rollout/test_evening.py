"""The example application under load on an evening on which everything fails once."""

from __future__ import annotations

import collections
import json
import signal
import subprocess
import threading
import time
from typing import NamedTuple

import pytest
import rolling
from chatting import person, running
from inference.faults import Answer, FaultServer, completion, error
from releasing import start, wait_until
from rolling import NAME
from witness import events

from promptops.runtime import document

OLD, NEW = "Answer the ticket.", "Be brief."
TURNS = 4
MOST = 5000


class Served(NamedTuple):
    """One answer: when it was asked for, its code, and which system message the model was sent."""

    began: float
    code: int
    text: str | None


class Model:
    """A model that repeats the system message, under a number of its own; ``up`` says whether it works."""

    def __init__(self):
        self.up = True

    def __call__(self, number, body):
        if not self.up:
            return error(503)
        told = json.loads(completion(body["messages"][0]["content"]))
        return Answer(body=json.dumps({**told, "id": f"reply-{number}"}).encode())


class People:
    """Threads that talk until they are sent home, after a few turns each as somebody else: any arm gets some of them."""

    def __init__(self, address):
        self.served: list[Served] = []
        self._address = address
        self._home = threading.Event()
        self._threads = []

    def come(self, count):
        """So many more begin to talk."""
        for _ in range(count):
            thread = threading.Thread(target=self._talk, args=(len(self._threads),), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _talk(self, thread):
        with person(self._address) as client:
            conversation = None
            for number in range(MOST):
                if self._home.is_set():
                    return
                began = time.monotonic()
                body = {"text": "It broke", "conversation": conversation if number % TURNS else None}
                who = {"Cookie": f"user=user-{thread}-{number // TURNS}"}
                answer = client.post("/chat", json=body, headers=who)
                told = answer.json() if answer.status_code == 200 else {}
                conversation = told.get("conversation", conversation)
                self.served.append(Served(began, answer.status_code, told.get("reply")))
                self._home.wait(0.1)

    def go(self):
        """Send everybody home and return what they were served."""
        self._home.set()
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive()
        return self.served

    def until(self, count, **wanted):
        """Wait for ``count`` more answers of this kind to requests that begin from now on."""
        since = time.monotonic()

        def matching():
            found = [each for each in list(self.served) if each.began > since]
            return [each for each in found if all(getattr(each, key) == value for key, value in wanted.items())]

        wait_until(lambda: len(matching()) >= count)
        return since


class Evening(NamedTuple):
    """Everything that runs: who decides pushes to a hub, whose live refs another clone follows for the application."""

    repo: object
    hub: object
    file: object
    people: People
    address: str
    model: Model
    watch: object

    def entry(self):
        """What the snapshot says, or None while it is no snapshot."""
        try:
            return document.parse(self.file.read_bytes())["prompts"][NAME]
        except (OSError, document.InputError):
            return None


@pytest.fixture
def evening(ramp_, tmp_path):
    half, whole = ({"share": share, "dwell": "0m", "minimum_units": 100} for share in ("50%", "100%"))
    rolling.planned(ramp_, stages=[half, whole])
    hub, file = tmp_path / "hub.git", tmp_path / "snapshot.json"
    ramp_.git("clone", "-q", "--mirror", ".", str(hub))
    ramp_.git("remote", "add", "origin", str(hub))
    edge = type(ramp_)(tmp_path / "edge", ramp_.home, ramp_.people)
    ramp_.git("clone", "-q", str(hub), str(edge.root))
    options = ("--env", "prod", "-o", str(file), "--remote", "origin", "--watch", "--interval", "0.2")
    watch = start(edge, "snapshot", *options)
    model = Model()
    try:
        wait_until(file.exists)
        env = {"CHAT_PROMPT": NAME, "CHAT_VARIABLE": "ticket"}
        with FaultServer(model) as server, running(file, tmp_path / "events", server.url, **env) as address:
            people = People(address)
            try:
                yield Evening(ramp_, hub, file, people, address, model, watch)
            finally:
                people.go()
    finally:
        watch.send_signal(signal.SIGCONT)
        watch.terminate()
        watch.wait(120)


def test_no_user_meets_a_fault_of_ours_or_a_release_that_was_taken_back(evening, tmp_path):
    people, repo = evening.people, evening.repo
    people.come(3)
    people.until(5, text=OLD)
    one = rolling.started(repo, "--push")
    people.until(5, text=NEW)

    # The model is down: users see it, and it is recorded as what happened to them.
    evening.model.up = False
    people.until(5, code=502)
    evening.model.up = True
    people.until(5, code=200)

    # The engine of the evidence is down: nothing is decided.
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    rolling.rollout(repo, "tick", "--push", "--events", nowhere, code=3)
    assert rolling.newest(repo).action == "start"

    # The snapshot is cut off while nobody mends it: what was good is served on, and the watch mends it later.
    fine = sum(each.code == 200 for each in people.served)
    evening.watch.send_signal(signal.SIGSTOP)
    evening.file.write_bytes(evening.file.read_bytes()[:1000])
    people.until(10, code=200)
    people.until(1, text=NEW)
    with person(evening.address) as client:
        assert client.get("/healthz").json()["stale"]
    evening.watch.send_signal(signal.SIGCONT)
    wait_until(lambda: evening.entry() is not None)

    # The remote is gone when harm becomes known, and the controller is killed while it tries: no half decision.
    source = rolling.events(tmp_path / "evidence", one, harm=0.4)
    gone = evening.hub.rename(tmp_path / "gone.git")
    run = ("rollout", "run", "--env", "prod", "--push", "--interval", "1", "--events", source)
    controller = start(repo, *run, stderr=subprocess.PIPE)
    assert controller.stderr.readline() != ""
    controller.kill()
    controller.communicate(timeout=120)
    assert rolling.newest(repo).action == "start"
    people.until(3, text=NEW)

    # It comes back, in a spike of traffic; a new controller takes the release back.
    gone.rename(evening.hub)
    people.come(6)
    controller = start(repo, *run)
    wait_until(lambda: (evening.entry() or {"decision": {"action": ""}})["decision"]["action"] == "rollback")
    # The file holds the rollback: whoever asks from now on gets the old prompt, in old conversations, too.
    since = people.until(60, code=200)
    controller.terminate()
    controller.wait(120)
    served = people.go()
    after = [each for each in served if each.began > since]
    assert {(each.code, each.text) for each in after} == {(200, OLD)}
    codes = collections.Counter(each.code for each in served)
    assert codes.keys() == {200, 502}
    assert fine > 0
    check_events(evening, tmp_path / "events", codes)


def check_events(evening, folder, codes):
    """Each request that was answered or failed has one exposure and one outcome, and what was recorded is in order."""
    replies = collections.Counter(event["response_id"] for event in events(folder, "exposure"))
    failed = replies.pop(None)
    assert (set(replies.values()), len(replies), failed) == ({1}, codes[200], codes[502])
    outcomes = events(folder, "outcome")
    assert {event["response_id"] for event in outcomes if event["value"] == 0} == replies.keys()
    assert sum(event["value"] for event in outcomes) == failed
    taken_back = rolling.newest(evening.repo)
    assert (taken_back.action, evening.entry()["decision"]["sequence"]) == ("rollback", taken_back.sequence)
    later = [event for event in events(folder, "exposure") if event["decision"] >= taken_back.sequence]
    assert later
    assert {event["release"] for event in later} == {evening.entry()["digest"]}
    done = evening.repo.promptops("telemetry", "check", str(folder), check=None)
    assert done.returncode == 0, done.stdout + done.stderr
