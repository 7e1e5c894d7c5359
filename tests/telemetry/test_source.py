from __future__ import annotations

import os

import pytest

from promptops.errors import PromptopsError, UsageError
from promptops.telemetry import checking
from promptops.telemetry.source import files


def test_only_regular_files_are_taken_from_a_folder_and_by_a_pattern(tmp_path):
    (tmp_path / "a.jsonl").write_text("{}\n")
    (tmp_path / "b.jsonl").symlink_to("a.jsonl")
    (tmp_path / "c.jsonl").mkdir()
    (tmp_path / "d.jsonl").symlink_to("gone.jsonl")
    os.mkfifo(tmp_path / "e.jsonl")
    (tmp_path / "notes.txt").write_text("none")
    expected = [str(tmp_path / name) for name in ("a.jsonl", "b.jsonl")]
    assert files([str(tmp_path)]) == expected
    assert files([str(tmp_path / "*.jsonl")]) == expected


def test_what_is_named_and_is_no_regular_file_is_an_error(tmp_path):
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "link.jsonl").symlink_to("gone.jsonl")
    with pytest.raises(UsageError, match="not a regular file"):
        files([str(tmp_path / "pipe.jsonl")])
    with pytest.raises(UsageError, match="there are no events"):
        files([str(tmp_path / "link.jsonl")])
    with pytest.raises(UsageError, match="not a regular file"):
        checking.check([str(tmp_path / "pipe.jsonl")], now=0)
    with pytest.raises(PromptopsError, match="cannot be read"):
        checking.check([str(tmp_path / "link.jsonl")], now=0)
