"""The first policy, and the roots' signatures under every version."""

from __future__ import annotations

import contextlib
import json
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import RefusedError, UsageError
from promptops.registry.governed import POLICY
from promptops.repo.source import Overlay, TreeSource, WorktreeSource
from promptops.trust import chain, envelope, files, policy, signers, sshsig, statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promptops.repo.git import Git
    from promptops.trust.envelope import Envelope
    from promptops.trust.policy import Trust

_POLICY = """\
# Who may request, approve and release what. Each version is signed by the roots of the one before it:
# promptops policy sign. Schema: promptops schema policy
version: 1
repository: {repository}
people:
{people}
roots: {{threshold: 1, of: [{names}]}}
protected: [{protected}]
# People besides the author who must approve; 0 is solo mode, and every release says so.
approvals: {{default: {approvals}}}
roles:
  release: [{names}]
  override: [{names}]
  rollback: [{names}]
"""
# A URL of a host, or git's short form HOST:PATH; a path on this machine is the same repository nowhere else.
_REMOTE = re.compile(
    r"(?:(?!file:)[a-z+]+://(?:[^@/]*@)?(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]+)?)/"
    r"|(?:[^@/:]*@)?(?P<short>[A-Za-z0-9][A-Za-z0-9.-]*):(?!//))"
    r"/*(?P<path>[^?#\s/][^?#\s]*?)(?:\.git)?/?"
)
_MOVE = "move it away, then set the policy up"
_SIGNERS = "# One key is one person: one principal and one key a line, each with its namespaces.\n"
_REVOKED = "# Revoked public keys, one a line. Whatever they signed counts no more.\n"


class NewPerson(NamedTuple):
    """Somebody to set up: name in the policy, principal, and public key (wire form) or None."""

    name: str
    principal: str
    key: bytes | None


class Signing(NamedTuple):
    """What `sign` did.

    Attributes:
        version: the signed version.
        digest: its digest.
        root: the root digest to pin.
        signed: the roots who have signed it so far.
        threshold: how many of them it takes.
        raised: whether the version was raised to make room for a published one.
        mended: earlier versions that got a signature in place of a revoked one.
    """

    version: int
    digest: str
    root: str
    signed: tuple[str, ...]
    threshold: int
    raised: bool
    mended: tuple[int, ...]


def create(
    git: Git, specs: Sequence[str], *, key: str, repository: str | None, protected: Sequence[str], solo: bool
) -> Signing:
    """Write the first policy into the work tree and sign it.

    Args:
        git: the repository.
        specs: people, each as `people` reads them; none means the user alone.
        key: the signing key.
        repository: what signatures call this repository, or None for `default_repository`.
        protected: full names of protected branches.
        solo: ask for no approvals.

    Raises:
        RefusedError: there is a policy or one of its files already, or the key is none of the people's.
        UsageError: a person is written wrongly.
    """
    found = people(git, specs, sshsig.public_key(key))
    wanted = _first(found, repository=repository or default_repository(git), protected=protected, solo=solo)
    _refuse_existing(git.root, wanted)
    tree = WorktreeSource(git.root)
    trust = policy.load(Overlay(tree, wanted))
    if trust.links and not _is_signed_content(trust):
        raise RefusedError("exists and is left as it is", hint=_MOVE, path=chain.path(1))
    name, roots = _one_of_roots(trust, 1, key)
    link = _signed(trust, key, name, roots)
    # The policy itself comes last: a run that is killed before leaves none, and is run again.
    wanted = {chain.path(1): link.to_bytes(), **dict(reversed(wanted.items()))}
    written = []
    try:
        for path, content in wanted.items():
            if not os.path.lexists(os.path.join(git.root, path)):
                written.append(path)
            if tree.read(path) != content:
                files.write(git.root, path, content)
    except BaseException:
        for path in reversed(written):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(git.root, path))
        raise
    digest = link.payload_digest
    return Signing(1, digest, digest, (name,), roots["threshold"], raised=False, mended=())


