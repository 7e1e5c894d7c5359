"""Turn markers of chat formats: where they are, and how text is kept from holding one that its author did not write.

Servers that build the raw text of a conversation read these as the ends and beginnings of turns.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from promptops.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Container

# No marker may hold the first or last character of another: `break_markers` relies on it that two never overlap, and
# that breaking one makes no other.
MARKER = re.compile(
    # ChatML (Qwen, Yi, Phi-4), Llama 3 and 4, Phi-3, Zephyr, GLM, Granite, Kimi, gpt-oss, Command R; DeepSeek and
    # Hunyuan write full-width bars (FF5C) and low lines (2581). Angles may be full-width (FF1C, FF1E) or single quotes
    # (2039, 203A): a tokenizer that normalizes text reads some of them as plain ones.
    r"[<\u2039\uff1c]/?[|\uff5c][\w\u2581 ./:-]{1,64}[|\uff5c][>\u203a\uff1e]"
    # Gemma 4.
    r"|<\|(?:turn|channel|think|tool|tool_call|tool_response)>|<(?:turn|channel|tool|tool_call|tool_response)\|>"
    # Gemma 1 to 3; Llama 2 and Mistral; Command R; GLM.
    r"|<(?:start|end)_of_turn>|</?s>|<(?:bos|eos|BOS_TOKEN|EOS_TOKEN|EOP_TOKEN|sop|eop)>"
    # Llama 2.
    r"|<</?SYS>>"
    # Nemotron.
    r"|<(?:extra_id_|SPECIAL_)[0-9]{1,3}>"
    # Llama 2 and Mistral; GLM.
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|gMASK)\]"
    # EXAONE.
    r"|\[[|\uff5c](?:system|user|assistant|tool|endofturn)[|\uff5c]\]"
)
_MAX_DEPTH = 100


class Own(str):
    """A turn marker that stands in the text of a template itself."""

    __slots__ = ()

    def __str__(self) -> str:
        """Return itself: rendered code asks for the text of everything."""
        return self


def may_hold(text: str) -> bool:
    """Return whether ``text`` has a character that every marker starts with; far cheaper than to search."""
    return "<" in text or "[" in text or "\u2039" in text or "\uff1c" in text


def break_markers(text: str, own: Container[tuple[int, int]] = ()) -> str:
    """Return ``text`` with every marker broken by spaces: ``<|im_start|>`` becomes ``< |im_start| >``.

    Args:
        text: any text.
        own: start and end of the markers that stay.
    """
    if not may_hold(text):
        return text

    def broken(match: re.Match[str]) -> str:
        found = match[0]
        return found if match.span() in own else f"{found[0]} {found[1:-1]} {found[-1]}"

    return MARKER.sub(broken, text)


def neutral(value: Any, depth: int = 0) -> Any:
    """Return a variable's value with the turn markers in its texts and keys broken.

    Raises:
        InputError: lists and objects are nested more than 100 deep.
    """
    if isinstance(value, str):
        return break_markers(value)
    if isinstance(value, (list, tuple, dict)):
        if depth > _MAX_DEPTH:
            raise InputError(f"a variable's value is nested more than {_MAX_DEPTH} deep")
        if isinstance(value, dict):
            return {neutral(key): neutral(item, depth + 1) for key, item in value.items()}
        kind = list if isinstance(value, list) else tuple
        return kind(neutral(item, depth + 1) for item in value)
    return value
