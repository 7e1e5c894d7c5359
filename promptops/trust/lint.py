"""What is wrong with a policy and its keys, as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import InputError
from promptops.registry import schemas, yaml
from promptops.registry.governed import POLICY
from promptops.trust import signers, sshsig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promptops.repo.source import Source
    from promptops.trust.signers import Signer


_FILES = (POLICY, signers.ALLOWED, signers.REVOKED)


class Problem(NamedTuple):
    """One thing that is wrong.

    Attributes:
        severity: ``block`` for what makes the policy unusable or unsafe, ``warn`` for what will get in somebody's way.
    """

    path: str
    line: int | None
    column: int | None
    message: str
    hint: str | None
    severity: str = "block"


def is_absent(source: Source) -> bool:
    """Return whether one state has no policy file at all."""
    return all(source.read(path) is None for path in _FILES)


def problems(source: Source) -> list[Problem]:
    """Return everything that is wrong with the policy files of one state; signatures are another matter.

    A repository without any of them has no problem here.
    """
    if is_absent(source):
        return []
    files = {path: source.read(path) for path in _FILES}
    found = [
        Problem(path, None, None, "the file is missing", "promptops policy init; revoked_keys may be empty")
        for path, data in files.items()
        if data is None
    ]
    lines: list[Signer] = []
    try:
        lines = signers.parse(files[signers.ALLOWED] or b"")
        signers.revoked(files[signers.REVOKED] or b"")
    except InputError as error:
        found.append(_problem(error))
    policy = files[POLICY]
    if policy is not None:
        try:
            document = yaml.load(policy, POLICY)
            schemas.check_document("policy", document)
            found += of_policy(document, lines)
        except InputError as error:
            found.append(_problem(error))
    return found


def of_policy(document: yaml.Document, lines: list[Signer]) -> list[Problem]:
    """Return the contradictions in a policy that fits its schema, and between it and the keys."""
    return [*_principals(document, lines), *_plain(document, lines), *_names(document), *_counts(document, lines)]


def principals(entry: Any) -> tuple[str, ...]:
    """Return the principals of one entry of ``people``, in either of its two forms."""
    return tuple(entry["principals"] if isinstance(entry, dict) else entry)


def plain_keys(entry: Any) -> tuple[str, ...]:
    """Return the fingerprints of the keys of one entry of ``people`` that make plain signatures."""
    return tuple(entry.get("plain_keys", ())) if isinstance(entry, dict) else ()


def is_bot(entry: Any) -> bool:
    """Return whether an entry of ``people`` is a machine."""
    return isinstance(entry, dict) and bool(entry.get("bot", False))


def _problem(error: InputError) -> Problem:
    return Problem(error.path or POLICY, error.line, error.column, error.message, error.hint)


def _at(document: yaml.Document, pointer: tuple[str | int, ...], message: str, hint: str, severity: str) -> Problem:
    return Problem(document.path, *document.where(pointer), message, hint, severity)


def _principals(document: yaml.Document, lines: list[Signer]) -> Iterator[Problem]:
    owner: dict[str, str] = {}
    for name, entry in document.value["people"].items():
        for principal in principals(entry):
            if principal in owner:
                message = f"{principal} belongs to {owner[principal]} and to {name}: one key would be two people"
                yield _at(document, ("people", name), message, "give each person their own principal", "block")
            owner.setdefault(principal, name)
        if not any(line.principal in principals(entry) for line in lines):
            hint = f"promptops key add {name} FILE.pub"
            yield _at(document, ("people", name), f"{name} has no key in allowed_signers", hint, "warn")
    for line in lines:
        if line.principal not in owner:
            hint = f"add {line.principal} to people in {POLICY}, or remove the line"
            message = f"{line.principal} belongs to nobody in the policy, so the key counts for nothing"
            yield Problem(signers.ALLOWED, line.number, None, message, hint, "warn")
        if line.dated:
            message = f"the key of {line.principal} has a date: past it, everything that it ever signed is refused"
            hint = "signers write their own dates, so remove or revoke a key instead: promptops key rotate, revoke"
            yield Problem(signers.ALLOWED, line.number, None, message, hint, "warn")
        if (signers.rsa_bits(line.public_key) or signers.MIN_RSA_BITS) < signers.MIN_RSA_BITS:
            message = f"RSA key of {line.principal} is shorter than {signers.MIN_RSA_BITS} bits"
            yield Problem(signers.ALLOWED, line.number, None, message, "promptops key rotate to an ed25519 key")


def _plain(document: yaml.Document, lines: list[Signer]) -> Iterator[Problem]:
    """Yield what is wrong with keys whose signatures OpenSSH does not verify, and so holds to nothing."""
    by_print = {sshsig.fingerprint(line.public_key): line for line in lines}
    for name, entry in document.value["people"].items():
        for index, key in enumerate(plain_keys(entry)):
            wrong = _unfit(by_print.get(key), principals(entry))
            if wrong:
                message, pointer = f"plain key {key} of {name} {wrong}", ("people", name, "plain_keys", index)
                severity = "block" if key in by_print else "warn"
                yield _at(document, pointer, message, "promptops key list", severity)


def _unfit(line: Signer | None, own: tuple[str, ...]) -> str | None:
    if line is None:
        return "is not in allowed_signers, so it counts for nothing"
    if line.principal not in own:
        return f"belongs to {line.principal}"
    if signers.key_type(line.public_key) not in signers.PLAIN_TYPES:
        return f"is of a type that makes no plain signatures; these do: {', '.join(signers.PLAIN_TYPES)}"
    if line.dated:
        return "has a date, which only OpenSSH looks at"
    foreign = {sshsig.GIT, sshsig.POLICY} & set(line.namespaces)
    return f"may sign for {', '.join(sorted(foreign))}, which takes an SSH signature" if foreign else None


def _names(document: yaml.Document) -> Iterator[Problem]:
    value = document.value
    people, roles = value["people"], value.get("roles", {})
    groups: list[tuple[tuple[str | int, ...], list[str]]] = [(("roots", "of"), value["roots"]["of"])]
    groups += [(("roles", role), members) for role, members in roles.items()]
    for pointer, members in groups:
        for name in members:
            if name not in people:
                yield _at(document, pointer, f"{name} is not one of the people", "add the person or the name", "block")
    for name in value["roots"]["of"]:
        if name in people and is_bot(people[name]):
            yield _at(document, ("roots", "of"), f"root {name} is a bot", "roots are people", "block")
    for index, rule in enumerate(value["approvals"].get("rules", ())):
        if "role" in rule and rule["role"] not in roles:
            hint = "add it to roles"
            yield _at(document, ("approvals", "rules", index), f"there is no role {rule['role']}", hint, "block")


def _counts(document: yaml.Document, lines: list[Signer]) -> Iterator[Problem]:
    value = document.value
    people = value["people"]

    def able(names: Any, namespace: str) -> int:
        """Count the people among ``names`` whose key may sign in ``namespace``."""
        keyed = {line.principal for line in lines if namespace in line.namespaces}
        humans = [people[name] for name in names if name in people and not is_bot(people[name])]
        return sum(any(principal in keyed for principal in principals(entry)) for entry in humans)

    threshold, roots = value["roots"]["threshold"], value["roots"]["of"]
    if able(roots, sshsig.POLICY) < threshold:
        message = f"{threshold} roots must sign, but only {able(roots, sshsig.POLICY)} of them can"
        hint = f"lower the threshold, or give the roots keys with the namespace {sshsig.POLICY}"
        yield _at(document, ("roots", "threshold"), message, hint, "block")
    default = value["approvals"]["default"]
    if default and able(people, sshsig.APPROVAL) < default + 1:
        message = f"{default} approvals besides the requester's need {default + 1} people with keys"
        hint = "promptops key add; or approvals.default: 0 for working alone"
        yield _at(document, ("approvals", "default"), message, hint, "warn")
    for index, rule in enumerate(value["approvals"].get("rules", ())):
        members = value.get("roles", {}).get(rule.get("role"), people)
        if able(members, sshsig.APPROVAL) < rule["approvals"]:
            message = f"{rule['approvals']} approvals are asked for, but fewer people can give them"
            yield _at(document, ("approvals", "rules", index), message, "name more people in the role", "warn")
