"""The suites of one state, for rules that look at all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.errors import InputError
from promptops.registry import schemas, yaml
from promptops.registry.governed import schema_of
from promptops.registry.prompt import EVALS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promptops.registry.yaml import Document
    from promptops.repo.source import Source


def holding(source: Source, *words: bytes) -> Iterator[Document]:
    """Yield the suites whose text holds one of ``words``; most hold none, and need not be parsed to know.

    One that cannot be read or does not fit its schema is left out, since PO101 reports it.
    """
    for path in sorted(source.entries(EVALS)):
        if schema_of(path) != "suite":
            continue
        try:
            data = source.read(path) or b""
            if not any(word in data for word in words):
                continue
            document = yaml.load(data, path)
        except InputError:
            continue
        if not schemas.problems("suite", document.value):
            yield document
