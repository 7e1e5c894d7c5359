"""in-toto Statement v1: what a signature says about which content."""

from __future__ import annotations

from typing import Any

from promptops.errors import RefusedError

TYPE = "https://in-toto.io/Statement/v1"
REQUEST = "urn:promptops:request:v1"
APPROVAL = "urn:promptops:approval:v1"
POLICY = "urn:promptops:policy:v1"
_MEMBERS = frozenset({"_type", "subject", "predicateType", "predicate"})


def build(predicate_type: str, subject: list[dict[str, Any]], predicate: dict[str, Any]) -> dict[str, Any]:
    """Return a statement about ``subject`` (resource descriptors, each with a digest)."""
    return {"_type": TYPE, "subject": subject, "predicateType": predicate_type, "predicate": predicate}


def check(value: Any, predicate_type: str) -> dict[str, Any]:
    """Return ``value`` if it is a statement of the expected kind.

    Raises:
        RefusedError: another type or predicate type, or a subject that no digest pins down.
    """
    if not isinstance(value, dict) or value.get("_type") != TYPE:
        raise RefusedError("payload is not an in-toto Statement v1")
    if value.get("predicateType") != predicate_type:
        raise RefusedError(f"statement says {value.get('predicateType')!r}, not {predicate_type}")
    if value.keys() != _MEMBERS or not isinstance(value["predicate"], dict):
        raise RefusedError("statement has missing or unknown members")
    subject = value["subject"]
    if not isinstance(subject, list) or not subject or not all(map(_pinned, subject)):
        raise RefusedError("every subject of a statement needs a name and a sha256 digest")
    return value


def _pinned(subject: Any) -> bool:
    digest = subject.get("digest") if isinstance(subject, dict) else None
    value = digest.get("sha256") if isinstance(digest, dict) else None
    return (
        isinstance(subject.get("name"), str)
        and isinstance(value, str)
        and len(value) == 64
        and not value.strip("0123456789abcdef")
    )
