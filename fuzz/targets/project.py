"""The project file: what is accepted fits its JSON Schema, and says what the file says."""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema
from oracle import ViolationError, require, require_place

from promptops.errors import InputError
from promptops.registry import project, quick, schemas, yaml

SPLIT = b""
PIECES = (
    *[b"version: 1\n", b"canary: ", b"share: ", b'"5%"', b'"0%"', b'"100.5%"', b'"1e1%"', b'"5%\\n"', b'"\xd9\xa5%"', b"minimum: ", b"suites_required: [safety]", b"margin: "],
    *[b"budget: {usd: 5, requests: 4000, seconds: 900, tokens: 1}", b"on_inconclusive: ", b"block", b"warn", b"off", b"traffic: {path: ../traffic, redact: [email]}"],
    *[b"environments: {staging: {}, prod: {stages: ['1%', '50%']}}", b"enforcement: {PO204: warn}", b"baseline: x", b"release: {push: true, remote: origin}"],
    *[b"\n", b"  ", b": ", b", ", b"{", b"}", b"[", b"]", b"- ", b"1", b"0", b"-1", b"1.5", b"1e400", b"true", b"null", b'"', b"'", b"x", b"\\n", b"-", b"--upload-pack=x", b"..", b"/"],
)  # fmt: skip


def target(data: bytes) -> None:
    """Parse, and hold the result against the schema."""
    try:
        found = project.parse_project("promptops.yaml", data)
    except InputError as error:
        require_place(
            error,
            "promptops.yaml",
            data.count(b"\n") + data.count(b"\r") + data.count(b"\xc2\x85") + data.count(b"\xe2\x80") + 1,
        )
        raise
    value = yaml.load(data, "promptops.yaml").value
    require_schema("project", value)
    canary = value.get("canary", {})
    require(0 < found.canary.share <= 1, "a share outside of (0, 1]")
    require(
        "share" not in canary or abs(found.canary.share - float(canary["share"][:-1]) / 100) < 1e-12, "another share"
    )
    require(list(found.canary.suites_required) == canary.get("suites_required", []), "other suites")
    require(found.push == value.get("release", {}).get("push", False), "another setting of push")
    require(set(found.enforcement.values()) <= {"block", "warn", "off"}, "an unknown enforcement")


def require_schema(name: str, value: Any) -> None:
    """Raise unless the reference validator accepts ``value``, and the small one accepts nothing that it refuses."""
    error = next(_reference(name).iter_errors(value), None)
    if error is not None:
        raise ViolationError(f"accepted against the schema {name}: {error.message[:150]}")
    require(quick.accepts(schemas.schema(name), value) or not schemas.problems(name, value), "the validators differ")


@cache
def _reference(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schemas.schema(name))
