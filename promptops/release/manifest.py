"""The release manifest: what was released, what it was judged on, and by whom, as one in-toto statement."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import RefusedError
from promptops.registry import canonical, schemas
from promptops.trust.statement import TYPE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from promptops.registry.configuration import Configuration

PREDICATE = "urn:promptops:release:v1"
MAX_BYTES = 1 << 20


class Link(NamedTuple):
    """An earlier release: its tag and the SHA-256 (hex) of its manifest's bytes."""

    tag: str
    digest: str


class Canary(NamedTuple):
    """What the manifest says about the canary: either it ran, or who skipped it and why.

    Attributes:
        digest: SHA-256 (hex) of the canary's envelope; None when it was skipped.
        verdict: ``pass`` or ``inconclusive``; ``skipped`` when it did not run.
        share: fraction in (0, 1] of traffic replayed; 0 when it did not run.
        attempts: canaries started against this baseline; 0 when none was.
        reason: why it was skipped.
        by: who skipped it.
    """

    digest: str | None = None
    verdict: str = "skipped"
    share: float = 0.0
    attempts: int = 0
    reason: str | None = None
    by: str | None = None


class Manifest(NamedTuple):
    """A release.

    Attributes:
        sequence: 1 for the first release of the prompt, then one more than the previous.
        previous: the release before it, or None for the first.
        baseline: the release it was compared with: the newest before it that was not withdrawn, or None.
        configuration: ``sha256:<hex>`` of prompt, model and parameters.
        blobs: git object id and SHA-256 (hex) of each file of the configuration, by path.
        model: ``file``, ``provider``, ``requested`` and ``reported`` ids and fingerprints.
        policy: ``digest``, ``version`` and ``root`` digest of the policy in the tagged commit.
        solo: whether the policy asked for no approval.
        approvals: SHA-256 (hex) of each request and approval envelope relied on.
        traffic: digest of the replayed traffic, or None.
        created: the signer's clock, RFC 3339 in UTC; informative.
        sensitivity: what the gate caught of prompts that were made worse on purpose: ``configuration`` that was
            changed, and counts by ``classes``; None where that is not known for the suites that judged.
    """

    name: str
    version: str
    tag: str
    sequence: int
    previous: Link | None
    baseline: Link | None
    commit: str
    tree: str
    configuration: str
    blobs: dict[str, tuple[str, str]]
    model: dict[str, Any]
    parameters: dict[str, Any]
    context: list[Any]
    policy: dict[str, Any]
    solo: bool
    approvals: tuple[str, ...]
    canary: Canary
    traffic: str | None
    tool: str
    created: str
    sensitivity: dict[str, Any] | None = None

    def statement(self) -> dict[str, Any]:
        """Return the in-toto statement that is signed."""
        return {
            "_type": TYPE,
            "subject": [
                {"name": "commit", "digest": {"gitCommit": self.commit}},
                {"name": self.tag, "digest": {"sha256": self.configuration.removeprefix("sha256:")}},
            ],
            "predicateType": PREDICATE,
            "predicate": {
                "name": self.name,
                "version": self.version,
                "tag": self.tag,
                "sequence": self.sequence,
                "previous": _link_document(self.previous),
                "baseline": _link_document(self.baseline),
                "commit": self.commit,
                "tree": self.tree,
                "configuration": self.configuration,
                "blobs": {path: {"gitBlob": oid, "sha256": sha} for path, (oid, sha) in self.blobs.items()},
                "model": self.model,
                "parameters": self.parameters,
                "context": self.context,
                "policy": self.policy,
                "review": {"mode": "solo" if self.solo else "reviewed"},
                "approvals": list(self.approvals),
                "canary": _canary_document(self.canary),
                "traffic": self.traffic,
                "tool": {"name": "promptops", "version": self.tool},
                "created": self.created,
                **({"sensitivity": self.sensitivity} if self.sensitivity else {}),
            },
        }


def _link_document(link: Link | None) -> dict[str, Any] | None:
    return {"tag": link.tag, "digest": {"sha256": link.digest}} if link else None


def _link(value: dict[str, Any] | None) -> Link | None:
    return Link(value["tag"], value["digest"]["sha256"]) if value else None


def _canary_document(canary: Canary) -> dict[str, Any]:
    if canary.digest is None:
        return {"skipped": canary.reason, "by": canary.by}
    return {
        "digest": {"sha256": canary.digest},
        "verdict": canary.verdict,
        "share": canary.share,
        "attempts": canary.attempts,
    }


def digest(payload: bytes) -> str:
    """Return the SHA-256 (hex) by which the next release, the canary's order and decisions name a manifest.

    Args:
        payload: the statement's bytes as signed; a second signature over them leaves the digest as it is.
    """
    return hashlib.sha256(payload).hexdigest()


def parse(payload: bytes) -> Manifest:
    """Parse a manifest whose signature was verified over these very bytes.

    Raises:
        RefusedError: it does not fit the published schema, or contradicts itself.
        InputError: it is not strict JSON.
    """
    value = canonical.loads(payload, limit=MAX_BYTES)
    for problem in schemas.problems("manifest", value):
        place = ".".join(map(str, problem.pointer))
        raise RefusedError(f"manifest: {place}: {problem.message}", hint="promptops schema manifest")
    stated = value["predicate"]
    canary = stated["canary"]
    manifest = Manifest(
        name=stated["name"],
        version=stated["version"],
        tag=stated["tag"],
        sequence=stated["sequence"],
        previous=_link(stated["previous"]),
        baseline=_link(stated["baseline"]),
        commit=stated["commit"],
        tree=stated["tree"],
        configuration=stated["configuration"],
        blobs={path: (blob["gitBlob"], blob["sha256"]) for path, blob in stated["blobs"].items()},
        model=stated["model"],
        parameters=stated["parameters"],
        context=stated["context"],
        policy=stated["policy"],
        solo=stated["review"]["mode"] == "solo",
        approvals=tuple(stated["approvals"]),
        canary=Canary(reason=canary["skipped"], by=canary["by"])
        if "skipped" in canary
        else Canary(canary["digest"]["sha256"], canary["verdict"], canary["share"], canary["attempts"]),
        traffic=stated["traffic"],
        tool=stated["tool"]["version"],
        created=stated["created"],
        sensitivity=stated.get("sensitivity"),
    )
    # Subjects repeat the predicate, so two readers of one manifest must find the same commit, tag and digest.
    if manifest.statement() != value:
        raise RefusedError("the manifest's subjects and predicate name different things")
    return manifest


def configuration_paths(configuration: Configuration) -> list[str]:
    """Return the paths of the files that make a configuration: the prompt, its model and its includes."""
    from promptops.registry.templates import include_path

    includes = [include_path(name) for name in configuration.includes]
    return sorted({configuration.prompt.path, configuration.model.path, *includes})


def model_record(configuration: Configuration, seen: list[Mapping[str, str | None]]) -> dict[str, Any]:
    """Return the manifest's ``model``.

    Args:
        configuration: what is released.
        seen: ``{requested, reported, fingerprint}`` from the canary's replies.
    """
    model = configuration.model
    reported = {(item.get("reported"), item.get("fingerprint")) for item in seen if item.get("requested") == model.id}
    return {
        "file": model.name,
        "provider": model.provider,
        "requested": model.id,
        "reported": [
            {"model": name, "fingerprint": fingerprint}
            for name, fingerprint in sorted(reported, key=lambda pair: (pair[0] or "", pair[1] or ""))
        ],
    }
