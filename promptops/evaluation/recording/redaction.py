"""Taking personal data out of texts before they are committed.

Two passes. The first needs nothing and always runs: e-mail addresses, IBANs and card numbers by their check digits,
telephone numbers and every other number of seven digits or more; each pattern is bounded, so that its time grows with
the text and not faster. The second takes names out by the lists of given and family names that Faker ships for its
locales. It sees names in Latin script that are written with a capital letter; a rare name alone, an address, or what
only the context gives away is not seen, so that a person reads what is committed.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import PromptopsError

if TYPE_CHECKING:
    from collections.abc import Callable

_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]){11,30}(?![A-Za-z0-9])")
# Digits with the separators that people write in long numbers; a comma is none, since amounts have it.
_NUMBER = re.compile(r"(?<![\w.])\+?\(?\d(?:[ ()./\-]{0,3}\d){6,24}(?!\w)")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{1,2}[./]\d{1,2}[./]\d{4}")
_WORD = re.compile(r"[^\W\d_]+(?:['\N{RIGHT SINGLE QUOTATION MARK}\-][^\W\d_]+)*")
_CARD = range(13, 20)
_PHONE = range(7, 16)
_LOCALES = ("en_US", "en_GB", "en_IN", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "pl_PL", "pt_BR", "sv_SE", "tr_TR")
# A capital letter after one of these is a name, known or not.
_TITLES = frozenset("mr mrs ms miss dr prof herr frau mme mlle sr sra signor signora".split())  # noqa: SIM905  words
# Given names that are words too, or of two letters: names only before a family name or an initial.
_WORDS = frozenset(
    """
    angel april art august austin bill carolina cash chance chase china christian dallas dawn dear drew earth faith
    frank georgia grace grant guy hope india israel jack jordan joy june kenya king lane london mark may miles page
    paris pat prince reed rich rob rose royal sky star sue summer virginia wade will
    """.split()  # noqa: SIM905  a list of words reads better as one
)
_LEAST = 3


class Redacted(NamedTuple):
    """A value without what was found in it.

    Attributes:
        value: as it was given, with ``[email]`` and the like in place of what was found.
        found: how many of each kind.
    """

    value: Any
    found: Counter[str]


def redact(value: Any, *, names: bool = True) -> Redacted:
    """Return a JSON value with personal data in its texts replaced; keys and numbers stay.

    Args:
        value: any JSON value.
        names: whether names are looked for too.

    Raises:
        PromptopsError: the extra ``record`` is not installed, and names are asked for.
    """
    found: Counter[str] = Counter()
    known = _known() if names else None

    def clean(part: Any) -> Any:
        if isinstance(part, str):
            text = _numbers(part, found)
            return text if known is None else _names(text, known, found)
        if isinstance(part, dict):
            return {key: clean(item) for key, item in part.items()}
        return [clean(item) for item in part] if isinstance(part, list) else part

    return Redacted(clean(value), found)


def _numbers(text: str, found: Counter[str]) -> str:
    text = _EMAIL.sub(_as("email", found), text)
    text = _IBAN.sub(lambda match: _iban(match, found), text)
    return _NUMBER.sub(lambda match: _number(match, found), text)


def _as(kind: str, found: Counter[str]) -> Callable[[re.Match[str]], str]:
    def replace(_: re.Match[str]) -> str:
        found[kind] += 1
        return f"[{kind}]"

    return replace


def _number(match: re.Match[str], found: Counter[str]) -> str:
    text = match[0]
    if _DATE.fullmatch(text):
        return text
    digits = re.sub(r"\D", "", text)
    if len(digits) in _CARD and _luhn(digits):
        return _as("card", found)(match)
    written = text.startswith(("+", "(", "0")) or len(digits) != len(text)
    return _as("phone" if written and len(digits) in _PHONE else "number", found)(match)


def _luhn(digits: str) -> bool:
    """Return whether the check digit of a card number holds (ISO/IEC 7812-1, annex B)."""
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(number // 10 + number % 10 for number in doubled) % 10 == 0


def _iban(match: re.Match[str], found: Counter[str]) -> str:
    """Replace an IBAN; the words behind it may look like more of it."""
    text = match[0]
    ends = [len(text), *(place for place in range(len(text) - 1, 0, -1) if text[place] == " ")]
    end = next((end for end in ends if _is_iban(text[:end])), None)
    return text if end is None else _as("iban", found)(match) + text[end:]


def _is_iban(text: str) -> bool:
    """Return whether the check digits of an IBAN hold (ISO 7064, MOD 97-10)."""
    plain = text.replace(" ", "").upper()
    return plain.isascii() and int("".join(str(int(sign, 36)) for sign in plain[4:] + plain[:4])) % 97 == 1


class _Names(NamedTuple):
    """Names in lower case."""

    given: frozenset[str]
    family: frozenset[str]


@cache
def _known() -> _Names:
    try:
        providers = [import_module(f"faker.providers.person.{locale}").Provider for locale in _LOCALES]
    except ImportError as error:
        raise PromptopsError(
            "names cannot be taken out: Faker is not installed",
            hint="pip install 'promptops-git[record]', or leave names in with --keep-names",
        ) from error
    lists = ("first_names", "first_names_female", "first_names_male", "last_names")
    found: dict[str, set[str]] = {name: set() for name in lists}
    for provider in providers:
        for name in lists:
            found[name].update(str(each).lower() for each in getattr(provider, name, ()))
    given = found["first_names"] | found["first_names_female"] | found["first_names_male"]
    return _Names(frozenset(given), frozenset(found["last_names"]))


def _names(text: str, known: _Names, found: Counter[str]) -> str:
    """Replace runs of capitalised words that hold a name."""
    parts: list[str] = []
    end = 0
    for run in _runs(text):
        named = _named([match[0] for match in run], text[max(0, run[0].start() - 12) : run[0].start()], known)
        if named is not None:
            first, last = named
            parts += [text[end : run[first].start()], "[name]"]
            end = run[last].end()
            found["name"] += 1
    return "".join([*parts, text[end:]])


def _runs(text: str) -> list[list[re.Match[str]]]:
    """Return runs of words with a capital letter that only single spaces or initials' dots divide."""
    runs: list[list[re.Match[str]]] = []
    for match in _WORD.finditer(text):
        if not match[0][0].isupper() or _inside(text, match):
            continue
        before = text[runs[-1][-1].end() : match.start()] if runs else None
        close = before == " " or (before == ". " and (len(runs[-1][-1][0]) == 1 or _is_title(runs[-1][-1][0])))
        if close:
            runs[-1].append(match)
        else:
            runs.append([match])
    return runs


