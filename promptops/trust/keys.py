"""Adding, rotating and revoking keys. The roots sign what comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from promptops.errors import RefusedError, UsageError
from promptops.registry.governed import POLICY
from promptops.repo.source import WorktreeSource
from promptops.trust import files, lint, policy, signers, sshsig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promptops.trust.policy import Trust


def add(
    root: str,
    name: str,
    public_key: bytes,
    *,
    principal: str | None,
    bot: bool,
    roles: Sequence[str],
    plain: bool = False,
) -> str:
    """Give a person a key, adding the person where they are new; return the line.

    Args:
        root: the work tree.
        name: the person.
        public_key: the key's wire form.
        principal: the name of the key.
        bot: whether a new person is a machine.
        roles: roles to give.
        plain: whether the key makes plain signatures, as key services do, instead of OpenSSH's.

    Raises:
        UsageError: a new person comes without a principal.
        RefusedError: the key is there already, or revoked.
    """
    trust = policy.load(WorktreeSource(root))
    _refuse_known(trust, public_key)
    known = trust.policy["people"].get(name)
    if known is None and principal is None:
        raise UsageError(f"{name} is not in the policy yet", hint=f"--principal {name}@example.org adds them")
    if known is not None and principal is not None and principal not in lint.principals(known):
        known_as = ", ".join(lint.principals(known))
        raise UsageError(f"{name} has other principals: {known_as}", hint="leave --principal out, or name one of them")

    def change(value: Any) -> None:
        if known is None:
            value["people"][name] = {"principals": [principal], "bot": True} if bot else [principal]
        if plain:
            entry = value["people"][name]
            if not isinstance(entry, dict):
                entry = value["people"][name] = {"principals": list(entry)}
            entry.setdefault("plain_keys", []).append(sshsig.fingerprint(public_key))
        for role in roles:
            members = value.setdefault("roles", {}).setdefault(role, [])
            if name not in members:
                members.append(name)

    if known is None or roles or plain:
        files.edit(root, change)
        files.regrant(root, trust.policy)
    value = files.value(root)
    line = files.line(principal or lint.principals(known)[0], files.namespaces(value, name, plain=plain), public_key)
    files.append(root, signers.ALLOWED, line)
    return line.strip()


def rotate(root: str, name: str, public_key: bytes) -> list[str]:
    """Replace every key of a person by a new one; return the fingerprints of the old ones, which are not revoked.

    Raises:
        RefusedError: the person is unknown, or the key is known already.
    """
    trust = policy.load(WorktreeSource(root))
    _refuse_known(trust, public_key)
    old = lines_of(trust, name)
    files.drop(root, {line.number for line in old})
    principal = old[0].principal if old else lint.principals(trust.policy["people"][name])[0]
    files.append(root, signers.ALLOWED, files.line(principal, files.namespaces(trust.policy, name), public_key))
    return [sshsig.fingerprint(line.public_key) for line in old]


def revoke(root: str, keys: Sequence[bytes], reason: str) -> list[str]:
    """Put keys on the list of revoked keys and take their lines away; return their fingerprints."""
    trust = policy.load(WorktreeSource(root))
    listed = signers.revoked(trust.revoked_keys)
    numbers = {line.number for line in signers.parse(trust.allowed_signers) if line.public_key in keys}
    comment = " ".join(reason.split())
    fresh = [key for key in keys if key not in listed]
    files.append(root, signers.REVOKED, "".join(f"{signers.key_text(key)} {comment}".rstrip() + "\n" for key in fresh))
    files.drop(root, numbers)
    return [sshsig.fingerprint(key) for key in keys]


def lines_of(trust: Trust, name: str) -> list[signers.Signer]:
    """Return the lines of a person's keys.

    Raises:
        RefusedError: nobody of that name is in the policy.
    """
    if name not in trust.policy["people"]:
        known = ", ".join(trust.policy["people"])
        raise RefusedError(f"{name} is not in the policy", hint=f"people: {known}", path=POLICY)
    own = lint.principals(trust.policy["people"][name])
    return [line for line in signers.parse(trust.allowed_signers) if line.principal in own]


def _refuse_known(trust: Trust, public_key: bytes) -> None:
    line = signers.find(signers.parse(trust.allowed_signers), public_key)
    if line is not None:
        raise RefusedError(
            f"this key belongs to {line.principal} already: one key is one person",
            path=signers.ALLOWED,
            line=line.number,
        )
    if public_key in signers.revoked(trust.revoked_keys):
        raise RefusedError("this key is revoked", hint="make a new one: ssh-keygen -t ed25519", path=signers.REVOKED)
