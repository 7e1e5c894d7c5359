"""Canonical JSON against an independent implementation of RFC 8785, and strict reading."""

from __future__ import annotations

import json
import math

import pytest
import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st

from promptops.errors import InputError
from promptops.registry import canonical

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=5),
    max_leaves=15,
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(VALUES)
@example({"\ufb33": 1, "\U0001f600": 2, "€": 3, "\r": 4, "1": 5, "\x80": 6, "ö": 7})
@example([333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001, -0.0, 5e-324, 1.7976931348623157e308])
@example('\u20ac$\x0f\nA\'B"\\\\"/\u2028\x7f')
def test_canonical_form_is_that_of_rfc_8785(value):
    assert canonical.dumps(value) == rfc8785.dumps(value)


@settings(max_examples=1000, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
@example(1e21)
@example(999999999999999900000.0)
@example(1e-6)
@example(9.999999999999999e-7)
@example(123456789012345680.0)
def test_numbers_are_written_as_ecmascript_does(value):
    assert canonical.dumps(value) == rfc8785.dumps(value)


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_what_is_written_can_be_read_and_is_stable(value):
    written = canonical.dumps(value)
    try:
        back = canonical.loads(written)
    except InputError as error:
        assert "differ in case" in error.message or "outside" in error.message  # noqa: PT017  most values raise nothing
    else:
        assert canonical.dumps(back) == written


def test_order_of_keys_does_not_matter_and_tuples_are_lists():
    assert canonical.dumps({"b": (1, 2), "a": 0}) == canonical.dumps({"a": 0, "b": [1, 2]}) == b'{"a":0,"b":[1,2]}'
    assert canonical.sha256({}) == "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, 2**53, -(2**53), "\ud800", {"\udfff": 1}, {1: 2}, b"bytes", {1, 2}, object()],
)
def test_what_json_cannot_carry_is_refused(value):
    with pytest.raises(InputError):
        canonical.dumps(value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"a":1,"a":2}',
        b'{"a":1,"A":2}',
        b'{"ss":1,"\xc3\x9f":2}',
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"1e400",
        b"9007199254740993",
        b"-9007199254740992",
        b"1" * 5000,
        b"\xff",
        b"\xef\xbb\xbf{}",
        b"[1] 2",
        b"'a'",
        b'"\x01"',
        rb'"\ud800"',
        rb'{"\uDFFF": 1}',
        rb'["\ud83d\ud83d"]',
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b'"' + b"x" * (5 << 20) + b'"',
    ],
    ids=lambda data: repr(data[:24]),
)
def test_ambiguous_or_oversized_json_is_refused(data):
    with pytest.raises(InputError):
        canonical.loads(data)


def test_a_value_too_deep_to_write_is_refused():
    value: list = []
    for _ in range(5000):
        value = [value]
    with pytest.raises(InputError, match="deep"):
        canonical.dumps(value)


def test_a_pair_of_surrogates_is_a_character():
    assert canonical.loads(rb'"\ud83d\ude00 \\ud800"') == "\U0001f600 \\ud800"


def test_ordinary_json_is_read():
    value = {"a": [1, -2.5, "x\u00e9", None, True], "b": {}}
    assert canonical.loads(json.dumps(value).encode()) == value
    assert canonical.loads(b'"' + b"x" * 99 + b'"', limit=101) == "x" * 99
