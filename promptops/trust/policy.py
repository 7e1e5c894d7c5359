"""Who may do what: the policy, its keys and the chain of signatures behind them."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import InputError, RefusedError, UsageError
from promptops.registry import schemas, yaml
from promptops.registry.governed import POLICY
from promptops.trust import chain, envelope, lint, plain, signers, sshsig, statement

if TYPE_CHECKING:
    from collections.abc import Iterable

    from promptops.repo.source import Source
    from promptops.trust.envelope import Envelope
    from promptops.trust.sshsig import Signature

FILES = (POLICY, signers.ALLOWED, signers.REVOKED)
_SETUP = "promptops policy init, then promptops policy sign"


class Requirement(NamedTuple):
    """What one piece of content needs.

    Attributes:
        approvals: people besides the one who asks.
        roles: how many approvals by holders of a role, by role.
        owners: people of whom one must approve, or an empty set.
    """

    approvals: int
    roles: dict[str, int]
    owners: frozenset[str] = frozenset()


class Trust(NamedTuple):
    """The policy and the keys of one state of the repository.

    Attributes:
        policy: the policy's value, as its schema describes it.
        allowed_signers: the file's bytes.
        revoked_keys: the repository's list united with the verifier's own.
        digests: SHA-256 (hex) of the policy files, by path.
        links: the signed versions of the policy, from 1 on; those that exist.
    """

    policy: dict[str, Any]
    allowed_signers: bytes
    revoked_keys: bytes
    digests: dict[str, str]
    links: tuple[Envelope, ...]

    @property
    def version(self) -> int:
        """The policy's version."""
        return int(self.policy["version"])

    @property
    def repository(self) -> str:
        """The repository's declared name."""
        return str(self.policy["repository"])

    @property
    def names(self) -> set[str]:
        """Every name that the repository has had; the roots vouch for those before, once the chain is verified."""
        signed = (statement.check(link.statement(), statement.POLICY)["predicate"] for link in self.links)
        return {self.repository, *(str(predicate.get("repository")) for predicate in signed)}

    @property
    def digest(self) -> str:
        """``sha256:<hex>`` of the signed statement of this version; empty when it is not signed yet."""
        return self.links[-1].payload_digest if len(self.links) == self.version else ""

    @property
    def root(self) -> str:
        """``sha256:<hex>`` of the statement of version 1, the digest to pin; empty when there is none."""
        return self.links[0].payload_digest if self.links else ""

    @property
    def solo(self) -> bool:
        """Whether changes need nobody besides their author."""
        return bool(self.policy["approvals"]["default"] == 0)

    def verify_chain(self, root: str | None = None) -> str:
        """Verify that every version was signed by a threshold of the roots before it, and return the root digest.

        Args:
            root: the pinned ``sha256:<hex>`` that version 1 must have.

        Raises:
            RefusedError: a version is missing, unsigned, out of order, or these files are not the signed ones.
        """
        return chain.verify(self.links, chain.describe(self), self.revoked_keys, root)

    def person(self, signature: Signature, namespace: str) -> str:
        """Return the name of the person (or bot) who made a verified signature.

        Raises:
            RefusedError: the key belongs to nobody in the policy, or may not sign in ``namespace``.
        """
        line = signers.find(signers.parse(self.allowed_signers), signature.public_key)
        if line is None or namespace not in line.namespaces:
            raise RefusedError(f"{signature.principal} may not sign for {namespace}")
        return self.owner(line.principal)

    def owner(self, principal: str) -> str:
        """Return who a principal is.

        Raises:
            RefusedError: nobody in the policy.
        """
        for name, entry in self.policy["people"].items():
            if principal in lint.principals(entry):
                return str(name)
        raise RefusedError(f"{principal} belongs to nobody in the policy")

    def verify(self, data: bytes, signature: bytes, namespace: str) -> tuple[str, Signature]:
        """Verify one armored signature; return who made it and the signature.

        Raises:
            RefusedError: it does not verify, or its key belongs to nobody in the policy.
        """
        found = sshsig.verify(
            data, signature, namespace=namespace, allowed_signers=self.allowed_signers, revoked=self.revoked_keys
        )
        if found.fingerprint in self.plain_keys:
            raise RefusedError(f"key {found.fingerprint} makes plain signatures only, by the policy")
        return self.person(found, namespace), found

    def signed_by(self, signed: Envelope, namespace: str) -> tuple[set[str], list[str]]:
        """Return the distinct people and bots whose signatures on an envelope verify, and why the others do not."""
        names, refusals = set(), []
        for each in signed.signatures:
            try:
                if sshsig.is_armored(each.signature):
                    names.add(self.verify(signed.pae(), each.signature, namespace)[0])
                else:
                    names.add(self._verify_plain(signed.pae(), each.signature, namespace))
            except RefusedError as error:
                refusals.append(error.message)
        return names, refusals

    @property
    def plain_keys(self) -> frozenset[str]:
        """Fingerprints of the keys that make plain signatures and no others."""
        return frozenset(key for entry in self.policy["people"].values() for key in lint.plain_keys(entry))

    def check_kind(self, key: str) -> None:
        """Raise unless a signing key makes the signatures that the policy expects of it.

        Raises:
            RefusedError: it makes the other kind, plain or SSH, which would count for nothing.
        """
        fingerprint = sshsig.fingerprint(sshsig.public_key(key))
        plain_only = fingerprint in self.plain_keys
        if plain_only != key.startswith(sshsig.KMS):
            message = f"by the policy the key {fingerprint} makes {'plain' if plain_only else 'SSH'} signatures"
            hint = "--key kms:URI#FILE for a plain key, else --key FILE; promptops key add --plain makes one plain"
            raise RefusedError(message, hint=hint)

    def _verify_plain(self, data: bytes, signature: bytes, namespace: str) -> str:
        """Return who made a plain signature; it names no key, so every key that may have made it is tried."""
        named, revoked = self.plain_keys, signers.revoked(self.revoked_keys)
        lines = [line for line in signers.parse(self.allowed_signers) if sshsig.fingerprint(line.public_key) in named]
        able = [line for line in lines if namespace in line.namespaces and not line.dated]
        for line in able:
            if plain.verify(data, signature, line.public_key):
                if line.public_key in revoked:
                    raise RefusedError(f"key {sshsig.fingerprint(line.public_key)} of {line.principal} is revoked")
                return self.owner(line.principal)
        raise RefusedError(f"no plain key that may sign for {namespace} made this signature")

    def is_bot(self, name: str) -> bool:
        """Return whether ``name`` is a machine."""
        return lint.is_bot(self.policy["people"][name])

    def has_role(self, name: str, role: str) -> bool:
        """Return whether the policy gives ``name`` the role."""
        return name in self.policy.get("roles", {}).get(role, ())

    def holders(self, roles: Iterable[str]) -> frozenset[str]:
        """Return the people who hold one of ``roles``, or whose name one of them is."""
        wanted = set(roles)
        members = [names for role, names in self.policy.get("roles", {}).items() if role in wanted]
        return frozenset(wanted & self.policy["people"].keys()).union(*members)

    def required(self, paths: Iterable[str], owners: Iterable[str] = ()) -> Requirement:
        """Return what content at ``paths`` needs: the default, raised by every rule that matches.

        Args:
            paths: every file that the content consists of.
            owners: the owners that a prompt names; they matter where the policy says so.
        """
        approvals = self.policy["approvals"]
        count, roles = int(approvals["default"]), dict[str, int]()
        wanted = list(paths)
        for rule in approvals.get("rules", ()):
            if any(fnmatchcase(path, pattern) for path in wanted for pattern in rule["paths"]):
                count = max(count, rule["approvals"])
                if "role" in rule:
                    roles[rule["role"]] = max(roles.get(rule["role"], 0), rule["approvals"])
        return Requirement(count, roles, self.holders(owners) if approvals.get("owners") else frozenset())

    def is_protected(self, ref: str) -> bool:
        """Return whether a full ref name is one of the protected branches."""
        return any(fnmatchcase(ref, pattern) for pattern in self.policy["protected"])