def _refuse_existing(root: str, wanted: dict[str, bytes]) -> None:
    if os.path.lexists(os.path.join(root, POLICY)):
        raise RefusedError("there is a policy already", hint="promptops policy show", path=POLICY)
    # What a run that was killed left is what this one would write.
    for path, content in wanted.items():
        if WorktreeSource(root).read(path) not in (None, content):
            raise RefusedError("exists and is left as it is", hint=_MOVE, path=path)


def people(git: Git, specs: Sequence[str], own_key: bytes) -> list[NewPerson]:
    """Return the people that ``NAME=PRINCIPAL`` or ``NAME=PRINCIPAL=KEY.pub`` say.

    The user's own key goes to the one whose principal is git's ``user.email``, or to the only one.

    Raises:
        UsageError: malformed, or it is unclear whose the user's key is.
    """
    email = git.try_run("config", "user.email").stdout.decode().strip()
    if not specs:
        if not email:
            raise UsageError("who are you?", hint="git config user.email you@example.org, or --person NAME=PRINCIPAL")
        name = re.sub(r"[^a-z0-9._-]+", "-", email.partition("@")[0].lower()).strip("-._") or "author"
        return [NewPerson(name, email, own_key)]
    found = []
    for spec in specs:
        name, principal, file = (*spec.split("=", 2), "", "")[:3]
        if not name or not principal:
            raise UsageError(f"{spec!r} is no person", hint="--person alice=alice@example.org")
        found.append(NewPerson(name, principal, sshsig.public_key(file) if file else None))
    if any(person.key == own_key for person in found):
        return found
    mine = [person for person in found if person.key is None and (person.principal == email or len(found) == 1)]
    if len(mine) != 1:
        message = "none of the people has your key, and none has your git user.email as principal"
        raise UsageError(message, hint="--person NAME=PRINCIPAL=KEY.pub says whose key is whose")
    return [person._replace(key=own_key) if person is mine[0] else person for person in found]


def default_repository(git: Git) -> str:
    """Return a name for the repository: the origin's URL without credentials, or else the folder's name."""
    url = git.try_run("config", "remote.origin.url").stdout.decode("utf-8", "replace").strip()
    remote = _REMOTE.fullmatch(url)
    if remote:
        return f"git+https://{remote['host'] or remote['short']}/{remote['path']}"
    folder = re.sub(r"[^A-Za-z0-9._-]+", "-", os.path.basename(git.root)) or "prompts"
    return f"urn:promptops:repository:{folder}"


def _first(people: Sequence[NewPerson], *, repository: str, protected: Sequence[str], solo: bool) -> dict[str, bytes]:
    """Return the files of the first policy by path, without its signature."""
    names = ", ".join(person.name for person in people)
    text = _POLICY.format(
        repository=json.dumps(repository),
        people="\n".join(f"  {person.name}: [{person.principal}]" for person in people),
        names=names,
        protected=", ".join(protected),
        approvals=0 if solo else 1,
    ).encode()
    value = files.checked(text)
    lines = [
        files.line(person.principal, files.namespaces(value, person.name), person.key)
        for person in people
        if person.key is not None
    ]
    return {POLICY: text, signers.ALLOWED: (_SIGNERS + "".join(lines)).encode(), signers.REVOKED: _REVOKED.encode()}


def sign(git: Git, key: str, target: str | None) -> Signing:
    """Sign the policy of the work tree as one of its roots.

    A version that ``target`` already holds is never written again: the policy's version is raised by one instead.

    Raises:
        RefusedError: the key is not one of the roots that decide, the version does not follow the last one, or a key
            that was revoked is not any more.
    """
    root = git.root
    trust = policy.load(WorktreeSource(root))
    for revision in {target or "HEAD", "HEAD"}:
        _check_revocations(git, revision, trust)
    raised = _published(git, target, trust) and not _is_signed_content(trust)
    version = trust.version + raised
    if len(trust.links) < version - 1:
        message = f"policy version {version} does not follow version {len(trust.links)}"
        raise RefusedError(message, hint=f"set version: {len(trust.links) + 1}", path=POLICY)
    name, roots = _one_of_roots(trust, version, key)
    if raised:
        files.raise_version(root)
        trust = policy.load(WorktreeSource(root))
    mended = _mend(root, trust, key)
    link = _signed(trust, key, name, roots)
    signed = tuple(sorted(chain.signed_by(link, roots, trust.revoked_keys)))
    files.write(root, chain.path(trust.version), link.to_bytes())
    root_digest = trust.root if trust.version > 1 else link.payload_digest
    return Signing(
        trust.version, link.payload_digest, root_digest, signed, roots["threshold"], raised=raised, mended=mended
    )


