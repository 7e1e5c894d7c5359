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
    assert not [each for each in shown if unicodedata.category(each) in {"Cc", "Cs"}]
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


def test_newlines_stay_where_they_are_wanted():
    assert printable("a\nb\tc\x07", keep_newlines=True) == "a\nb\tc\\x07"


@pytest.mark.parametrize(("count", "words"), [(0, "0 pairs"), (1, "1 pair"), (2, "2 pairs")])
def test_one_is_singular(count, words):
    assert counted(count, "pair") == words
