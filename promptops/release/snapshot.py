"""One file with all that an environment serves, for `promptops.runtime`; only verified releases enter it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops import atomic
from promptops.errors import InputError, PromptopsError, RefusedError
from promptops.release import authority, clone, live, ramp, verify
from promptops.runtime import snapshot as runtime

if TYPE_CHECKING:
    from promptops.release.live import Decision
    from promptops.release.ramp import Arm
    from promptops.repo.git import Git
    from promptops.trust.policy import Trust


class State(NamedTuple):
    """What an environment serves.

    Attributes:
        prompts: entries of a snapshot by prompt name.
        failed: why there is none, or not the one of this clone, by prompt name.
    """

    prompts: dict[str, Any]
    failed: dict[str, PromptopsError]


def build(git: Git, environment: str, *, root: str | None = None) -> State:
    """Return the verified entries of a snapshot, and which decisions and releases do not verify.

    Args:
        git: the repository, opened strictly.
        environment: what is served.
        root: the pinned digest of the policy's first version.

    Raises:
        RefusedError: the policy does not verify.
        PromptopsError: nothing is live there.
    """
    heads = live.heads(git, environment)
    if not heads:
        raise PromptopsError(
            f"nothing is live in {environment} in this clone",
            hint=f"{live.FETCH}; or promptops promote PROMPT --env {environment}",
        )
    trust = clone.newest_trust(git)
    if root is not None:
        trust.verify_chain(root)
    rules = authority.rules(git, trust)
    state = State({}, {})
    for name, oid in sorted(heads.items()):
        try:
            chain = authority.decisions(git, oid, rules, environment=environment, prompt=name)
            state.prompts[name], failed = _entry(git, chain[0], trust)
            if failed:
                state.failed[name] = failed
        except PromptopsError as error:
            state.failed[name] = error
    return state


def _entry(git: Git, decision: Decision, trust: Trust) -> tuple[dict[str, Any], PromptopsError | None]:
    """Return what a decision serves, and why an arm of its rollout was left out.

    Raises:
        PromptopsError: what serves those in no arm does not verify.
    """
    stable = _body(git, ramp.served(decision), decision, trust)
    head = {"decision": {"commit": decision.oid, "sequence": decision.sequence, "action": decision.action}}
    rollout, failed = _rollout(git, decision, trust)
    return {**stable, **head, "rollout": rollout}, failed


def _rollout(git: Git, decision: Decision, trust: Trust) -> tuple[dict[str, Any] | None, PromptopsError | None]:
    """Return the entry's rollout; an arm whose release does not verify gets nobody, and the reason is returned."""
    now = decision.rollout
    lingers = now is not None and decision.action == ramp.ROLLBACK and now.scope == ramp.NEW_CONVERSATIONS
    if now is None or not (now.alive or lingers):
        return None, None
    failed: PromptopsError | None = None
    bodies: dict[str, dict[str, Any] | None] = {}
    weights = dict(zip(("canary", "baseline"), now.weights, strict=True))
    for name, arm in (("canary", now.canary), ("baseline", now.baseline)):
        bodies[name] = None
        if arm == ramp.served(decision) or not (weights[name] or lingers):
            continue
        try:
            bodies[name] = _body(git, arm, decision, trust)
        except PromptopsError as error:
            weights[name], failed = 0, error
    return {
        "id": now.id,
        "stage": now.stage,
        "salt": now.salt,
        "hash": now.hash,
        "weights": weights,
        "scope": now.scope,
        "arms": bodies,
    }, failed


def _body(git: Git, arm: Arm, decision: Decision, trust: Trust) -> dict[str, Any]:
    report = verify.release(git, arm.tag, verify.Options(root=trust.root))
    found, configuration = report.stored, report.configuration
    if not report.good or found is None or configuration is None:
        raise report.error(
            f"{decision.environment} serves {arm.tag}, which does not verify",
            f"promptops rollback {decision.prompt} --env {decision.environment} --reason REASON",
        )
    if (found.oid, found.digest) != (arm.object, arm.manifest):
        raise RefusedError(f"the tag {arm.tag} was moved since it went live in {decision.environment}")
    prompt = configuration.prompt
    return {
        "version": prompt.version,
        "tag": arm.tag,
        "digest": configuration.digest,
        "manifest": found.digest,
        "messages": prompt.messages,
        "includes": configuration.includes,
        "variables": prompt.variables,
        "arguments": configuration.arguments(),
    }


def update(path: str, environment: str, state: State, *, age: int) -> State:
    """Bring a snapshot file up to date by an atomic rename; a symbolic link stays one, and its target is replaced.

    A prompt that failed, or of which the file holds a later decision, keeps what the file holds of it. Then the file
    keeps its time of creation, too: it says since when not everything was verified again.

    Args:
        path: the file.
        environment: what is served.
        state: from `build`.
        age: seconds for which a file with the same content is left alone.

    Returns:
        What was written, nothing where that was not necessary; and every reason to keep an entry or leave one out.

    Raises:
        PromptopsError: there is no such folder, or something else than a file is there.
        OSError: it cannot be written.
    """
    path = os.path.realpath(path)
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise PromptopsError(f"there is no folder {folder}", hint=f"mkdir -p {folder}")
    if os.path.exists(path) and not os.path.isfile(path):
        raise PromptopsError(f"{path} is no regular file", hint="without -o it goes to standard output")
    data, kept, created = _current(path, environment)
    prompts, failed = _merged(state, kept, path)
    now = int(time.time())
    same = runtime.serialize(environment, created, prompts) == data
    if not prompts or (same and (failed or 0 <= now - created < age)):
        return State({}, failed)
    # A closer mode would hide the file from the application's user.
    atomic.write(path, runtime.serialize(environment, created if failed and kept else now, prompts), mode=0o644)
    return State(prompts, failed)


def _merged(state: State, kept: dict[str, Any], path: str) -> State:
    merged = State(dict(state.prompts), dict(state.failed))
    for name, now in kept.items():
        new = state.prompts.get(name)
        if new is not None and new["decision"]["sequence"] >= now["decision"]["sequence"]:
            continue
        merged.prompts[name] = now
        merged.failed.setdefault(
            name,
            RefusedError(
                f"{name}: the snapshot holds decision {now['decision']['sequence']}, this clone an earlier one",
                hint=f"{live.FETCH}; or remove {path} if that is meant",
            ),
        )
    return merged


def _current(path: str, environment: str) -> tuple[bytes, dict[str, Any], int]:
    """Return bytes, entries and time of creation of a good file of this environment, or nothing and 0."""
    try:
        with open(path, "rb") as file:
            data = file.read()
        document = runtime.parse(data)
    except (FileNotFoundError, InputError):
        return b"", {}, 0
    if document["environment"] != environment:
        return b"", {}, 0
    return data, document["prompts"], document["created"]
