"""PO111: the data of a suite is not the reviewed one."""

from __future__ import annotations

import hashlib

import pytest

ROWS = "input\nWhere is it?\n"
CODE = "def cases():\n    return [{'id': 'a', 'input': 'b'}]\n"


def pinned(text):
    return hashlib.sha256(text.encode()).hexdigest()


def suite(sha256=None, also=None, code=None):
    more = f", also: {{second: {{path: evals/data/y.csv, sha256: '{also}'}}}}" if also else ""
    entry = (
        f"{{path: evals/data/x.csv, format: csv, licence: MIT, source: ours, sha256: '{sha256 or pinned(ROWS)}'{more}}}"
    )
    made = f"  - {{callable: 'evals.make:cases', sha256: '{code}'}}\n" if code else ""
    return f"version: 1\ndata:\n  - {entry}\n{made}"


def test_finds_a_file_that_changed_alone(judge):
    judge.stage(**{"evals/a.yaml": suite(), "evals/data/x.csv": ROWS})
    judge.repo.git("commit", "-q", "-m", "Suite")
    (found,) = judge(**{"evals/data/x.csv": f"{ROWS}And when?\n"})
    assert (found.rule, found.path, found.line) == ("PO111", "evals/a.yaml", 3)
    assert pinned(ROWS) in found.message
    assert pinned(f"{ROWS}And when?\n") in found.message


def test_finds_a_file_that_is_gone_a_second_file_and_code(judge):
    text = suite(also="0" * 64, code=pinned(CODE))
    files = {"evals/a.yaml": text, "evals/data/y.csv": ROWS, "evals/make.py": f"{CODE}\n"}
    found = [(each.line, each.message.split()[0]) for each in judge(**files) if each.rule == "PO111"]
    assert found == [(3, "evals/data/x.csv"), (3, "evals/data/y.csv"), (4, "evals/make.py")]


def test_finds_data_that_no_canary_would_read(judge):
    rows = ROWS + "x" * (64 << 20)
    found = judge(**{"evals/a.yaml": suite(pinned(rows)), "evals/data/x.csv": rows})
    assert [(each.rule, each.path, each.line) for each in found] == [("PO111", "evals/a.yaml", 3)]
    assert "larger than the limit of 67,108,864 bytes" in found[0].message


def test_is_silent_on_the_reviewed_data(judge):
    files = {"evals/a.yaml": suite(code=pinned(CODE)), "evals/data/x.csv": ROWS, "evals/make.py": CODE}
    assert judge(**files) == []


@pytest.mark.parametrize(
    "entry",
    [
        "{path: evals/data/x.csv, format: csv, sha256: SHA, licence: MIT}",
        "{path: ../x.csv, format: csv, sha256: SHA, licence: MIT, source: ours}",
        "{path: evals/../x.csv, format: csv, sha256: SHA, licence: MIT, source: ours}",
        "{path: data/x.csv, format: csv, sha256: SHA, licence: MIT, source: ours}",
        "{path: evals/x.csv, format: xlsx, sha256: SHA, licence: MIT, source: ours}",
        "{callable: 'evals.make:cases'}",
        "{callable: 'evals.make:cases', format: csv, sha256: SHA}",
    ],
)
def test_an_entry_says_what_it_is_and_stays_below_evals(judge, entry):
    pin = f"'{'0' * 64}'"
    text = f"version: 1\ndata:\n  - {entry.replace('SHA', pin)}\n"
    assert {each.rule for each in judge(**{"evals/a.yaml": text})} == {"PO101"}
