"""From recorded requests to new cases of a suite."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from promptops.evaluation import traffic
from promptops.evaluation.recording import redaction
from promptops.evaluation.recording.duplicates import Seen
from promptops.registry import edit, yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from promptops.evaluation.suite import Suite
    from promptops.evaluation.traffic import Record
    from promptops.registry.yaml import Document

# Duplicates are left out, so that more are looked at than are wanted.
_SPARE = 5
_SMALLEST_SHARE = 2.0**-32


@dataclass(frozen=True, slots=True)
class Growth:
    """What is new.

    Attributes:
        cases: to add, as they stand in a suite's file.
        looked_at: how many recorded requests were looked at.
        total: how many of the prompt are recorded.
        left_out: how many were left out, by reason.
        redacted: what was taken out of the new cases, by kind.
    """

    cases: list[dict[str, Any]]
    looked_at: int
    total: int
    left_out: Counter[str] = field(default_factory=Counter)
    redacted: Counter[str] = field(default_factory=Counter)


def grow(
    folder: str,
    prompt: str,
    schema: Mapping[str, Any],
    suite: Suite | None,
    *,
    count: int,
    near: float,
    names: bool,
) -> Growth:
    """Return new cases from recorded traffic.

    The requests with the smallest slots come first, so that the same ones are chosen whenever and wherever this runs.

    Args:
        folder: of recorded traffic.
        prompt: whose requests.
        schema: the prompt's variables.
        suite: what the cases are for; None where it does not exist yet.
        count: most cases to add.
        near: similarity from which a request is left out.
        names: whether names are redacted too.

    Raises:
        InputError: a malformed line of traffic.
        PromptopsError: the folder does not exist, or names cannot be redacted.
    """
    found = traffic.choose(folder, prompt, share=_SMALLEST_SHARE, minimum=_SPARE * count)
    growth = Growth([], len(found.records), found.total)
    seen = Seen(near)
    known = set()
    for case in suite.cases if suite else ():
        known.add(case.id)
        for view in case.views.values():
            seen.add(view.input if view.input is not None else dict(view.variables or {}))
    for record in found.records:
        if len(growth.cases) == count:
            break
        made = _case(record, schema, growth, seen, known, names=names)
        if made is not None:
            growth.cases.append(made)
    return growth


def _case(
    record: Record, schema: Mapping[str, Any], growth: Growth, seen: Seen, known: set[str], *, names: bool
) -> dict[str, Any] | None:
    # What traffic calls a request may name a person.
    name = "traffic-" + hashlib.sha256(record.id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    if name in known:
        growth.left_out["there already"] += 1
        return None
    clean = redaction.redact(record.variables, names=names)
    only = next(iter(clean.value.values())) if len(clean.value) == 1 else None
    single = len(schema) == 1 and isinstance(only, str)
    asked = only if single else clean.value
    again = seen.kind(asked)
    if again:
        growth.left_out[again] += 1
        return None
    seen.add(asked)
    growth.redacted.update(clean.found)
    return {"id": name, "tags": ["traffic"], ("input" if single else "variables"): asked}


def new_file(prompt: str, cases: Sequence[Mapping[str, Any]]) -> bytes:
    """Return a suite that holds only these cases."""
    head = f"version: 1\ndescription: {edit.scalar(f'Requests to {prompt} from recorded traffic, redacted')}\ncases:\n"
    return (head + "".join(_lines(cases, "  "))).encode()


def grown(document: Document, cases: Sequence[Mapping[str, Any]]) -> bytes:
    """Return a suite's file with these cases at the end of its own; nothing else changes.

    Raises:
        InputError: its cases are written in a way that cannot be added to.
    """
    return edit.append(document, "cases", cases, lambda indent: "".join(_lines(cases, indent)))


def _lines(cases: Iterable[Mapping[str, Any]], indent: str) -> Iterable[str]:
    for case in cases:
        for place, (key, value) in enumerate(case.items()):
            yield f"{indent}{'- ' if not place else '  '}{key}: {edit.flow(value)}\n"


def check(data: bytes, path: str) -> Document:
    """Return a suite's file, read and checked against its schema.

    Raises:
        InputError: it is malformed.
    """
    from promptops.registry import schemas

    document = yaml.load(data, path)
    schemas.check_document("suite", document)
    return document
