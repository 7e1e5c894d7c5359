"""Files that ship with the package: JSON Schemas and templates."""

from __future__ import annotations

import os

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def path(*parts: str) -> str:
    """Return the absolute path of a shipped file, as ``path("schemas", "prompt.schema.json")``.

    In a wheel the folders travel inside the package; in an editable install they stand beside it.
    """
    packaged = os.path.join(_PACKAGE, "_data")
    base = packaged if os.path.isdir(packaged) else os.path.dirname(_PACKAGE)
    return os.path.join(base, *parts)


def read(*parts: str) -> bytes:
    """Return the bytes of a shipped file."""
    with open(path(*parts), "rb") as file:
        return file.read()
