from __future__ import annotations

import os

import pytest
from support import no_room

from promptops import atomic


def test_a_new_file_has_the_umasks_mode_and_an_old_one_keeps_its_own(tmp_path):
    path = tmp_path / "file"
    before = os.umask(0o027)
    try:
        atomic.write(str(path), b"one")
        assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"one", 0o640)
        path.chmod(0o755)
        atomic.write(str(path), b"two")
        assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"two", 0o755)
        atomic.write(str(path), b"three", mode=0o644)
        assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"three", 0o644)
    finally:
        os.umask(before)
    assert os.listdir(tmp_path) == ["file"]


def test_what_exists_is_not_created_again(tmp_path):
    path = tmp_path / "file"
    atomic.create(str(path), b"one")
    with pytest.raises(FileExistsError):
        atomic.create(str(path), b"two")
    path.unlink()
    path.symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        atomic.create(str(path), b"two")
    assert os.listdir(tmp_path) == ["file"]


def test_without_hard_links_it_is_created_all_the_same(tmp_path, monkeypatch):
    def refused(*_):
        raise PermissionError(1, "no hard links here")

    monkeypatch.setattr(os, "link", refused)
    atomic.create(str(tmp_path / "file"), b"one")
    with pytest.raises(FileExistsError):
        atomic.create(str(tmp_path / "file"), b"two")
    assert (tmp_path / "file").read_bytes() == b"one"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("there", [b"before", None])
def test_a_full_disk_leaves_what_was_there_and_nothing_else(tmp_path, there):
    path = tmp_path / "file"
    if there:
        path.write_bytes(there)
    with no_room(), pytest.raises(OSError, match="large"):
        atomic.write(str(path), b"x" * 5000)
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == ({"file": there} if there else {})


def test_another_file_system_is_no_hindrance(tmp_path, monkeypatch):
    (tmp_path / "staging").mkdir()
    real = os.replace

    def across(source, target):
        if os.path.dirname(source) != os.path.dirname(target):
            raise OSError(18, "Invalid cross-device link")
        real(source, target)

    monkeypatch.setattr(os, "replace", across)
    atomic.write(str(tmp_path / "file"), b"one", folder=str(tmp_path / "staging"))
    assert (tmp_path / "file").read_bytes() == b"one"
    assert sorted(os.listdir(tmp_path)) == ["file", "staging"]
    assert os.listdir(tmp_path / "staging") == []


def test_temporary_files_of_a_work_tree_lie_in_its_git_directory(repo, tmp_path):
    assert atomic.staging(str(repo.root)) == str(repo.root / ".git/promptops")
    assert atomic.staging(str(tmp_path)) is None
    assert atomic.is_leftover(".promptops-new-0123456789abcdef")
    assert not atomic.is_leftover(".promptops-new-0123456789abcdef.json")