def _inside(text: str, match: re.Match[str]) -> bool:
    """Say whether a word is a part of something else, as of ``[email]`` or of an identifier."""
    before = text[match.start() - 1] if match.start() else " "
    after = text[match.end()] if match.end() < len(text) else " "
    return before.isalnum() or before in "_@[" or after.isdigit() or after in "_@"


def _is_title(word: str) -> bool:
    return word.lower() in _TITLES


def _named(words: list[str], before: str, known: _Names) -> tuple[int, int] | None:
    """Return the first and last place of a name in a run of capitalised words."""
    rest = len(words) - 1
    titled = re.search(r"([^\W\d_]+)\.? $", before)
    if titled and _is_title(titled[1]):
        return 0, rest
    for place, word in enumerate(words):
        if _is_title(word) and place < rest:
            return place + 1, rest
        lower = word.lower()
        after = words[place + 1] if place < rest else ""
        shouted = len(word) > 1 and word.isupper()
        plain = lower in known.given and len(word) >= _LEAST and lower not in _WORDS
        if plain and not shouted:
            return place, rest
        # Where every word has capitals, a capital letter says nothing.
        sure = after.lower() in known.family or (len(after) == 1 and not shouted)
        if sure and (plain or (not shouted and (lower in known.given or lower in _WORDS))):
            return place, place + 1 if shouted else rest
    return None
