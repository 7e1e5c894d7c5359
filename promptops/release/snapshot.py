"""One file with all that an environment serves, for `promptops.runtime`; only verified releases enter it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from promptops import atomic
from promptops.errors import InputError, PromptopsError, RefusedError
from promptops.release import authority, clone, live, verify
from promptops.runtime import snapshot as runtime

if TYPE_CHECKING:
    from promptops.release.live import Decision
    from promptops.repo.git import Git
    from promptops.trust.policy import Trust


def build(git: Git, environment: str, *, root: str | None = None) -> dict[str, Any]:
    """Return the entries of a snapshot by prompt name.

    Args:
        git: the repository, opened strictly.
        environment: what is served.
        root: the pinned digest of the policy's first version.

    Raises:
        RefusedError: a decision or a release does not verify.
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
    found = {}
    for name, oid in sorted(heads.items()):
        chain = authority.decisions(git, oid, rules, environment=environment, prompt=name)
        found[name] = _entry(git, chain[0], trust)
    return found


def _entry(git: Git, decision: Decision, trust: Trust) -> dict[str, Any]:
    report = verify.release(git, decision.tag, verify.Options(root=trust.root))
    found, configuration = report.stored, report.configuration
    if not report.good or found is None or configuration is None:
        raise RefusedError(
            f"{decision.environment} serves {decision.tag}, which does not verify: {report.why}",
            hint=f"promptops rollback {decision.prompt} --env {decision.environment} --reason REASON",
        )
    if (found.oid, found.digest) != (decision.tag_object, decision.manifest):
        raise RefusedError(f"the tag {decision.tag} was moved since it went live in {decision.environment}")
    prompt = configuration.prompt
    return {
        "version": prompt.version,
        "tag": decision.tag,
        "digest": configuration.digest,
        "manifest": found.digest,
        "decision": {"commit": decision.oid, "sequence": decision.sequence, "action": decision.action},
        "messages": prompt.messages,
        "includes": configuration.includes,
        "variables": prompt.variables,
        "arguments": configuration.arguments(),
    }


def write(path: str, environment: str, prompts: dict[str, Any]) -> None:
    """Write a snapshot file by an atomic rename; a symbolic link stays one, and its target is replaced.

    Raises:
        PromptopsError: there is no such folder, or something else than a file is there.
        RefusedError: the file there is of a later state: somebody turned a live ref back.
    """
    path = os.path.realpath(path)
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise PromptopsError(f"there is no folder {folder}", hint=f"mkdir -p {folder}")
    if os.path.exists(path) and not os.path.isfile(path):
        raise PromptopsError(f"{path} is no regular file", hint="without -o it goes to standard output")
    for name, now in _current(path, environment).items():
        if name not in prompts or prompts[name]["decision"]["sequence"] < now["decision"]["sequence"]:
            raise RefusedError(
                f"{name}: the snapshot holds decision {now['decision']['sequence']}, this clone an earlier one",
                hint=f"{live.FETCH}; or remove {path} if that is meant",
            )
    # Readable for the application's user, whatever the umask of this one.
    atomic.write(path, runtime.serialize(environment, int(time.time()), prompts), mode=0o644)


def _current(path: str, environment: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            document = runtime.parse(file.read())
    except (FileNotFoundError, InputError):
        return {}
    prompts: dict[str, Any] = document["prompts"]
    return prompts if document["environment"] == environment else {}
