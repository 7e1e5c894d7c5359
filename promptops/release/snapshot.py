"""One file with all that an environment serves, for `promptops.runtime`; only verified releases enter it."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops import atomic
from promptops.errors import InputError, PromptopsError, RefusedError
from promptops.release import authority, clone, live, ramp, verify
from promptops.runtime import document as runtime
from promptops.trust import signers, sshsig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


def update(
    path: str, environment: str, state: State, *, age: int, confirmed: bool = True, key: str | None = None
) -> State:
    """Bring a snapshot file up to date by an atomic rename; a symbolic link stays one, and its target is replaced.

    A prompt that failed, or of which the file holds a later decision, keeps what the file holds of it. Then the file
    keeps its time of creation, too: it says since when not everything was verified again. Who else updates a file of
    the same folder waits meanwhile.

    Args:
        path: the file.
        environment: what is served.
        state: from `build`.
        age: seconds for which a file with the same content is left alone.
        confirmed: whether the remote that is followed said so just now; else the file keeps its time of creation, and
            a new file has the time 0.
        key: what to sign it with, as `sshsig.sign` takes it; then nothing is kept of a file that this key did not sign.

    Returns:
        What was written, nothing where that was not necessary; and every reason to keep an entry or leave one out.

    Raises:
        PromptopsError: there is no such folder, or something else than a file is there, or it cannot be signed.
        OSError: it cannot be written.
    """
    path = os.path.realpath(path)
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise PromptopsError(f"there is no folder {folder}", hint=f"mkdir -p {folder}")
    if os.path.exists(path) and not os.path.isfile(path):
        raise PromptopsError(f"{path} is no regular file", hint="without -o it goes to standard output")
    with _alone(folder):
        covered, kept, created = _current(path, environment, key)
        prompts, failed = _merged(state, kept, path)
        now = int(time.time())
        same = runtime.payload(environment, created, prompts) == covered
        if not prompts or (same and (failed or not confirmed or 0 <= now - created < age)):
            return State({}, failed)
        time_of = created if not confirmed or (failed and kept) else now
        # A closer mode would hide the file from the application's user.
        atomic.write(path, runtime.serialize(environment, time_of, prompts, sign=signing(key)), mode=0o644)
    return State(prompts, failed)


def signing(key: str | None) -> Callable[[bytes], bytes] | None:
    """Return what signs a snapshot with a key, or None without one."""
    return None if key is None else lambda data: sshsig.sign(data, key, sshsig.SNAPSHOT)


@contextlib.contextmanager
def _alone(folder: str) -> Iterator[None]:
    """Let no two processes read and write at once: the one that looked earlier would put an older decision back.

    The system gives the lock up when the process ends, however it ends, and no file is left.
    """
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        # Some network file systems have no locks: then readers still refuse what went back.
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


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


def _current(path: str, environment: str, key: str | None) -> tuple[bytes, dict[str, Any], int]:
    """Return signed bytes, entries and time of creation of a good file of this environment, or nothing and 0."""
    try:
        with open(path, "rb") as file:
            found = runtime.read(file.read())
        if key is not None:
            _check_own(found, key)
    except (FileNotFoundError, InputError, RefusedError):
        return b"", {}, 0
    document = found.document
    if document["environment"] != environment:
        return b"", {}, 0
    # One that is signed and shall not be, or the other way round, is another file.
    covered = found.payload if (found.signature is None) == (key is None) else b""
    return covered, document["prompts"], document["created"]


def _check_own(found: runtime.Read, key: str) -> None:
    """Refuse a file that another key signed, or none: what is kept of it would get a signature that it never had."""
    if found.signature is None:
        raise RefusedError("the snapshot is not signed")
    own = b'snapshot namespaces="%b" %b\n' % (
        sshsig.SNAPSHOT.encode(),
        signers.key_text(sshsig.public_key(key)).encode(),
    )
    given = found.signature.encode("utf-8", "replace")
    sshsig.verify(found.payload, given, namespace=sshsig.SNAPSHOT, allowed_signers=own, revoked=b"")