def check_root(root: str | None) -> None:
    """Check that a pinned root is a digest, or that none is given.

    Raises:
        UsageError: it is not ``sha256:<hex>``.
    """
    if root is not None and not re.fullmatch("sha256:[0-9a-f]{64}", root):
        raise UsageError(f"{root!r} is no root digest", hint="as promptops policy verify prints it: sha256:...")


def load(source: Source, *, revoked: bytes = b"") -> Trust:
    """Read the policy, its keys and its chain; nothing is verified yet (see `Trust.verify_chain`).

    Args:
        source: the state of the repository that decides.
        revoked: further revoked public keys, one a line.

    Raises:
        RefusedError: a file is missing.
        InputError: a file is malformed, or the policy contradicts itself.
    """
    files: dict[str, bytes] = {}
    for path in FILES:
        data = source.read(path)
        if data is None:
            hint = f"bring it back: git log -- {path}" if files else _SETUP
            raise RefusedError(f"{path} is missing in the {source.label}", hint=hint, path=path)
        files[path] = data
    document = yaml.load(files[POLICY], POLICY)
    schemas.check_document("policy", document)
    found = lint.of_policy(document, signers.parse(files[signers.ALLOWED]))
    for problem in found:
        if problem.severity == "block":
            place = {"path": problem.path, "hint": problem.hint}
            raise InputError(problem.message, **place, line=problem.line, column=problem.column)
    united = b"\n".join([files[signers.REVOKED].rstrip(b"\n"), revoked, signers.own_revocations()]).strip(b"\n") + b"\n"
    signers.revoked(united)
    digests = {path: chain.sha256(data) for path, data in files.items()}
    links = _links(source, document.value["version"])
    return Trust(document.value, files[signers.ALLOWED], united, digests, links)


def _links(source: Source, version: int) -> tuple[Envelope, ...]:
    found = []
    for number in range(1, version + 1):
        data = source.read(chain.path(number))
        if data is None:
            break
        try:
            found.append(envelope.parse(data))
        except InputError as error:
            raise InputError(error.message, path=chain.path(number)) from error
    return tuple(found)