def _one_of_roots(trust: Trust, version: int, key: str) -> tuple[str, dict[str, Any]]:
    """Return whose of the roots that sign a version the key is, and those roots."""
    if sshsig.public_key(key) in signers.revoked(trust.revoked_keys):
        raise RefusedError("your key is revoked", hint="another root must sign: promptops policy sign")
    roots = _deciding(trust, version)
    name = _root_name(roots, key)
    if name is None:
        message = f"your key is not one of the roots that sign policy version {version}"
        hint = f"one of {', '.join(roots['keys'])} must sign, with the key that version {max(version - 1, 1)} names"
        raise RefusedError(message, hint=hint)
    return name, roots


def _signed(trust: Trust, key: str, name: str, roots: dict[str, Any]) -> Envelope:
    """Return the signed statement of the policy, with the signature of one of its roots added unless it is there."""
    if not _is_signed_content(trust):
        return envelope.sign(chain.describe(trust), key, sshsig.POLICY)
    if name in chain.signed_by(trust.links[-1], roots, trust.revoked_keys):
        return trust.links[-1]
    return envelope.add_signature(trust.links[-1], key, sshsig.POLICY)


def _mend(root: str, trust: Trust, key: str) -> tuple[int, ...]:
    """Sign earlier versions that lost a signature to a revocation; their statements stay the same."""
    mended = []
    for number, link in enumerate(trust.links[: trust.version - 1], 1):
        roots = _deciding(trust, number)
        signed = chain.signed_by(link, roots, trust.revoked_keys)
        name = _root_name(roots, key)
        if len(signed) < roots["threshold"] and name is not None and name not in signed:
            files.write(root, chain.path(number), envelope.add_signature(link, key, sshsig.POLICY).to_bytes())
            mended.append(number)
    return tuple(mended)


def _deciding(trust: Trust, version: int) -> dict[str, Any]:
    """Return the roots that sign a version: those of the one before it; the first names its own."""
    if version == 1:
        before = trust.links[0].statement() if trust.version > 1 else chain.describe(trust)
    else:
        before = trust.links[version - 2].statement()
    roots: dict[str, Any] = statement.check(before, statement.POLICY)["predicate"]["roots"]
    return roots


def _root_name(roots: dict[str, Any], key: str) -> str | None:
    mine = signers.key_text(sshsig.public_key(key))
    return next((name for name, keys in roots["keys"].items() if mine in keys), None)


def _check_revocations(git: Git, revision: str, trust: Trust) -> None:
    found = git.object(f"{revision}:{signers.REVOKED}")
    if found is None or chain.sha256(found.data) not in {chain.revoked_digest(link) for link in trust.links}:
        return
    for key in signers.revoked(found.data) - signers.revoked(trust.revoked_keys):
        message = f"key {sshsig.fingerprint(key)} is revoked in {revision} and would not be any more"
        hint = f"a revocation is for good: git checkout {revision} -- {signers.REVOKED}"
        raise RefusedError(message, hint=hint, path=signers.REVOKED)


def _published(git: Git, target: str | None, trust: Trust) -> bool:
    return target is not None and TreeSource(git, target).read(chain.path(trust.version)) is not None


def _is_signed_content(trust: Trust) -> bool:
    if len(trust.links) != trust.version:
        return False
    return bool(trust.links[-1].statement() == chain.describe(trust))
