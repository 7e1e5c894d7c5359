"""PO111: the data of a suite is not the reviewed one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from promptops.checks import suites
from promptops.checks.finding import Finding
from promptops.checks.rule import ChangeSubject, Text
from promptops.errors import InputError
from promptops.registry.prompt import EVALS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promptops.registry.yaml import Document

ID = "PO111"
TEXT = Text(
    title="The data of a suite is not the reviewed one",
    why=(
        "A suite names the files and the code that make its cases by digest, so that whoever reviews the suite reviews"
        " what is asked. A file with another digest is refused when a canary or a release wants to read it."
    ),
    fix="Review the change of the data and write its digest into the suite, or bring the reviewed file back.",
    example="data:\n  - {path: evals/data/questions.jsonl, sha256: ..., format: jsonl, licence: MIT, source: ours}",
)


def check(change: ChangeSubject) -> Iterator[Finding]:
    """Yield a finding for each file that a suite pins with another digest, or that does not exist."""
    if not any(path.startswith(EVALS) for path in change.paths):
        return
    for document in suites.holding(change.source, b"data"):
        yield from _suite(change, document)


def _suite(change: ChangeSubject, document: Document) -> Iterator[Finding]:
    for index, entry in enumerate(document.value.get("data", ())):
        yield from _pinned(change, document, entry, ("data", index))
        for name, also in entry.get("also", {}).items():
            yield from _pinned(change, document, also, ("data", index, "also", name))


def _pinned(
    change: ChangeSubject, document: Document, entry: dict[str, Any], place: tuple[str | int, ...]
) -> Iterator[Finding]:
    from promptops.evaluation import callables
    from promptops.evaluation.datasets import rows

    path = entry["path"] if "path" in entry else callables.location(entry["callable"]).path
    try:
        data = change.source.read(path)
    except InputError as error:
        yield Finding(document.path, *document.where(place), ID, f"{path}: {error.message}", error.hint or "")
        return
    if data is None:
        message, hint = f"{path} does not exist", "add the file, or take it out of `data`"
    elif "path" in entry and len(data) > rows.MAX_BYTES:
        message, hint = f"{path} is larger than the limit of {rows.MAX_BYTES:,} bytes", "split it, or keep fewer rows"
    elif (actual := hashlib.sha256(data).hexdigest()) != entry["sha256"]:
        message = f"{path} has the digest {actual}, not {entry['sha256']}"
        hint = "review the file and write its digest into the suite, or bring the reviewed file back"
    else:
        return
    yield Finding(document.path, *document.where((*place, "sha256")), ID, message, hint)
