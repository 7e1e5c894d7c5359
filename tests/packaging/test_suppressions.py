"""Whatever silences a linter or the type checker says why, on its own line."""

from __future__ import annotations

import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("promptops", "tests", "bench", "demo", "docs")
SILENCER = re.compile(
    r"#\s*(?:ruff:\s*)?(?:noqa|type:\s*ignore)\b(?::\s*[A-Z]+[0-9]+(?:,\s*[A-Z]+[0-9]+)*|\[[\w, -]+\])?"
)


def unexplained(line: str) -> bool:
    found = SILENCER.search(line)
    return bool(found) and not re.search(r"\w", line[found.end() :])


def comments() -> list[tuple[str, str]]:
    found = []
    for path in sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")):
        with tokenize.open(path) as file:
            tokens = tokenize.generate_tokens(file.readline)
            found += [
                (f"{path.relative_to(ROOT)}:{token.start[0]}", token.string)
                for token in tokens
                if token.type == tokenize.COMMENT
            ]
    return found


def test_every_suppression_has_a_reason():
    silencers = [(place, text) for place, text in comments() if SILENCER.search(text)]
    assert len(silencers) > 10
    assert [place for place, text in silencers if unexplained(text)] == []


@pytest.mark.parametrize(
    ("comment", "bare"),
    [
        ("# noqa", True),
        ("# noqa: T201", True),
        ("# noqa: T201, SIM115", True),
        ("# noqa: T201  -", True),
        ("# type: ignore[misc]", True),
        ("# ruff: noqa: T201", True),
        ("# noqa: T201  a reason", False),
        ("# type: ignore[misc]  # a reason", False),
        ("# a plain comment", False),
    ],
)
def test_what_counts_as_a_reason(comment, bare):
    assert unexplained(comment) is bare
