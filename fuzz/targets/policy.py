"""The policy, its keys and its revocations: what is loaded fits the schema, has no blocking problem, one name a key."""

from __future__ import annotations

import base64
from typing import NamedTuple

from oracle import require

from promptops.errors import PromptopsError
from promptops.trust import lint, policy, signers
from targets.project import require_schema

SPLIT = b"\n%%\n"
PIECES = (
    *[b"version: 1\n", b"people:\n", b"  eve: [eve@example.org]\n", b"roots: {threshold: 1, of: [alice]}\n", b"threshold: 0", b"threshold: 99"],
    *[b"approvals: {default: 0}", b"rules: [{paths: ['*'], approvals: 1}]", b"roles: {release: [alice]}", b"bot: true", b"bind: tree", b"owners: true"],
    *[b"protected: ['*']", b"\n%%\n", b"\n", b" ", b"\t", b"\r", b",", b"*", b"?", b"!", b'"', b"\\", b"#", b'namespaces="git" ', b'namespaces="*" '],
    *[b"cert-authority ", b'valid-before="20300101" ', b"ssh-ed25519 ", b"ssh-rsa ", b"ssh-dss ", b"alice@example.org ", b"eve@example.org "],
    *[b"AAAAC3NzaC1lZDI1NTE5AAAAI", b"AAAA", b"==", b"\x0b", b"\x0c", b"\xc2\x85", b"\xe2\x80\xa8", b"\x00", b"\xff", b"SSHKRL\n\0", b"- ", b": ", b"{", b"}", b"[", b"]", b"1", b"-1", b"true"],
)  # fmt: skip


class Files(NamedTuple):
    """A state of a repository that holds these files and nothing else."""

    files: dict[str, bytes]
    label: str = "state"

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes."""
        return self.files.get(path)


def target(data: bytes) -> None:
    """Load ``POLICY%%ALLOWED_SIGNERS%%REVOKED_KEYS``."""
    parts = (data + SPLIT * 2).split(SPLIT)
    source = Files(dict(zip(policy.FILES, parts[:3], strict=True)))
    blocked = [problem for problem in lint.problems(source) if problem.severity == "block"]  # type: ignore[arg-type]
    for problem in blocked:
        require(problem.path in policy.FILES and problem.message, "a problem without a place")
    try:
        loaded = policy.load(source)  # type: ignore[arg-type]
    except PromptopsError:
        require(blocked, "refused without a reason that lint could show")
        raise
    require(not blocked, f"loaded in spite of {blocked[:1]}")
    require_schema("policy", loaded.policy)
    _check_people(loaded)
    _check_signers(parts[1], parts[2])


def _check_people(loaded: policy.Trust) -> None:
    seen: dict[str, str] = {}
    for name, entry in loaded.policy["people"].items():
        for principal in lint.principals(entry):
            require(seen.setdefault(principal, name) == name, f"{principal} is two people")
            require(loaded.owner(principal) == name, f"{principal} is somebody else")
    roots = loaded.policy["roots"]
    require(1 <= roots["threshold"] <= len(set(roots["of"])), "a threshold that nobody, or everybody, meets")
    require(set(roots["of"]) <= loaded.policy["people"].keys(), "a root that is nobody")
    need = loaded.required(["prompts/a.yaml", "-x", "evals/safety.yaml"], ["alice"])
    require(need.approvals >= loaded.policy["approvals"]["default"], "a rule lowers the default")


def _check_signers(allowed: bytes, revoked: bytes) -> None:
    lines = signers.parse(allowed)
    require(len({line.public_key for line in lines}) == len(lines), "one key on two lines")
    texts = allowed.decode().split("\n")
    for line in lines:
        text = texts[line.number - 1]
        require(
            not set(line.principal) & set("*?!,\"'\\ \t") and text.split()[0] == line.principal,
            "a name with two readings",
        )
        require(
            line.namespaces and not any(set(each) & set("*?! ") for each in line.namespaces), "a key for everything"
        )
        kind, key = signers.key_text(line.public_key).split()
        require(kind in text.split() and base64.b64decode(key) == line.public_key, "another key than the line's")
        options = "".join(text.strip().removeprefix(line.principal).split('"')[::2]).partition("ssh-")[0]
        require("cert-authority" not in options, "a key that may make others")
    signers.revoked(revoked)
