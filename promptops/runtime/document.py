"""The snapshot file: one JSON document with a checksum and, where it is asked for, a signature.

The checksum finds damage. Only a signature tells who wrote a file.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import InputError
from promptops.runtime.assignment import HASH, SLOTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FORMAT = 2
# Entries of format 1 lack `rollout`; an application that was updated before its watch goes on reading them.
_READABLE = frozenset({1, FORMAT})
IMMEDIATE, NEW_CONVERSATIONS = "immediate", "new-conversations"
KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}
_BODY: dict[str, type] = {
    "version": str, "tag": str, "digest": str, "messages": list, "includes": dict, "variables": dict,
    "arguments": dict,
}  # fmt: skip
_ROLLOUT: dict[str, type] = {
    "id": str, "stage": int, "salt": str, "hash": str, "weights": dict, "scope": str, "arms": dict,
}  # fmt: skip


class Read(NamedTuple):
    """What is in a file.

    Attributes:
        document: the members ``format``, ``environment``, ``created`` (seconds since 1970) and ``prompts``.
        payload: the bytes that checksum and signature are over.
        signature: the armored signature, or None; nobody has verified it.
    """

    document: dict[str, Any]
    payload: bytes
    signature: str | None


def read(data: bytes) -> Read:
    """Take the bytes of a snapshot file apart.

    Raises:
        InputError: another format, content that does not match its checksum, entries that nothing can be made of, or
            text that cannot be encoded.
    """
    try:
        document: dict[str, Any] = json.loads(data)
        # An escape may stand for a lone surrogate, which no request could carry.
        json.dumps(document, ensure_ascii=False).encode()
        stated = document.pop("sha256")
        signature = document.pop("signature", None)
        covered = _covered(document)
        if document["format"] not in _READABLE or stated != _hex(covered):
            raise InputError("the file is damaged or of another format")
        if not isinstance(document["environment"], str) or not _is_time(document["created"]):
            raise InputError("the file has no environment or no time")
        for name, entry in document["prompts"].items():
            _check_entry(name, entry)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError("the file is damaged or no snapshot") from error
    return Read(document, covered, signature if isinstance(signature, str) else None)


def parse(data: bytes) -> dict[str, Any]:
    """Return the document of `read`.

    Raises:
        InputError: as `read`.
    """
    return read(data).document


def payload(environment: str, created: int, prompts: Mapping[str, Any]) -> bytes:
    """Return the bytes that the checksum and the signature of a file are over; see `serialize`."""
    return _covered(_document(environment, created, prompts))


def serialize(
    environment: str, created: int, prompts: Mapping[str, Any], *, sign: Callable[[bytes], bytes] | None = None
) -> bytes:
    """Return the bytes of a snapshot file.

    Args:
        environment: what the prompts are live in.
        created: seconds since 1970.
        prompts: entries by prompt name.
        sign: returns the armored signature of the bytes that it is given.
    """
    document = _document(environment, created, prompts)
    covered = _covered(document)
    document["sha256"] = _hex(covered)
    if sign is not None:
        document["signature"] = sign(covered).decode()
    return json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n"


def sequence(entry: Mapping[str, Any]) -> int:
    """Return the number of the decision that made an entry."""
    number: int = entry["decision"]["sequence"]
    return number


def _document(environment: str, created: int, prompts: Mapping[str, Any]) -> dict[str, Any]:
    return {"format": FORMAT, "environment": environment, "created": created, "prompts": prompts}


def _covered(document: Mapping[str, Any]) -> bytes:
    # Keys in their order: templates and models see the order of a default and of a schema.
    return json.dumps(document, separators=(",", ":")).encode()


def _hex(covered: bytes) -> str:
    return hashlib.sha256(covered).hexdigest()


def _is_time(value: Any) -> bool:
    # JSON as Python reads it has numbers that are none, and integers that no float can hold.
    return type(value) in {int, float} and 0 <= value < 1e12


def _check_entry(name: str, entry: dict[str, Any]) -> None:
    """Check what `promptops.runtime` relies on, so that no request is the first to meet a broken entry."""
    _check_body(name, entry)
    if type(entry["decision"]["sequence"]) is not int:
        raise InputError(f"{name} has no decision")
    rollout = entry.get("rollout")
    if rollout is None:
        return
    _check_members(name, rollout, _ROLLOUT)
    if rollout["hash"] != HASH:
        raise InputError(f"{name} assigns by {rollout['hash']}, which this version of promptops does not know")
    weights = [rollout["weights"][arm] for arm in ("canary", "baseline")]
    if any(type(weight) is not int or weight < 0 for weight in weights) or sum(weights) > SLOTS:
        raise InputError(f"{name} has weights that are no shares")
    if rollout["scope"] not in {IMMEDIATE, NEW_CONVERSATIONS}:
        raise InputError(f"{name} has an unknown scope")
    for arm in ("canary", "baseline"):
        if rollout["arms"][arm] is not None:
            _check_body(name, rollout["arms"][arm])


def _check_body(name: str, body: dict[str, Any]) -> None:
    _check_members(name, body, _BODY)
    texts = [text for message in body["messages"] for text in (message["role"], message["content"])]
    if not all(isinstance(text, str) for text in (*texts, *body["includes"].values())):
        raise InputError(f"{name} has a message that is no text")
    for variable in body["variables"].values():
        if variable["type"] not in KINDS or type(variable.get("maxLength", 0)) is not int:
            raise InputError(f"{name} has a variable of an unknown type")


def _check_members(name: str, found: dict[str, Any], kinds: dict[str, type]) -> None:
    wrong = [key for key, kind in kinds.items() if type(found[key]) is not kind]
    if wrong:
        raise InputError(f"{name}: {wrong[0]} is of the wrong type")
