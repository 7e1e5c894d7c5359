from __future__ import annotations

from pathlib import Path

import pytest

from promptops.errors import PromptopsError, RefusedError
from promptops.repo import refs
from promptops.repo.git import Git, GitError
from promptops.repo.refs import Update


@pytest.fixture
def git(repo):
    repo.commit("One")
    repo.commit("Two")
    with Git(str(repo.root)) as git:
        yield git


def test_all_refs_move_or_none(git):
    one, two = git.commit("HEAD~1"), git.commit("HEAD")
    refs.update(git, [Update("refs/x/a", one), Update("refs/x/b", one)])
    assert refs.listing(git, "refs/x") == {"refs/x/a": one, "refs/x/b": one}
    with pytest.raises(RefusedError):
        refs.update(git, [Update("refs/x/a", two, one), Update("refs/x/b", two, two)])
    with pytest.raises(RefusedError):
        refs.update(git, [Update("refs/x/c", two), Update("refs/x/b", two)])
    assert refs.listing(git, "refs/x") == {"refs/x/a": one, "refs/x/b": one}


def test_no_ref_stays_moved_where_git_fails_at_a_later_one(git):
    one, two = git.commit("HEAD~1"), git.commit("HEAD")
    refs.update(git, [Update("refs/x/a", one)])
    before = refs.listing(git, "refs/x")
    # In place of its log, so that git prepares all of them and then cannot write the last.
    folder = Path(git.common_dir, "logs/refs/x/c")
    folder.mkdir(parents=True)
    (folder / "in the way").touch()
    with pytest.raises(GitError, match="no ref was moved"):
        refs.update(git, [Update("refs/x/a", two, one), Update("refs/x/b", two), Update("refs/x/c", two)])
    assert refs.listing(git, "refs/x") == before


def test_refs_that_cannot_be_written_are_no_refusal(git):
    head = git.commit("HEAD")
    folder = Path(git.common_dir, "refs/heads")
    (folder / "locked.lock").touch()
    with pytest.raises(GitError, match="File exists") as caught:
        refs.update(git, [refs.Update("refs/heads/locked", head)])
    assert f"rm {folder / 'locked.lock'}" in caught.value.hint
    (folder / "broken").write_text("no id\n")
    with pytest.raises(GitError, match="reference broken") as caught:
        refs.update(git, [refs.Update("refs/heads/broken", head)])
    assert "--git-path refs/heads/broken" in caught.value.hint


@pytest.mark.parametrize(("ref", "old"), [("main", None), ("main", "1" * 40), ("gone", "1" * 40), ("main/x", None)])
def test_refs_that_were_moved_are_refused(git, ref, old):
    with pytest.raises(RefusedError, match="no ref was moved"):
        refs.update(git, [refs.Update(f"refs/heads/{ref}", git.commit("HEAD"), old)])


def test_ref_is_read_exactly(git):
    assert refs.read(git, "refs/heads/main") == git.commit("HEAD")
    assert refs.read(git, "refs/heads/none") is None


@pytest.fixture
def remote(repo, git, tmp_path):
    repo.clone(tmp_path / "remote.git", "--mirror")
    repo.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    return "origin"


def test_push_moves_all_or_none_and_only_from_where_they_were(git, remote):
    one, two = git.commit("HEAD~1"), git.commit("HEAD")
    refs.push(git, remote, [Update("refs/x/a", one)])
    assert refs.remote_refs(git, remote, ["refs/x/a", "refs/x/b"]) == {"refs/x/a": one}
    for stale in ([Update("refs/x/a", two)], [Update("refs/x/a", two, two)]):
        with pytest.raises(refs.RejectedError):
            refs.push(git, remote, [*stale, Update("refs/x/b", two)])
    assert refs.remote_refs(git, remote, ["refs/x/a", "refs/x/b"]) == {"refs/x/a": one}
    with pytest.raises(refs.RejectedError) as caught:
        refs.push(git, remote, [Update("refs/x/a", two)])
    assert "graft" not in caught.value.message
    refs.push(git, remote, [Update("refs/x/a", two, one), Update("refs/x/b", two)])
    assert refs.remote_refs(git, remote, ["refs/x/a", "refs/x/b"]) == {"refs/x/a": two, "refs/x/b": two}


def test_unreachable_remote_is_not_a_rejection(git, repo):
    repo.git("remote", "add", "gone", "/nowhere/at/all")
    with pytest.raises(GitError, match="'/nowhere/at/all'"):
        refs.push(git, "gone", [Update("refs/x/a", git.commit("HEAD"))])
    with pytest.raises(PromptopsError):
        refs.remote_refs(git, "gone", ["refs/x/a"])


def test_names_that_look_like_options_are_names(git):
    with pytest.raises(GitError):
        refs.push(git, "--upload-pack=touch /tmp/x", [Update("refs/x/a", git.commit("HEAD"))])
    assert refs.read(git, "--all") is None
