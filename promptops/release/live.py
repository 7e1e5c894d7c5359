"""What an environment serves: per prompt one chain of signed decisions, each a commit that names the one before.

``refs/promptops/live/<env>/<name>/HEAD`` points to the newest. A commit's id pins all before it. Anybody who may push a
ref can put a decision there: which ones count is told by `promptops.release.authority`. A decision of format 1 serves
one release to everybody; one of format 2 is a step of a rollout and holds its plan and evidence beside it.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import InputError, PromptopsError, RefusedError, UsageError
from promptops.registry import canonical
from promptops.release import ramp
from promptops.repo import refs, tagobject
from promptops.trust import sshsig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from promptops.release.ramp import Rollout
    from promptops.repo.git import Git

PREFIX = "refs/promptops/live/"
ROLLOUTS = "refs/promptops/rollouts/"
FETCH = "git fetch origin 'refs/promptops/live/*:refs/promptops/live/*'"
_DEEPEN = FETCH.replace("fetch", "fetch --unshallow", 1)
PROMOTE, ROLLBACK = "promote", "rollback"
_DECISION, _EVIDENCE, _PLAN = "decision.json", "evidence.json", "plan.json"
_MEMBERS: dict[str, type | tuple[type, ...]] = {
    "v": int, "environment": str, "prompt": str, "action": str, "sequence": int, "previous": (str, type(None)),
    "release": dict, "left": (str, type(None)), "reason": str, "repository": str,
}  # fmt: skip
_ENVIRONMENT = re.compile(r"[a-z][a-z0-9-]{0,31}")
MAX_DECISIONS = 100_000


class Decision(NamedTuple):
    """One decision, as stored; nothing in it is trusted until its signature is.

    Attributes:
        oid: id of its commit.
        commit: the commit itself, for its signature.
        action: ``promote`` or ``rollback``; of a rollout, one of `ramp.ACTIONS`.
        sequence: 1 for the first, then one more than the one before.
        tag: release tag that serves from now on.
        tag_object: id of the tag object.
        manifest: SHA-256 (hex) of the release's manifest.
        left: release tag that a rollback leaves for good; None for a promotion.
        time: the signer's clock, seconds since 1970.
        rollout: where the rollout stands that it is a step of, or None in format 1.
        files: ids of the blobs beside it, by name.
    """

    oid: str
    commit: tagobject.CommitObject
    environment: str
    prompt: str
    action: str
    sequence: int
    tag: str
    tag_object: str
    manifest: str
    left: str | None
    reason: str
    repository: str
    time: int
    rollout: Rollout | None = None
    files: Mapping[str, str] = MappingProxyType({})

    @property
    def step(self) -> Rollout:
        """Where the rollout stands.

        Raises:
            RefusedError: it is of none.
        """
        if self.rollout is None:
            raise RefusedError(f"decision {self.oid[:12]} is no step of a rollout")
        return self.rollout

    def document(self) -> dict[str, Any]:
        """Return what people and programs are told about it."""
        hidden = {"commit", "files"}
        shown = {key: value for key, value in self._asdict().items() if key not in hidden}
        return shown | {"rollout": self.rollout.document() if self.rollout else None}


def rollout_ref(environment: str, prompt: str, rollout: str) -> str:
    """Return the ref that keeps the newest decision of one rollout."""
    return f"{ROLLOUTS}{environment}/{prompt}/{rollout}"


def ref_of(environment: str, prompt: str) -> str:
    """Return the ref that says what ``environment`` serves for ``prompt``.

    Raises:
        UsageError: not a name that an environment can have.
    """
    if not _ENVIRONMENT.fullmatch(environment):
        raise UsageError(
            f"{environment!r} is not the name of an environment",
            hint="lower case letters, digits and -, as under `environments` in promptops.yaml",
        )
    return f"{PREFIX}{environment}/{prompt}/HEAD"


def heads(git: Git, environment: str) -> dict[str, str]:
    """Return the newest decision's commit id by prompt name."""
    base = ref_of(environment, "").removesuffix("/HEAD")
    found = refs.listing(git, base)
    return {ref.removeprefix(base).removesuffix("/HEAD"): oid for ref, oid in found.items() if ref.endswith("/HEAD")}


