"""What a look at a machine or a clone finds."""

from __future__ import annotations

from typing import NamedTuple


class Probe(NamedTuple):
    """One finding.

    Attributes:
        name: what was looked at.
        state: ``ok``, ``warn`` (works, with a loss), ``missing`` or ``broken`` (something will fail), or ``mended``.
        detail: what was found and, when it is mended, what was done.
        mend: the command or step that mends it; empty when ``ok`` or ``mended``.
    """

    name: str
    state: str
    detail: str
    mend: str = ""
