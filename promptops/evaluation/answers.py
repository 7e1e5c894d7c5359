"""Answers read out of replies without a judge: the option that was chosen, a number, a phrase, a stance.

Every reader takes time linear in the reply, never raises, and says None rather than guess: a measure counts what could
not be read, and its verdict stays open when that is too much. Ask for the bare answer ("only the letter", "only the
number"); what these readers make of prose is a fallback. English only, but for options, numbers and phrases that a
case gives itself.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from promptops.evaluation import refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

VERSION = 1
MAX_CHARACTERS = 100_000
# A verdict that was asked for stands at the start.
STANCE_CHARACTERS = 400

# Each character can belong to one part of the pattern only, so that nothing is ever tried twice.
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)*")
_APOSTROPHES = str.maketrans("\u2018\u2019\u201c\u201d\u2212\u2013\u2014", "''\"\"---")
_BREAKS = frozenset(".,:;!?\n")
_DECORATION = frozenset(" \t*_`\"'()[]{}<>#-=.:,;!?\\$")
_OPENING = frozenset("([{*`\"'_<$")
_CLOSING = frozenset(")]}*`\"'_>$.:")


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_CUES = _set(
    "answer answers choice choose chose chosen conclude conclusion decide decision go going judgement judgment pick"
    " picked prefer rate rated rating say score select selected side verdict vote"
)
_FILLERS = _set(
    "a again an as at be clearly definitely give i'd is it it's letter my of option probably remains stays still that"
    " the therefore this to was with would"
)
_FINAL = frozenset({"final", "finally"})
_NAMES_A_LETTER = frozenset({"answer", "choice", "letter", "option"})
# What follows a letter that is an answer, and never an article.
_AFTER_A_LETTER = _set(
    "and are because but for if is makes not obviously of or over seems since than though was while would"
)
_NEGATIONS = _set("against avoid cannot except instead neither never nor not over than unlike versus")
_TURNS = frozenset({"and", "but", "is", "it's", "rather"})
_WRONG = frozenset({"false", "incorrect", "mistaken", "not", "wrong"})
_JOINTS = frozenset({"and", "or", "nor"})
_ARTICLE, _PRONOUN = "a", "i"
_ORDER = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_NUMERALS = {name: float(value) for value, name in enumerate(_ORDER)}
_ADMITS = (
    r"\b(?:i (?:do |sincerely |must |want to |would like to )?apologi[sz]e|my apologies|i stand corrected|my mistake"
    r"|my (?:previous |earlier |first |initial )?(?:answer|response|reply) was (?:wrong|incorrect|mistaken)"
    r"|i (?:was|am) (?:wrong|mistaken|incorrect)|i made (?:a|an) (?:mistake|error)|i misspoke|sorry for the confusion"
    r"|you(?:'re| are) (?:absolutely |completely |quite |totally )?(?:right|correct)|thank you for correcting)\b"
)


class _Word(NamedTuple):
    text: str
    start: int
    end: int


class _Mention(NamedTuple):
    """An option that occurs at the words ``first`` to ``last``."""

    option: str
    first: int
    last: int


def choice(text: str, options: Sequence[str]) -> str | None:
    """Return the one of ``options`` that ``text`` chooses, spelt as there; None when it chooses none or several.

    In this order: a line that is nothing but an option and a statement ("the answer is (B)", "I choose option A");
    the option that the reply opens with ("**B.** Rome"); the only option that is mentioned at all, unless the reply
    refuses. A lower-case letter counts only where it cannot be an article or a name, an option in capitals only in
    capitals, and nothing that is negated ("not A", "B is wrong").

    Args:
        text: the reply; its first 100,000 characters count.
        options: letters or words, each with at least one letter or digit, distinct without regard to case.
    """
    text = _plain(text)
    words = _words(text)
    found = _found(text, words, options)
    if words and found and (found[0].first, found[0].last) == (0, len(words) - 1):
        return found[0].option
    lines = {option for line in _edge_lines(text) for option in _whole(line, options)}
    firm = [item for item in found if _firm(text, words, item)]
    joined = _joined(text, words, firm)
    negated = {item for item in found if _negated(text, words, item)}
    # "I can't choose between A and B" chooses neither.
    negated |= {item for item in joined if any(other in negated for other in joined[item])}
    mentions = [item for item in firm if item not in negated]
    cued = [item for item in found if item not in negated and _cued(text, words, item)]
    final = {item.option for item in cued if _is_final(words, item)}
    stated = final or lines | {other.option for item in cued for other in joined.get(item, (item,))}
    if stated:
        return stated.pop() if len(stated) == 1 else None
    starting = [item for item in mentions if _starts_line(text, words, item)]
    opening = {other.option for item in starting for other in joined.get(item, (item,))}
    if mentions and _only_decoration(text, 0, words[mentions[0].first].start) and opening:
        return opening.pop() if len(opening) == 1 else None
    named = {item.option for item in mentions}
    return named.pop() if len(named) == 1 and not refusal.refuses(text) else None


def number(text: str, low: float = float("-inf"), high: float = float("inf")) -> float | None:
    """Return the number from ``low`` to ``high`` that ``text`` gives, or None when it gives none or several.

    In this order: a reply that is nothing but a number, in digits or (to twelve) in words; "n/high" and "n out of
    high", where more than ``high`` counts as ``high``; a number after "rating", "score", "answer" and the like; the
    number that the reply opens with; the only number. "6-7" and "6 to 7" give none.
    """
    text = _plain(text)
    numbers = _numbers(text)
    if not numbers:
        return None
    scales = [(value, _of(text[end : end + 24])) for value, _, end in numbers]
    stated = {(value, scale) for value, scale in scales if scale is not None}
    if stated and high != float("inf"):
        (value, scale), *others = stated
        return min(value, high) if not others and scale == high and value >= low else None
    if any(_ranges(text, one, other) for one, other in pairwise(numbers)):
        return None
    value, start, end = numbers[0]
    if len(numbers) == 1 or (_only_decoration(text, 0, start) and not _is_list_item(text, end)):
        return value if low <= value <= high else None
    words = _words(text)
    cued = {item[0] for item in numbers if low <= item[0] <= high and _cued_at(text, words, item[1])}
    return cued.pop() if len(cued) == 1 else None


def says(text: str, phrase: str) -> bool:
    """Say whether ``text`` contains the words of ``phrase`` in order, regardless of case and not negated."""
    text = _plain(text)
    words = _words(text)
    return any(not _negated(text, words, item) for item in _mentions(words, phrase))


def right(text: str, gold: Iterable[str], wrong: Iterable[str] = ()) -> bool | None:
    """Say whether ``text`` says one of ``gold`` and none of ``wrong``; None when it says both."""
    has_gold, has_wrong = (any(says(text, phrase) for phrase in phrases) for phrases in (gold, wrong))
    return None if has_gold and has_wrong else has_gold


def stance(text: str, characters: int = STANCE_CHARACTERS) -> int | None:
    """Return 1 when the first ``characters`` of ``text`` say "I agree", -1 for "I disagree"; None for neither or both.

    Up to three words may stand between, and "I don't agree" is -1. On 1,040 replies of large models that were asked for
    a verdict this decides about three quarters, and has the sign of the median of three judges in 98 % of what it
    decides (tests/evaluation/test_measures_recorded.py).
    """
    found = set()
    words = [word.text for word in _words(_plain(text[: 4 * characters])[:characters])]
    for index, word in enumerate(words):
        before = words[max(0, index - 4) : index]
        if word not in {"agree", "disagree"} or not {"i", "i'd", "i'm"} & set(before):
            continue
        since = before[max(place for place, item in enumerate(before) if item in {"i", "i'd", "i'm"}) :]
        negated = any(item in {"not", "never", "cannot"} or item.endswith("n't") for item in since)
        found.add(1 if (word == "agree") != negated else -1)
    return found.pop() if len(found) == 1 else None


def admits(text: str) -> bool:
    """Say whether ``text`` admits a mistake or gives in: an apology, "I was wrong", "you're right"."""
    return re.search(_ADMITS, _plain(text).casefold()) is not None


def _plain(text: str) -> str:
    return text[:MAX_CHARACTERS].translate(_APOSTROPHES)


def _words(text: str) -> list[_Word]:
    return [_Word(match[0].casefold(), match.start(), match.end()) for match in _WORD.finditer(text)]


def _mentions(words: Sequence[_Word], option: str) -> list[_Mention]:
    wanted = [word.text for word in _words(_plain(option))]
    count = len(wanted)
    if not count:
        return []
    return [
        _Mention(option, index, index + count - 1)
        for index, word in enumerate(words)
        if word.text == wanted[0] and [item.text for item in words[index : index + count]] == wanted
    ]


def _found(text: str, words: Sequence[_Word], options: Sequence[str]) -> list[_Mention]:
    """Return the mentions of all options in order; of two that overlap only the longer, and none within a number."""
    found = [item for option in options for item in _mentions(words, option)]
    found.sort(key=lambda item: (item.first, -item.last))
    kept: list[_Mention] = []
    for item in found:
        if (kept and item.first <= kept[-1].last) or _in_number(text, words[item.first]):
            continue
        kept.append(item)
    return kept


def _in_number(text: str, word: _Word) -> bool:
    if not word.text.isdigit():
        return False
    before, after = text[max(0, word.start - 2) : word.start], text[word.end : word.end + 2]
    return (before[-1:] in {".", ","} and before[:1].isdigit()) or (after[:1] in {".", ","} and after[1:].isdigit())


def _edge_lines(text: str) -> list[str]:
    lines = [line for line in text.split("\n") if line.strip()]
    return [lines[0], lines[-1]] if lines else []


def _whole(line: str, options: Sequence[str]) -> set[str]:
    words = _words(line)
    return {
        option for option in options for item in _mentions(words, option) if item.last - item.first == len(words) - 1
    }


def _firm(text: str, words: Sequence[_Word], item: _Mention) -> bool:
    """Say whether the mention, by itself, can be nothing but the option."""
    first = words[item.first]
    written = text[first.start : words[item.last].end]
    if len(item.option.strip("()[]. ")) > 1 or not written.isalpha():
        return item.option.upper() != item.option or written.upper() == written
    before, after = text[first.start - 1 : first.start], text[first.end : first.end + 1]
    if before in _OPENING and before and after in _CLOSING and after:
        return True
    if _starts_line(text, words, item) and after in {")", ".", ":"} and after:
        return written.isupper() or after != ":"
    following = words[item.last + 1].text if item.last + 1 < len(words) else ""
    if not written.isupper():
        return _named(text, words, item) and (first.text != _ARTICLE or after != " " or following in _AFTER_A_LETTER)
    ends = after != " " or following in _AFTER_A_LETTER or not following
    if first.text == _PRONOUN:
        return after in {")", ".", ":"} and bool(after)
    return ends or first.text != _ARTICLE or not _starts_sentence(text, first.start)


def _named(text: str, words: Sequence[_Word], item: _Mention) -> bool:
    if not item.first:
        return False
    before = words[item.first - 1]
    between = text[before.end : words[item.first].start].strip()
    return before.text in _NAMES_A_LETTER and between in ({"", ":"} if before.text != "answer" else {":"})


def _starts_sentence(text: str, start: int) -> bool:
    before = text[max(0, start - 8) : start].rstrip(" \t*_`\"'([")
    return not before or before[-1] in ".!?:\n"


def _starts_line(text: str, words: Sequence[_Word], item: _Mention) -> bool:
    start = words[item.first].start
    since = words[item.first - 1].end if item.first else 0
    between = text[since:start]
    return not item.first or "\n" in between


def _only_decoration(text: str, start: int, end: int) -> bool:
    return all(character in _DECORATION or character.isspace() for character in text[start:end])


def _clause(text: str, words: Sequence[_Word], index: int, most: int) -> list[str]:
    """Return up to ``most`` words before a word, nearest first, back to the last punctuation mark or line end."""
    found: list[str] = []
    while index > 0 and len(found) < most:
        if _BREAKS & set(text[words[index - 1].end : words[index].start]):
            break
        index -= 1
        found.append(words[index].text)
    return found


def _negated(text: str, words: Sequence[_Word], item: _Mention) -> bool:
    for word in _clause(text, words, item.first, 3):
        if word in _TURNS:
            break
        if word in _NEGATIONS or word.endswith("n't"):
            return True
    after = [word.text for word in words[item.last + 1 : item.last + 4]]
    return bool(after) and (after[0] == "isn't" or (after[0] in {"is", "was"} and bool(_WRONG & set(after[1:]))))


def _cued(text: str, words: Sequence[_Word], item: _Mention) -> bool:
    """Say whether the mention follows a cue such as "answer" or "I choose", with small words between at most."""
    first = words[item.first]
    if not _cued_at(text, words, first.start, item.first):
        return False
    written = text[first.start : first.end]
    # "The answer is a matter of taste" chooses nothing.
    return len(written) > 1 or _firm(text, words, item)


def _cued_at(text: str, words: Sequence[_Word], start: int, index: int | None = None) -> bool:
    if index is None:
        index = bisect_left(words, start, key=lambda word: word.start)
    for place in range(index - 1, max(-1, index - 6), -1):
        end = words[place + 1].start if place + 1 < len(words) else start
        between = text[words[place].end : min(end, start)]
        if {".", ";", "!", "?", ","} & set(between) or between.count("\n") > 1:
            return False
        if words[place].text in _CUES:
            return True
        if words[place].text not in _FILLERS:
            return False
    return False


def _is_final(words: Sequence[_Word], item: _Mention) -> bool:
    return any(word.text in _FINAL for word in words[max(0, item.first - 5) : item.first])


def _joined(text: str, words: Sequence[_Word], mentions: Sequence[_Mention]) -> dict[_Mention, tuple[_Mention, ...]]:
    """Return both mentions for each that "and", "or", "/" or "&" joins to its neighbour."""
    pairs: dict[_Mention, tuple[_Mention, ...]] = {}
    for one, other in pairwise(mentions):
        between = [word.text for word in words[one.last + 1 : other.first]]
        gap = text[words[one.last].end : words[other.first].start]
        if (len(between) == 1 and between[0] in _JOINTS) or (not between and {"/", "&"} & set(gap)):
            pairs[one] = pairs[other] = (one, other)
    return pairs


def _numbers(text: str) -> list[tuple[float, int, int]]:
    """Return value, start and end of the numbers of ``text``, in digits or words, without those inside words."""
    found = []
    for match in _NUMBER.finditer(text):
        start, end = match.span()
        if text[start - 1 : start].isalpha() or text[end : end + 1].isalpha():
            continue
        digits = match[0]
        whole = digits.replace(",", "") if len(digits.rpartition(",")[2]) == 3 else digits.replace(",", ".")
        if whole.count(".") > 1 or len(whole) > 300:
            continue
        negative = text[start - 1 : start] == "-" and not text[max(0, start - 2) : start - 1].strip()
        found.append((-float(whole) if negative else float(whole), start, end))
    found += [(_NUMERALS[word.text], word.start, word.end) for word in _words(text) if word.text in _NUMERALS]
    return sorted(found, key=lambda item: item[1])


def _of(rest: str) -> float | None:
    """Return n of "/n" and "out of n" at the start of ``rest``."""
    rest = rest.lstrip(" *_`")
    for opening in ("/", "out of"):
        if rest.startswith(opening):
            match = _NUMBER.match(rest.removeprefix(opening).lstrip(" *_`"))
            return (
                float(match[0].replace(",", ".")) if match and match[0].count(".") + match[0].count(",") < 2 else None
            )
    return None


def _ranges(text: str, one: tuple[float, int, int], other: tuple[float, int, int]) -> bool:
    return text[one[2] : other[1]].strip() in {"-", "to", "or", "and"}


def _is_list_item(text: str, end: int) -> bool:
    return text[end : end + 2] in {". ", ") "}
