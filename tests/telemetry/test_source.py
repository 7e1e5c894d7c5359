from __future__ import annotations

import os

import pytest

from promptops.errors import PromptopsError, UsageError
from promptops.telemetry.source import Files, files


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


@pytest.mark.parametrize("name", ["b.jsonl", "b.jsonl.gz"])
def test_an_error_names_the_file_that_is_at_fault(tmp_path, name):
    for other in ("a.jsonl", "c.jsonl"):
        (tmp_path / other).write_text("{}\n")
    bad = tmp_path / name
    bad.write_bytes(b"x" * 5 if name.endswith(".gz") else b'{"x":"' + b"a" * (150 << 20) + b'"}\n')
    with pytest.raises(PromptopsError, match="could not read the events") as caught:
        Files([str(tmp_path)]).rows(lambda table, _: table.count().as_table(), {})
    assert caught.value.path == str(bad)


def test_an_error_that_names_no_file_blames_none(tmp_path):
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text("{}\n")
    with pytest.raises(PromptopsError, match="could not read the events") as caught:
        Files([str(tmp_path)]).rows(lambda table, _: table.count().as_table(), {"x": "SELECT nothing FROM events"})
    assert caught.value.path is None


@pytest.mark.parametrize("closed", [b'"}', b""])
def test_a_long_line_stops_no_other(tmp_path, closed):
    long = b'{"event_id":"' + b"a" * (40 << 20) + closed
    (tmp_path / "a.jsonl").write_bytes(b'{"event_id":"1"}\n' + long + b'\n{"event_id":"2"}\n')
    (tmp_path / "b.jsonl").write_bytes(b'{"event_id":"3"}\n')
    (row,) = Files([str(tmp_path)]).rows(
        lambda table, _: table.filter(table.event_id.length() == 1).aggregate(found=table.event_id.nunique()), {}
    )
    assert row == {"found": 3}
