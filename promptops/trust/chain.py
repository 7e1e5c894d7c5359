"""The chain of policy versions: each signed by a threshold of the roots before it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from promptops.errors import InputError, RefusedError
from promptops.registry.governed import POLICY_HISTORY
from promptops.trust import lint, signers, sshsig, statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promptops.trust.envelope import Envelope
    from promptops.trust.policy import Trust


def path(version: int) -> str:
    """Return where the signed statement of a policy version lives."""
    return f"{POLICY_HISTORY}{version}.json"


def sha256(data: bytes) -> str:
    """Return the SHA-256 of ``data`` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def describe(trust: Trust) -> dict[str, Any]:
    """Return the statement that the roots sign for a policy as it stands.

    The predicate repeats the roots' public keys, so that the next version can be verified without these files.
    """
    before = trust.links[trust.version - 2].payload_digest if 1 < trust.version <= len(trust.links) + 1 else None
    subject = [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(trust.digests.items())]
    predicate = {
        "version": trust.version,
        "previous": before,
        "repository": trust.repository,
        "roots": {"threshold": trust.policy["roots"]["threshold"], "keys": _root_keys(trust)},
    }
    return statement.build(statement.POLICY, subject, predicate)


def _root_keys(trust: Trust) -> dict[str, list[str]]:
    lines = [line for line in signers.parse(trust.allowed_signers) if sshsig.POLICY in line.namespaces]
    keys = {}
    for name in sorted(trust.policy["roots"]["of"]):
        own = lint.principals(trust.policy["people"][name])
        keys[name] = sorted(signers.key_text(line.public_key) for line in lines if line.principal in own)
    return keys


def verify(links: Sequence[Envelope], expected: dict[str, Any], revoked: bytes, root: str | None = None) -> str:
    """Verify the whole chain up to the policy that ``expected`` describes; return its root digest.

    Args:
        links: the envelopes of versions 1, 2, ...
        expected: `describe` of the files at hand.
        revoked: public keys that count nowhere in the chain, however old their signature.
        root: the pinned digest of version 1.

    Raises:
        RefusedError: saying which version fails and why.
    """
    version = expected["predicate"]["version"]
    if len(links) != version:
        raise RefusedError(
            f"policy version {len(links) + 1} is not signed", hint="promptops policy sign", path=path(len(links) + 1)
        )
    if root is not None and links[0].payload_digest != root:
        message = f"the policy's root is {links[0].payload_digest}, not the pinned {root}"
        raise RefusedError(message, hint="check the pinned digest, or that this is the right repository")
    keys: dict[str, Any] = {}
    previous = None
    claimed: dict[str, Any] = {}
    for number, link in enumerate(links, 1):
        try:
            claimed = statement.check(link.statement(), statement.POLICY)
            predicate = _follows(claimed["predicate"], number, previous)
            # The first version vouches for itself; pinning its digest is what makes it trusted.
            _threshold(link, predicate.get("roots") if number == 1 else keys, revoked)
            _allowed(predicate.get("roots"))
        except (RefusedError, InputError) as error:
            hint = "promptops policy sign, by one of the roots of the version before"
            raise RefusedError(f"policy version {number}: {error.message}", hint=hint, path=path(number)) from error
        keys, previous = predicate["roots"], link.payload_digest
    if claimed != expected:
        message = f"the policy files are not the ones that were signed as version {version}"
        raise RefusedError(message, hint="promptops policy sign", path=path(version))
    return links[0].payload_digest


def revoked_digest(link: Envelope) -> str | None:
    """Return the SHA-256 (hex) that a verified policy version gives its list of revoked keys."""
    subjects = statement.check(link.statement(), statement.POLICY)["subject"]
    return next((each["digest"]["sha256"] for each in subjects if each["name"] == signers.REVOKED), None)


def continues(trust: Trust, link: Envelope) -> bool:
    """Return whether the roots of a verified policy signed ``link`` as the version after it."""
    try:
        predicate = statement.check(link.statement(), statement.POLICY)["predicate"]
        _follows(predicate, trust.version + 1, trust.digest)
        _threshold(link, describe(trust)["predicate"]["roots"], trust.revoked_keys)
    except (RefusedError, InputError):
        return False
    return True


def _follows(predicate: dict[str, Any], number: int, previous: str | None) -> dict[str, Any]:
    if predicate.get("version") != number or predicate.get("previous") != previous:
        raise RefusedError("it does not follow the version before it")
    return predicate


def signed_by(link: Envelope, roots: Any, revoked: bytes) -> set[str]:
    """Return the distinct roots whose signatures on a policy statement verify.

    Raises:
        RefusedError: ``roots`` (threshold and keys by name) is malformed.
        InputError: one key stands under two names.
    """
    allowed = _allowed(roots)
    found = set()
    for each in link.signatures:
        try:
            made = sshsig.verify(
                link.pae(), each.signature, namespace=sshsig.POLICY, allowed_signers=allowed, revoked=revoked
            )
        except RefusedError:
            continue
        found.add(made.principal)
    return found


def _threshold(link: Envelope, roots: Any, revoked: bytes) -> None:
    names = signed_by(link, roots, revoked)
    if len(names) < roots["threshold"]:
        who = ", ".join(sorted(names)) or "none of them"
        raise RefusedError(f"{roots['threshold']} of the roots {', '.join(roots['keys'])} must sign; {who} did")


def _allowed(roots: Any) -> bytes:
    keys = roots.get("keys") if isinstance(roots, dict) else None
    threshold = roots.get("threshold") if isinstance(roots, dict) else None
    if not isinstance(keys, dict) or type(threshold) is not int or threshold < 1:
        raise RefusedError("its roots are malformed")
    lines = []
    for name, texts in keys.items():
        if any(map(str.isspace, name)):
            raise RefusedError("its roots are malformed")
        if not isinstance(texts, list) or not all(isinstance(text, str) and "\n" not in text for text in texts):
            raise RefusedError("its roots are malformed")
        lines += [f'{name} namespaces="{sshsig.POLICY}" {text}\n' for text in texts]
    return "".join(lines).encode()
