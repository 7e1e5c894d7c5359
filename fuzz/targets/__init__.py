"""What is fuzzed, one module each.

A module has ``target(data)``, which returns for input that is accepted, raises `promptops.errors.PromptopsError` for
input that is refused, and anything else where a promise is broken; and for the mutator ``PIECES``, texts that mean
something to the format, and ``SPLIT``, what stands between the parts of an input that are JSON or YAML each.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

# Slow ones first, so that the last ones to end are short.
NAMES = (
    "template",
    "policy",
    "project",
    "yaml_reader",
    "traffic",
    "journal",
    "reply",
    "envelope",
    "tag",
    "version",
)


class Target(Protocol):
    """A module of this package."""

    PIECES: Sequence[bytes]
    SPLIT: bytes | None

    def target(self, data: bytes) -> None:
        """Judge one input."""


def load(name: str) -> Target:
    """Return the module of a target."""
    return cast("Target", import_module(f"{__name__}.{name}"))
