"""The token of a run in what its harness printed."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from textwrap import wrap
from urllib.parse import quote

import pytest

from promptops.evaluation.harness.masking import masked

TOKEN = "q9Zx-3v_Lw8Rk2TtYb6Nn4Mm1Cc7Dd5Ee0Ff_Gg-Hh"
RUN = 8


def shown(text):
    """The parts of the token, or of what it was turned into, that can still be read."""
    return {TOKEN[start : start + RUN] for start in range(len(TOKEN) - RUN + 1)} & {
        text[start : start + RUN] for start in range(len(text) - RUN + 1)
    }


@pytest.mark.parametrize(
    "printed",
    [
        TOKEN,
        f"Bearer {TOKEN}!",
        TOKEN[5:],
        TOKEN[:12],
        "\n".join(wrap(TOKEN, 10)),
        repr(TOKEN),
        quote(TOKEN),
        TOKEN * 2,
    ],
)
def test_no_part_of_it_is_shown(printed):
    assert shown(printed)
    found = masked(f"before {printed} after", TOKEN)
    assert not shown(found)
    assert (found.startswith("before "), found.endswith(" after"), "***" in found) == (True, True, True)


@pytest.mark.parametrize("start", ["", "a", "ab", "abc", "Bearer "])
@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode, lambda data: data.hex().encode()])
def test_its_common_encodings_are_not_shown(start, encode):
    whole = encode(f"{start}{TOKEN}".encode()).decode()
    found = masked(whole, TOKEN)
    # What is left is the start, and the digits in which the token shares one with it.
    assert "***" in found
    assert len(found.replace("***", "")) <= len(encode(start.encode())) + 2 * 4


def test_other_text_stays_as_it_is():
    text = "it broke: q9Zx-3v is not enough\nline two"
    assert masked(text, TOKEN) == text
