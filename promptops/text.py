"""Text as it is printed."""

from __future__ import annotations

import re

# C0 and C1 controls, DEL, zero-width and bidirectional marks: they can hide or reorder what a reader sees.
_UNSAFE = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"


def printable(text: str, *, keep_newlines: bool = False) -> str:
    r"""Return ``text`` with every control or invisible character written as a ``\x..`` or ``\u....`` escape.

    Newlines and tabs become ``\n`` and ``\t`` unless ``keep_newlines``.
    """
    if text.isascii() and text.isprintable():
        # Most text is; compiling the pattern takes longer than printing all of it.
        return text
    safe = re.sub(_UNSAFE, lambda match: match[0].encode("unicode_escape").decode(), text)
    return safe if keep_newlines else safe.replace("\n", "\\n").replace("\t", "\\t")


def counted(count: int, noun: str) -> str:
    """Return ``1 pair``, ``2 pairs``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
