"""Snapshot files for tests of the runtime, as a rollout goes through its stages."""

from __future__ import annotations

from promptops.runtime import document
from promptops.runtime.assignment import SLOTS, weight

NAME = "reply"
ID = "3f9a0c71d2be"


def body(version: str) -> dict:
    """One release, whose request says its version."""
    return {
        "version": version,
        "tag": f"prompt/reply@v{version}",
        "digest": f"sha256:{version.replace('.', ''):0>64}",
        "manifest": version,
        "messages": [{"role": "user", "content": f"{version}: {{{{ ticket }}}}"}],
        "includes": {},
        "variables": {"ticket": {"type": "string"}},
        "arguments": {"model": "m"},
    }


def entry(version: str = "1.0.0", sequence: int = 1, rollout: dict | None = None) -> dict:
    """An entry that is served without a rollout, or with one."""
    decision = {"commit": "0" * 40, "sequence": sequence, "action": "promote"}
    return {**body(version), "decision": decision, "rollout": rollout}


def rollout(share: int, other: int | None = None, *, stage: int = 0, scope: str = "immediate", salt: str = ID, **arms):
    """A rollout with these weights; arms that are not given are the stable one."""
    weights = {"canary": share, "baseline": min(share, SLOTS - share) if other is None else other}
    return {
        "id": salt, "stage": stage, "salt": salt, "hash": "sha256-u32/1", "weights": weights, "scope": scope,
        "arms": {"canary": None, "baseline": None, **arms},
    }  # fmt: skip


def ramp(share: str, sequence: int = 2, *, salt: str = ID, new: str = "1.1.0") -> dict:
    """1.0.0 is stable and baseline, and a share gets the canary."""
    return entry("1.0.0", sequence, rollout(weight(share), stage=sequence - 2, salt=salt, canary=body(new)))


def promoted(sequence: int = 9, holdback: str = "2%") -> dict:
    """1.1.0 is stable and canary, and a hold-back keeps 1.0.0."""
    kept = weight(holdback)
    return entry("1.1.0", sequence, rollout(SLOTS - kept, kept, stage=9, baseline=body("1.0.0")))


def rolled_back(sequence: int = 9, scope: str = "immediate") -> dict:
    """1.0.0 is served to everybody; sessions may still hold 1.1.0."""
    return entry("1.0.0", sequence, rollout(0, 0, scope=scope, canary=body("1.1.0")))


def put(path, made: dict, *, created: int = 1000, environment: str = "prod", sign=None) -> bytes:
    """Replace the file as a whole, as ``promptops snapshot`` does."""
    data = document.serialize(environment, created, {NAME: made}, sign=sign)
    new = path.with_name("new")
    new.write_bytes(data)
    new.replace(path)
    return data
