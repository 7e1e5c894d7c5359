"""Key order: blocks move whole, nothing else changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptops.errors import InputError
from promptops.registry import layout, yaml

KEYS = ["version", "model", "messages", "evals"]


def arrange(text: str) -> str:
    return layout.arrange(text.encode(), "a.yaml", KEYS).decode()


@pytest.mark.parametrize(
    "text",
    [
        'version: "1.0.0"\nmodel: a\n',
        'version: "1.0.0"\n\n# why\nmodel: a',
        "{model: a, version: b}\n",
        "model: a\nother: b\nanother: c\n",
        "just text\n",
        "- a\n- b\n",
        "# only a head\nversion: a\r\n",
    ],
)
def test_a_file_in_order_is_not_touched(text):
    assert arrange(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model: a\nversion: b\n", "version: b\nmodel: a\n"),
        ("model: a\nversion: b", "version: b\nmodel: a\n"),
        ("model: a\r\nversion: b", "version: b\r\nmodel: a\r\n"),
        ("---\n# head\nmodel: a\n# why b\n# so\nversion: b  # end\n...\n", "---\n# head\n# why b\n# so\nversion: b  # end\nmodel: a\n...\n"),
        ("evals:\n- x\n- y\nmodel: {a: [1,\n 2]}\n", "model: {a: [1,\n 2]}\nevals:\n- x\n- y\n"),
        ("messages: |\n  # no comment\n  text\n\n# of version\nversion: a\n", "# of version\nversion: a\nmessages: |\n  # no comment\n  text\n\n"),
        ("odd: 1\nversion: a\n", "version: a\nodd: 1\n"),
        ("messages:\n  - a:\n      b: c\n    # inner\nversion: x\n", "version: x\nmessages:\n  - a:\n      b: c\n    # inner\n"),
    ],
)  # fmt: skip
def test_keys_move_with_their_comments(text, expected):
    assert arrange(text) == expected
    assert arrange(expected) == expected


def test_what_would_change_the_content_is_refused():
    with pytest.raises(InputError, match="without changing the content"):
        arrange("messages: &a x\nversion: *a\n")


def test_trailing_blank_lines_that_belong_to_a_text_move_with_it():
    done = arrange("messages: |+\n  x\n\n\nversion: a")
    assert yaml.load(done.encode(), "a").value == {"version": "a", "messages": "x\n\n\n"}


VALUES = st.sampled_from(
    ["a", '"q: #x"', "'s'", "|\n  l1\n\n  # l2", ">-\n  folded\n  text", "[1,\n  2]", "{a: b}", "\n  - x\n  - y: z", "\n  k:\n    - v"]
)  # fmt: skip
GAPS = st.sampled_from(["", "\n", "# c\n", "\n# c\n# d\n", "  # indented\n"])


@given(st.permutations(KEYS), st.lists(VALUES, min_size=4, max_size=4), st.lists(GAPS, min_size=5, max_size=5))
def test_values_survive_and_order_is_reached(keys, values, gaps):
    parts = [f"{gap}{key}: {value}\n" for gap, key, value in zip(gaps, keys, values, strict=False)]
    text = "".join(parts) + gaps[4]
    before = yaml.load(text.encode(), "a").value
    done = arrange(text)
    after = yaml.load(done.encode(), "a").value
    assert after == before
    assert list(after) == KEYS
    assert arrange(done) == done
    assert sorted(done.splitlines()) == sorted(text.splitlines())
