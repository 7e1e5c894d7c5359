"""What a verifier saw before, in a small file of its own: a clone may be put back, this memory may not.

Signatures cannot tell a clone that was put back to an older state from one that never was newer, nor a tag that was
deleted and signed again from the first one. Whoever remembers can: the threats are rollback and freeze (TUF, section
1.5.2, "Goals to protect against specific attacks").
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops import atomic
from promptops.errors import InputError, PromptopsError, RefusedError
from promptops.registry import canonical
from promptops.release import lineage, stored
from promptops.trust import sshsig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promptops.release.clone import Clone
    from promptops.release.stored import Stored
    from promptops.release.verify import Options, Report
    from promptops.repo.git import Git
    from promptops.trust.policy import Trust

VERSION = 1
MAX_BYTES = 64 << 20


class Release(NamedTuple):
    """A release as it was seen: its number, the ids of its tag object and of its manifest, and whether it stood.

    The tag object is empty where only the bundle was seen.
    """

    sequence: int
    object: str
    manifest: str
    withdrawn: bool = False


@dataclass(slots=True)
class Repository:
    """What was seen of one repository, which its policy's root digest names.

    Attributes:
        name: the name that its policy declares.
        policy: version and digest of the newest policy.
        revoked: fingerprints of revoked keys.
        releases: by prompt, then by tag.
    """

    name: str = ""
    policy: tuple[int, str] = (0, "")
    revoked: set[str] = field(default_factory=set)
    releases: dict[str, dict[str, Release]] = field(default_factory=dict)


class _Seen(NamedTuple):
    """One release beside what is known of its repository."""

    git: Git
    found: Stored
    newest: Trust
    revoked: set[str]
    known: Repository

    @property
    def siblings(self) -> dict[str, Release]:
        return self.known.releases.get(self.found.manifest.name, {})


def judge(git: Git, report: Report, here: Clone, options: Options) -> str:
    """List one check for each thing that was seen before, and remember this release where all of its checks hold.

    The file stays locked throughout, so that of two verifiers neither forgets what the other saw.

    Raises:
        PromptopsError: the file is damaged, or cannot be read or written.
    """
    found, trust, path = report.stored, report.trust, options.state
    if found is None or trust is None or path is None:
        raise RefusedError("it depends on checks that do not hold")
    try:
        with _locked(path):
            memory = _read(path)
            newest = here.newest_policy(trust, options.root)
            revoked = {sshsig.fingerprint(key) for key in here.listed(trust)}
            seen = _Seen(git, found, newest, revoked, memory.setdefault(trust.root, Repository(trust.repository)))
            if options.root is None:
                report.attempt("seen root", lambda: _root(memory, trust))
            for name, check in (("tag", _tag), ("sequence", _sequence), ("policy", _policy), ("revocations", _revoked)):
                report.attempt(f"seen {name}", partial(check, seen))
            bad = {check.name for check in report.checks if not check.ok}
            if bad - {"not withdrawn"}:
                return "nothing was remembered"
            _remember(seen, withdrawn=bool(bad))
            _write(path, memory)
    except OSError as error:
        hint = "check the folder and its permissions; nothing was remembered"
        raise PromptopsError(f"cannot use the state file: {error.strerror or error}", hint=hint, path=path) from error
    return f"{sum(map(len, seen.known.releases.values()))} releases of this repository"


def _root(memory: dict[str, Repository], trust: Trust) -> str:
    others = [root for root, each in memory.items() if each.name == trust.repository and root != trust.root]
    if others:
        hint = f"where that is meant, pin it: --root {trust.root}"
        raise RefusedError(f"{trust.repository} had the root {others[0]} before, not {trust.root}", hint=hint)
    return trust.root


def _tag(seen: _Seen) -> str:
    before, found = seen.siblings.get(seen.found.tag.name), seen.found
    if before is None:
        return "not seen before"
    if (found.oid and before.object and found.oid != before.object) or found.digest != before.manifest:
        was = before.object or before.manifest
        raise RefusedError(f"it was {was[:12]} when seen before: the tag was moved, or deleted and made again")
    if before.withdrawn and not stored.is_withdrawn(seen.git, found.tag.name):
        raise RefusedError("it was withdrawn when seen before", hint=stored.FETCH_TAGS)
    return "as seen before"


def _sequence(seen: _Seen) -> str:
    if not seen.siblings:
        return "the first of its prompt that is seen"
    tag, highest = max(seen.siblings.items(), key=lambda item: item[1].sequence)
    top = _highest(seen.git, tag, highest)
    mine = seen.found.manifest.sequence
    if mine > highest.sequence:
        if lineage.back(seen.git, seen.found, highest.sequence) != top.link:
            raise RefusedError(f"it does not follow {tag}, which was seen before as number {highest.sequence}")
    elif lineage.back(seen.git, top, mine) != seen.found.link:
        raise RefusedError(f"it is not the number {mine} that {tag}, which was seen before, follows")
    return f"number {mine}; the highest seen before is {highest.sequence}"


def _highest(git: Git, tag: str, seen: Release) -> Stored:
    try:
        found = stored.read(git, tag)
    except PromptopsError as error:
        message = (
            f"{tag}, number {seen.sequence}, was seen before and is not in this clone: it was put back or is partial"
        )
        raise RefusedError(message, hint=stored.FETCH_TAGS) from error
    if found.digest != seen.manifest:
        raise RefusedError(f"{tag}, number {seen.sequence}, is another release than was seen before")
    return found


def _policy(seen: _Seen) -> str:
    (version, digest), newest = seen.known.policy, seen.newest
    if newest.version < version:
        message = f"the policy is back at version {newest.version}; version {version} was seen before"
        raise RefusedError(message, hint="git fetch; then look at who took it back: git log .promptops")
    if version and newest.links[version - 1].payload_digest != digest:
        raise RefusedError(f"version {version} of the policy is another one than was seen before")
    return f"version {newest.version}"


def _revoked(seen: _Seen) -> str:
    lost = seen.known.revoked - seen.revoked
    if lost:
        raise RefusedError(f"key {min(lost)} was revoked when seen before, and is not any more")
    return f"{len(seen.revoked)} keys"


def _remember(seen: _Seen, *, withdrawn: bool) -> None:
    found, known = seen.found, seen.known
    known.policy = (seen.newest.version, seen.newest.digest)
    known.revoked |= seen.revoked
    before = seen.siblings.get(found.tag.name)
    oid = found.oid or (before.object if before else "")
    release = Release(found.manifest.sequence, oid, found.digest, withdrawn)
    known.releases.setdefault(found.manifest.name, {})[found.tag.name] = release


@contextlib.contextmanager
def _locked(path: str) -> Iterator[None]:
    # The state file itself is replaced as a whole, so its lock needs a file that stays.
    with open(f"{path}.lock", "a", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read(path: str) -> dict[str, Repository]:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return {}
    try:
        value = canonical.loads(data, limit=MAX_BYTES)
        if value["version"] != VERSION:
            message = f"the state file has version {value['version']}, this program knows {VERSION}"
            raise PromptopsError(message, hint="use the newer promptops that wrote it", path=path)
        return {root: _repository(each) for root, each in value["repositories"].items()}
    except (InputError, KeyError, TypeError, ValueError, AttributeError) as error:
        quoted = shlex.quote(path)
        hint = f"restore it from a copy; or forget all that was seen: mv {quoted} {quoted}.damaged"
        raise PromptopsError("the state file is damaged", hint=hint, path=path) from error


def _repository(value: dict[str, Any]) -> Repository:
    releases = {
        prompt: {tag: Release(**_fields(item)) for tag, item in tags.items()}
        for prompt, tags in value["releases"].items()
    }
    policy = (int(value["policy"]["version"]), str(value["policy"]["digest"]))
    return Repository(str(value["repository"]), policy, set(map(str, value["revoked"])), releases)


def _fields(value: dict[str, Any]) -> dict[str, Any]:
    kinds = {"sequence": int, "object": str, "manifest": str, "withdrawn": bool}
    if value.keys() != kinds.keys() or any(type(value[name]) is not kind for name, kind in kinds.items()):
        raise ValueError(value)
    return value


def _write(path: str, memory: dict[str, Repository]) -> None:
    document = {"version": VERSION, "repositories": {root: _document(each) for root, each in memory.items()}}
    data = json.dumps(document, indent=1, sort_keys=True) + "\n"
    atomic.write(os.path.realpath(path), data.encode(), mode=0o600)


def _document(known: Repository) -> dict[str, Any]:
    return {
        "repository": known.name,
        "policy": {"version": known.policy[0], "digest": known.policy[1]},
        "revoked": sorted(known.revoked),
        "releases": {
            prompt: {tag: each._asdict() for tag, each in tags.items()} for prompt, tags in known.releases.items()
        },
    }
