"""Text as it is printed."""

from __future__ import annotations

import re

# They can hide or reorder what a reader sees: C0 and C1 controls, DEL, line and paragraph separators, bidirectional
# controls, surrogates, and what Unicode lets a font leave out (Default_Ignorable_Code_Point: zero-width characters,
# fillers, tags, variation selectors). U+FE0E and U+FE0F stay: they choose between the two looks of an emoji.
_UNSAFE = (
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def printable(text: str, *, keep_newlines: bool = False) -> str:
    r"""Return ``text`` with every control or invisible character written as an escape such as ``\x1b`` or ``\u202e``.

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
