"""Untrusted text cannot steer a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptops.text import counted, printable


@given(st.text())
def test_nothing_invisible_is_left(text):
    shown = printable(text)
    assert not [each for each in shown if unicodedata.category(each) in {"Cc", "Cs", "Zl", "Zp"}]
    assert not set("\u200b\u202e\u2066\ufeff\u2028") & set(shown)
    assert printable(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 中 😀", "plain é 中 😀"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\u202eevil", "\\u202eevil"),
        ("caf\udce9", "caf\\udce9"),
    ],
)
def test_controls_become_escapes(text, shown):
    assert printable(text) == shown


def test_every_format_character_is_shown_but_those_that_show_themselves():
    # Arabic, Syriac and Kaithi signs that stand over digits, hieroglyph joiners, and shorthand: fonts draw them.
    drawn = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD, *range(0x13430, 0x13440)}
    left = [code for code in range(0x110000) if unicodedata.category(chr(code)) == "Cf" and code not in drawn]
    assert left
    assert [code for code in left if printable(chr(code)) == chr(code)] == []


@pytest.mark.parametrize("text", ["\u115f", "\u3164", "\uffa0", "\u034f", "\ufe01", "\U000e0101", "\u180b"])
def test_other_characters_without_a_look_are_shown(text):
    assert printable(text) == text.encode("unicode_escape").decode()


def test_an_emoji_keeps_its_look():
    assert printable("\u2764\ufe0f") == "\u2764\ufe0f"


def test_newlines_stay_where_they_are_wanted():
    assert printable("a\nb\tc\x07", keep_newlines=True) == "a\nb\tc\\x07"


@pytest.mark.parametrize(("count", "words"), [(0, "0 pairs"), (1, "1 pair"), (2, "2 pairs")])
def test_one_is_singular(count, words):
    assert counted(count, "pair") == words
