"""Rollouts in real repositories: a project with two releases and a plan, and events of users who liked it or did not."""

from __future__ import annotations

import contextlib
import json
import time

import releasing
import reviewing
from support import prompt

from promptops.registry import canonical
from promptops.release import live, ramp, serving, stepping
from promptops.repo.git import Git
from promptops.rollout import controller
from promptops.rollout import decisions as steps
from promptops.runtime import Snapshot

NAME = "support/reply"
REF = f"refs/promptops/live/prod/{NAME}/HEAD"
DAY_MS = 86_400_000
PLAN = {
    "version": 1,
    "stages": [
        {"share": "5%", "dwell": "0m", "minimum_units": 100},
        {"share": "50%", "dwell": "0m", "minimum_units": 100},
        {"share": "100%", "dwell": "0m"},
    ],
    "holdback": "5%",
    "burn_in": 100,
    "target_units": 1000,
    "metrics": [
        {
            "name": "abuse", "role": "guardrail", "direction": "lower", "aggregate": "any", "missing": "zero",
            "window": "1d", "margin": 0.1, "critical": True,
        },
    ],
}  # fmt: skip


def planned(repo, **members):
    """Put a plan on main."""
    repo.write(f"rollouts/{NAME}.yaml", json.dumps(PLAN | members))
    repo.commit("Plan")


def ready(repo):
    """Make 1.0.0 live for everybody, and plan how 1.1.0 follows."""
    planned(repo)
    repo.promptops("promote", f"{NAME}@1.0.0", "--env", "prod", "--reason", "first")


def rollout(repo, command, *args, code=0, by="alice", **env):
    """Run ``promptops rollout COMMAND`` about the prompt in prod, and return the process."""
    reason = () if command in {"tick", "advance", "status", "verify", "history"} else ("--reason", "because")
    return repo.promptops("rollout", command, NAME, "--env", "prod", *reason, *args, by=by, check=code, **env)


def started(repo, *args, **keys) -> str:
    """Start the rollout and return its id."""
    return json.loads(rollout(repo, "start", "--json", *args, **keys).stdout)["rollout"]["id"]


def decisions(repo):
    """The chain, newest first."""
    with Git(str(repo.root)) as git:
        head = live.heads(git, "prod")[NAME]
        return live.chain(git, head, environment="prod", prompt=NAME)


def newest(repo):
    return decisions(repo)[0]


def events(folder, rollout, *, units=300, harm=0.0, stage=0, days=4, prefix=""):
    """Write what ``units`` in each arm did ``days`` ago and since: a share ``harm`` of the canary's complains.

    The clock is the real one, so what is to count by now lies in the past.
    """
    now = int(time.time() * 1000)
    begin = now - days * DAY_MS
    rows = []

    def add(kind, ts, unit, **more):
        rows.append(
            {"v": 1, "type": kind, "event_id": f"{prefix}{len(rows):06d}", "ts": ts, "env": "prod", "prompt": NAME,
             "unit": unit, "session": "s", **more}
        )  # fmt: skip

    for number in range(units):
        for arm in ("canary", "baseline"):
            unit = f"{prefix}{arm}{number}"
            ts = begin + number
            add("exposure", ts, unit, rollout=rollout, stage=stage, arm=arm, slot=0, reason="SPLIT", shadow=False)
            if arm == "canary" and number < harm * units:
                add("outcome", ts + 1, unit, name="abuse", value=1.0)
            elif number % 50 == 0:
                add("outcome", ts + 1, unit, name="abuse", value=0.0)
    # Somebody was there since, so that the days before are over.
    for ago in range(days):
        add("outcome", now - ago * DAY_MS - 1_200_000, f"{prefix}canary0", name="abuse", value=0.0)
    folder.mkdir(exist_ok=True)
    (folder / f"{prefix or 'events'}{stage}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(folder)


def snapshot(repo, code=0) -> Snapshot:
    """Write what prod serves as an application reads it."""
    path = repo.root.parent / "snapshot.json"
    repo.promptops("snapshot", "--env", "prod", "-o", str(path), check=code)
    return Snapshot(str(path))


def third(repo, version="1.2.0"):
    """Release one more version."""
    repo.write(releasing.PROMPT, prompt(f"Text of {version}.", version=version))
    repo.commit("More")
    repo.promptops("release", "--no-canary", "tested by hand")


@contextlib.contextmanager
def desk(repo, by="alice", remote=None):
    """The desk of somebody, inside this process."""
    with Git(str(repo.root)) as git:
        place = serving.desk(git, key=str(repo.key(by)), push=remote is not None, remote=remote)
        yield place


def tick(repo, source, by="alice", remote=None, **order):
    """Look once, inside this process."""
    with desk(repo, by, remote) as place:
        return controller.tick(place, NAME, "prod", controller.Order(str(source), **order))


def begin(repo, by="alice", remote=None, **wish) -> str:
    """Start the rollout inside this process, and return its id."""
    told = []
    with desk(repo, by, remote) as place:
        start = steps.Start(**{"version": None, "supersedes": None, "reason": "because"} | wish)
        steps.start(place, NAME, "prod", start, tell=told.append)
    return told[0].rollout.id


def by_hand(repo, action, by="alice", remote=None):
    """Pause, resume or override inside this process."""
    with desk(repo, by, remote) as place:
        steps.by_hand(place, NAME, "prod", action, reason="because", tell=lambda _: None)


def back(repo, by="alice", remote=None, **keys):
    """Roll back inside this process."""
    with desk(repo, by, remote) as place:
        return serving.rollback(place, NAME, "prod", version=None, reason="it flatters", **keys)


def roles(repo, **members):
    """Change who has which role, by a new version of the policy."""
    text = repo.read(".promptops/policy.yaml").replace("version: 1\n", "version: 2\n")
    for role, names in members.items():
        text = text.replace(f"{role}: [alice, bob]", f"{role}: [{', '.join(names)}]")
    reviewing.new_policy(repo, text)


def forge(repo, by="alice", *, action=None, evidence=None, plan=None, before=None, at=None, serves=None, **changes):
    """Put a step of any content at the head of the chain, on both refs, signed by somebody."""
    with desk(repo, by) as place:
        last = before or live.read(place.git, live.heads(place.git, "prod")[NAME])
        files = {"plan.json": plan or live.plan_of(place.git, last)}
        if evidence is not None:
            files["evidence.json"] = evidence
            changes = {"evidence": canonical.sha256(evidence), **changes}
        now = last.rollout._replace(**{"evidence": None, **changes})
        return stepping.record(
            place,
            last,
            action or ramp.HOLD,
            now,
            serves=serves or ramp.served(last),
            reason="forged",
            at=at or last.time,
            files=files,
        )


def verified(repo) -> list[dict]:
    """What ``rollout verify`` says of each decision that does not hold, and its exit code must agree."""
    done = repo.cli("rollout", "verify", NAME, "--env", "prod", "--json")
    bad = [row for row in json.loads(done.out) if not row["ok"]]
    assert bool(bad) == bool(done.code), done
    return bad
