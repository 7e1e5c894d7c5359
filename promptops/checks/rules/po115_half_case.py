"""PO115: a case has a part of what a measure of its suite needs, so that no measure reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.checks import suites
from promptops.checks.finding import Finding
from promptops.checks.rule import ChangeSubject, Text
from promptops.errors import InputError
from promptops.registry.prompt import EVALS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promptops.registry.yaml import Document

ID = "PO115"
TEXT = Text(
    title="A case is half written",
    why=(
        "A measure compares views of one matter. A case that has some of them, or the gold answers of some, is read by"
        " no measure of its suite: it would be left out without a word, and the suite would be smaller than it looks."
    ),
    fix="Write the view or the answer that the finding names, or take the case out.",
    example="- id: rent\n  views:\n    own_first: {input: ...}     # and no own_second",
)


def check(change: ChangeSubject) -> Iterator[Finding]:
    """Yield a finding for each inline case that a measure lacks a part of and that no other measure can read."""
    if not any(path.startswith(EVALS) for path in change.paths):
        return
    for document in suites.holding(change.source, b"views"):
        yield from _suite(document)


def _suite(document: Document) -> Iterator[Finding]:
    from promptops.evaluation import suite
    from promptops.evaluation.measures import fit

    try:
        found = suite.parse(document.path.removeprefix(EVALS).removesuffix(".yaml"), document.value)
    except InputError:
        # What contradicts itself is PO101's.
        return
    for index, case in enumerate(found.cases):
        lacks = fit.half(found.evaluators.values(), case)
        if lacks:
            place = document.where(("cases", index))
            yield Finding(document.path, *place, ID, f"case {case.id} is half written: {lacks}", "write what it lacks")
