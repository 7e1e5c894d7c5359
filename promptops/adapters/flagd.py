"""What an environment serves, as flags of flagd: other languages share our slots instead of flagd's own hash.

flagd's bucketing changed three times; ours is frozen (`promptops.runtime.assignment`). So the file compares a slot
that the caller passes in the context, and flagd hashes nothing. Whoever passes none gets the stable arm: JsonLogic
takes null for 0, which would put all anonymous traffic into the canary, hence the bounds on both sides.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from promptops import atomic
from promptops.errors import PromptopsError
from promptops.runtime.assignment import BASELINE, CANARY, SLOTS, STABLE, slot

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = "https://flagd.dev/schema/v0/flags.json"
_SLOT = {"var": ["promptops.slot", -1]}
_BODY = ("version", "tag", "digest", "messages", "includes", "variables", "arguments")


def document(environment: str, prompts: Mapping[str, Any]) -> dict[str, Any]:
    """Return a flag file of flagd, with one object flag per prompt.

    A flag's variants are the arms; a variant's value is what a snapshot holds of the release. Metadata of the flag say
    what the slot is made from: ``salt`` and ``hash``.

    Args:
        environment: becomes the id of the flag set.
        prompts: entries of a snapshot (format 2) by name.
    """
    return {
        "$schema": SCHEMA,
        "metadata": {"flagSetId": environment},
        "flags": {name: _flag(entry) for name, entry in prompts.items()},
    }


def serialize(environment: str, prompts: Mapping[str, Any], before: bytes = b"") -> bytes:
    """Return the bytes of the file of `document`, with the flags of ``before`` that are newer or have no successor.

    So a release that stops verifying, or a clone that was put back, changes nothing, as with a snapshot.

    Args:
        environment: becomes the id of the flag set.
        prompts: entries of a snapshot (format 2) by name.
        before: what the file held; what cannot be read, or is of another environment, counts for nothing.
    """
    made = document(environment, prompts)
    flags = made["flags"]
    for name, old in _flags(before, environment).items():
        if name not in flags or old["metadata"]["decision"] > flags[name]["metadata"]["decision"]:
            flags[name] = old
    return json.dumps(made, ensure_ascii=False, indent=1).encode() + b"\n"


def write(path: str, environment: str, prompts: Mapping[str, Any]) -> bool:
    """Bring a flag file up to date by an atomic rename, and return whether anything changed.

    A symbolic link stays one, and its target is replaced.

    Raises:
        PromptopsError: there is no such folder, or something else than a file is there.
        OSError: it cannot be written.
    """
    path = os.path.realpath(path)
    if not os.path.isdir(os.path.dirname(path)) or (os.path.exists(path) and not os.path.isfile(path)):
        raise PromptopsError(f"{path} is no regular file, or its folder is missing", hint="-o FILE")
    before = b""
    if os.path.exists(path):
        with open(path, "rb") as file:
            before = file.read()
    data = serialize(environment, prompts, before)
    if data == before:
        return False
    # flagd may run as another user.
    atomic.write(path, data, mode=0o644)
    return True


def _flags(data: bytes, environment: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
        own = {name: flag for name, flag in value["flags"].items() if isinstance(flag["metadata"]["decision"], int)}
        return own if value["metadata"]["flagSetId"] == environment else {}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def context(entry: Mapping[str, Any], unit: str | None) -> dict[str, Any]:
    """Return the context attributes with which a unit is to be evaluated; none without a unit or without a rollout.

    Args:
        entry: of a snapshot (format 2).
        unit: identifier of the user, as `promptops.load` takes it.
    """
    rollout = entry.get("rollout")
    if rollout is None or unit is None:
        return {}
    return {"promptops": {"slot": slot(rollout["salt"], unit)}}


def _flag(entry: Mapping[str, Any]) -> dict[str, Any]:
    stable = {key: entry[key] for key in _BODY}
    rollout = entry.get("rollout")
    metadata = {"digest": entry["digest"], "version": entry["version"], "decision": entry["decision"]["sequence"]}
    flag: dict[str, Any] = {"state": "ENABLED", "defaultVariant": STABLE, "variants": {STABLE: stable}}
    if rollout is not None:
        for arm in (CANARY, BASELINE):
            body = rollout["arms"][arm]
            flag["variants"][arm] = stable if body is None else {key: body[key] for key in _BODY}
        flag["targeting"] = _targeting(rollout["weights"])
        metadata |= {"rollout": rollout["id"], "salt": rollout["salt"], "hash": rollout["hash"]}
    return {**flag, "metadata": metadata}


def _targeting(weights: Mapping[str, int]) -> dict[str, Any]:
    """The inequalities of `assignment.arm`; a slot out of range, or none, matches nothing and so gets the default."""
    return {
        "if": [
            {"and": [{">=": [_SLOT, 0]}, {"<": [_SLOT, weights["canary"]]}]},
            CANARY,
            {"and": [{">=": [_SLOT, SLOTS - weights["baseline"]]}, {"<": [_SLOT, SLOTS]}]},
            BASELINE,
            {"and": [{">=": [_SLOT, 0]}, {"<": [_SLOT, SLOTS]}]},
            STABLE,
        ]
    }
