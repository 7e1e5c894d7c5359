from __future__ import annotations

import tempfile
from pathlib import Path

from promptops.cli import crash


def test_report_is_a_file_fit_to_paste(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    said = crash.report(ValueError("odd \udcff"))
    (made,) = tmp_path.iterdir()
    assert said.endswith(f"report it with {made}")
    assert "- git version" in made.read_text()
    assert "ValueError" in made.read_text()


def test_report_without_git_and_without_temporary_space_is_printed(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(Path(tmp_path, "none")))
    said = crash.report(ValueError("odd"))
    assert said.startswith("error: this is a bug in promptops (ValueError)")
    assert "git cannot be run" in said
    assert "ValueError: odd" in said
