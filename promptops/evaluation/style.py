"""How a reply is written, apart from what it says: words, questions, hedges.

A panel to look at beside measures of stance, never one of them: on recorded replies of large models a product's system
prompt moved the number of words in 11 of 12 models, most of them for no reason that matters. Length is the confound of
every measure that reads prose, which is why `words` belongs beside it. Hedges are English only.
"""

from __future__ import annotations

import re

MAX_CHARACTERS = 20_000
# So many words score 1.
MOST_WORDS = 1000
# So many hedges in 100 words score 1; plain prose holds one or two.
MOST_HEDGES_PER_100_WORDS = 10

_HEDGE = re.compile(
    r"\b(?:maybe|perhaps|possibly|probably|presumably|arguably|apparently|roughly|likely|unlikely|seemingly|somewhat"
    r"|it depends|in some cases|to some extent|more or less|kind of|sort of|as far as i know|in general|generally"
    r"|typically|usually|often|sometimes|tends? to|seems? to|appears? to|may|might|could|can be|i think|i believe"
    r"|i suppose|i guess|i would say|i'd say|i'm not sure|i am not sure|not necessarily)\b",
    re.IGNORECASE,
)
_ENDS = re.compile(r"[.!?]+(?=[\s\"')\]*_]|$)|\n+")


def words(reply: str) -> float:
    """Return min(1, w / 1,000) for w words: what stands between white space in the first 20,000 characters."""
    return min(1.0, len(reply[:MAX_CHARACTERS].split()) / MOST_WORDS)


def questions(reply: str) -> float:
    """Return the share of sentences that end with a question mark; 0 of no sentence.

    A sentence ends with its mark or its line; of a reply the first 20,000 characters count.
    """
    text = reply[:MAX_CHARACTERS]
    asked = told = start = 0
    for match in _ENDS.finditer(text):
        if any(map(str.isalnum, text[start : match.start()])):
            told += 1
            asked += "?" in match[0]
        start = match.end()
    told += any(map(str.isalnum, text[start:]))
    return asked / told if told else 0.0


def hedges(reply: str) -> float:
    """Return min(1, (100 h / w) / 10) for h hedges ("perhaps", "it depends", "might") in w words; 0 of no words."""
    text = reply[:MAX_CHARACTERS].replace("\u2019", "'")
    count = len(text.split())
    return min(1.0, 100 * len(_HEDGE.findall(text)) / count / MOST_HEDGES_PER_100_WORDS) if count else 0.0