def chain(git: Git, head: str, *, environment: str, prompt: str) -> list[Decision]:
    """Return all decisions from the newest to the first, checked to form one chain; signatures are not checked.

    Raises:
        RefusedError: a commit is no decision of this chain, or a number is missing.
    """
    found: list[Decision] = []
    oid: str | None = head
    while oid is not None:
        if len(found) >= MAX_DECISIONS:
            raise RefusedError(f"{prompt} has more than {MAX_DECISIONS:,} decisions in {environment}")
        decision = read(git, oid)
        if (decision.environment, decision.prompt) != (environment, prompt):
            raise RefusedError(f"decision {oid[:12]} is for {decision.prompt} in {decision.environment}")
        found.append(decision)
        oid = decision.commit.parent
    _check_order(found)
    return found


def _check_order(newest_first: list[Decision]) -> None:
    for number, decision in enumerate(reversed(newest_first), 1):
        if decision.sequence != number:
            raise RefusedError(f"decision {decision.oid[:12]} has the number {decision.sequence}, not {number}")


def read(git: Git, oid: str) -> Decision:
    """Return one decision by the id of its commit.

    Raises:
        PromptopsError: it is not in this clone.
        RefusedError: it is no decision.
    """
    found = git.object(oid)
    if found is None:
        raise PromptopsError(f"decision {oid[:12]} is not in this clone", hint=_DEEPEN if git.shallow else FETCH)
    if found.kind != "commit":
        raise RefusedError(f"{oid[:12]} is a {found.kind}, not a decision")
    commit = tagobject.parse_commit(found.data)
    tree = git.object(commit.tree)
    files = _files(tree.data if tree else b"", len(oid) // 2)
    if files is None:
        raise RefusedError(f"decision {oid[:12]} holds other files than {_DECISION}, and {_PLAN} with a rollout")
    blob = git.object(files.pop(_DECISION))
    try:
        value = canonical.loads(blob.data if blob else b"", limit=1 << 16)
        return _parse(oid, commit, value, files)
    except InputError as error:
        raise RefusedError(f"decision {oid[:12]}: {error.message}") from error


def _files(tree: bytes, size: int) -> dict[str, str] | None:
    """Return the blobs' ids by name of a decision's tree, or None for a tree that no decision has."""
    for names in ((_DECISION,), (_DECISION, _PLAN), (_DECISION, _EVIDENCE, _PLAN)):
        found, rest = {}, tree
        for name in names:
            head = b"100644 " + name.encode() + b"\0"
            if not rest.startswith(head):
                break
            found[name], rest = rest[len(head) : len(head) + size].hex(), rest[len(head) + size :]
        if not rest and len(found) == len(names):
            return found
    return None


def _parse(oid: str, commit: tagobject.CommitObject, value: Any, files: dict[str, str]) -> Decision:
    if not isinstance(value, dict):
        raise InputError("decision.json has missing or unknown members")
    stepwise = value.get("v") == 2
    if value.keys() != _MEMBERS.keys() | ({"rollout"} if stepwise else set()):
        raise InputError("decision.json has missing or unknown members")
    wrong = [name for name, kind in _MEMBERS.items() if not isinstance(value[name], kind)]
    release = value["release"]
    if (
        wrong
        or release.keys() != {"tag", "object", "manifest"}
        or not all(isinstance(x, str) for x in release.values())
    ):
        raise InputError("decision.json has a member of the wrong type")
    if value["v"] not in (1, 2) or value["action"] not in (ramp.ACTIONS if stepwise else (PROMOTE, ROLLBACK)):
        raise InputError(f"decision.json is of another format, or {value['action']!r} is no action")
    if value["previous"] != commit.parent or (value["action"] == ROLLBACK) != (value["left"] is not None):
        raise InputError("decision.json contradicts its commit")
    rollout = ramp.parse(value["rollout"]) if stepwise else None
    if (_PLAN in files) != stepwise or (_EVIDENCE in files) != (rollout is not None and rollout.evidence is not None):
        raise InputError("the files beside decision.json are not those that it names")
    return Decision(
        oid, commit, value["environment"], value["prompt"], value["action"], value["sequence"], release["tag"],
        release["object"], release["manifest"], value["left"], value["reason"], value["repository"], commit.time,
        rollout, files,
    )  # fmt: skip


def plan_of(git: Git, decision: Decision) -> Any:
    """Return the plan that is frozen beside a decision of format 2.

    Raises:
        RefusedError: it is not the plan that the decision names.
    """
    return _attached(git, decision, _PLAN, decision.rollout.plan if decision.rollout else "")


def evidence_of(git: Git, decision: Decision) -> Any:
    """Return the evidence beside a decision, or None where there is none.

    Raises:
        RefusedError: it is not the evidence that the decision names.
    """
    named = decision.rollout.evidence if decision.rollout else None
    return None if named is None else _attached(git, decision, _EVIDENCE, named)


def _attached(git: Git, decision: Decision, name: str, digest: str) -> Any:
    blob = git.object(decision.files.get(name, ""))
    data = blob.data if blob else b""
    try:
        value = canonical.loads(data)
        same = canonical.sha256(value) == digest
    except InputError as error:
        raise RefusedError(f"decision {decision.oid[:12]}: its {name}: {error.message}") from error
    # Two spellings of one value would be two files with one digest.
    if not same or canonical.dumps(value) != data:
        raise RefusedError(f"decision {decision.oid[:12]}: its {name} is not the one that it names")
    return value


def write(
    git: Git,
    key: str,
    *,
    environment: str,
    prompt: str,
    action: str,
    tag: str,
    tag_object: str,
    manifest: str,
    left: str | None,
    reason: str,
    repository: str,
    before: Decision | None,
    rollout: Rollout | None = None,
    files: Mapping[str, Any] = MappingProxyType({}),
    time: int | None = None,
) -> str:
    """Sign and store a decision that no ref points to yet, and return its commit id.

    Args:
        git: the repository.
        key: a signing key as `sshsig.sign` takes it.
        environment: where it serves.
        prompt: the prompt.
        action: `PROMOTE` or `ROLLBACK`.
        tag: release tag that serves from now on.
        tag_object: id of the tag object.
        manifest: SHA-256 (hex) of the release's manifest.
        reason: why, in a sentence.
        repository: the policy's name of the repository.
        left: the tag that a rollback leaves.
        before: the newest decision so far.
        rollout: where the rollout stands after this step; None for a decision of format 1.
        files: JSON values beside a step: ``plan.json`` and, with evidence, ``evidence.json``.
        time: seconds since 1970; None for the clock's.
    """
    document = {
        "v": 2 if rollout else 1,
        "environment": environment,
        "prompt": prompt,
        "action": action,
        "sequence": before.sequence + 1 if before else 1,
        "previous": before.oid if before else None,
        "release": {"tag": tag, "object": tag_object, "manifest": manifest},
        "left": left,
        "reason": reason,
        "repository": repository,
    }
    if rollout:
        document["rollout"] = rollout.document()
    rows = []
    for name, value in sorted({_DECISION: document, **files}.items()):
        blob = git.run("hash-object", "-w", "--stdin", stdin=canonical.dumps(value)).decode().strip()
        rows.append(f"100644 blob {blob}\t{name}\0")
    tree = git.run("mktree", "-z", stdin="".join(rows).encode()).decode().strip()
    text = f"{action} {rollout.canary.tag if rollout else tag} in {environment}\n\n{reason}\n".encode()
    payload = tagobject.commit_payload(git, tree, before.oid if before else None, text, time=time)
    return tagobject.write_commit(git, payload, sshsig.sign(payload, key, sshsig.GIT))
