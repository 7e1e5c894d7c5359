from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptops.errors import InputError
from promptops.statistics.series import decode, encode

values = st.none() | st.sampled_from([0, 1000, -1000]) | st.integers(-1000, 1000)


@given(st.lists(values))
def test_round_trip(xs):
    assert decode(encode(xs), len(xs)) == xs


def test_form():
    assert encode([0, 0, 0, 1000, None, -1000, -1000]) == "3=+.2-"
    assert encode([1, 999]) == "tnMx"
    assert encode([]) == ""


def test_every_value_takes_two_characters_at_most():
    assert max(len(encode([value])) for value in range(-1000, 1001)) == 2


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("3=", 2),
        ("3=", 4),
        ("999999999=", 10),
        ("0=", 0),
        ("==", 2),
        ("1=", 1),
        ("2=1=", 3),
        ("ZZ", 1),
        ("a", 1),
        ("=!", 2),
        ("tm", 1),
        ("٣=", 3),
    ],
)
def test_what_encode_never_writes_is_refused(text, length):
    with pytest.raises(InputError, match="evidence"):
        decode(text, length)


@pytest.mark.parametrize("value", [1001, -1001])
def test_values_off_the_grid_are_refused(value):
    with pytest.raises(ValueError, match="outside"):
        encode([value])
