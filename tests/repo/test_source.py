"""Index, tree and work tree show the same files in the same way."""

from __future__ import annotations

import os
import stat
import subprocess

import pytest
from support import no_room

from promptops.errors import InputError
from promptops.repo.git import Git, GitError
from promptops.repo.source import IndexSource, TreeSource, WorktreeSource, replace

NAMES = [
    "prompts/a.yaml",
    "prompts/b/c.yaml",
    "prompts/new\nline.yaml",
    "prompts/sp ace.yaml",
    "prompts/ünï.yaml",
    "promptsx.yaml",
    "z.txt",
]


@pytest.fixture
def filled(repo):
    for name in NAMES:
        repo.write(name, f"{name}\n")
    repo.commit()
    return repo


def sources(repo):
    git = Git(str(repo.root))
    return [WorktreeSource(str(repo.root)), IndexSource(git), TreeSource(git, "HEAD")]


def test_label_of_a_commit_is_short(filled):
    with Git(str(filled.root)) as git:
        oid = git.commit("HEAD")
        assert TreeSource(git, oid).label == f"commit {oid[:12]}"
        assert TreeSource(git, "HEAD").label == "HEAD"


def test_sources_agree(filled):
    for source in sources(filled):
        assert list(source.entries()) == sorted(NAMES)
        assert list(source.entries("prompts/")) == sorted(NAMES)[:-2]
        wanted = [*NAMES, "missing.yaml", "prompts", "prompts/"]
        assert source.read_many(wanted) == {name: f"{name}\n".encode() for name in NAMES}
        for name in NAMES:
            assert source.read(name) == f"{name}\n".encode()
        assert source.read("missing.yaml") is None
        assert source.read("prompts") is None
        assert source.read("prompts/a.yaml/x") is None


def test_reads_give_the_same_before_and_after_a_listing(filled):
    filled.write("short", "x")
    filled.write("run", "x").chmod(0o755)
    filled.commit()
    for source in sources(filled):
        before = [source.read(name) for name in ("short", "run", "missing")]
        source.entries()
        assert [source.read(name) for name in ("short", "run", "missing")] == before == [b"x", b"x", None]


def test_links_and_submodules_are_refused_by_every_source(filled, tmp_path):
    os.symlink("a.yaml", filled.root / "prompts" / "link.yaml")
    os.symlink("b", filled.root / "prompts" / "folder")
    filled.git("add", "-A")
    head = filled.git("rev-parse", "HEAD")
    filled.git("update-index", "--add", "--cacheinfo", f"160000,{head},prompts/sub.yaml")
    filled.git("commit", "-q", "-m", "Links")
    for listed in (False, True):
        for source in sources(filled):
            if listed:
                source.entries()
            with pytest.raises(InputError, match="symbolic links"):
                source.read("prompts/link.yaml")
    for source in sources(filled)[1:]:
        source.entries()
        with pytest.raises(InputError, match="submodules"):
            source.read("prompts/sub.yaml")


def test_the_index_of_a_partial_commit_is_honoured(filled, monkeypatch):
    other = filled.root / ".git" / "other-index"
    filled.write("prompts/a.yaml", "staged elsewhere\n")
    env = os.environ | {"GIT_INDEX_FILE": str(other)}
    subprocess.run(["git", "-C", str(filled.root), "add", "-A"], env=env, check=True)
    assert IndexSource(Git(str(filled.root))).read("prompts/a.yaml") == b"prompts/a.yaml\n"
    monkeypatch.setenv("GIT_INDEX_FILE", str(other))
    assert IndexSource(Git(str(filled.root))).read("prompts/a.yaml") == b"staged elsewhere\n"


def test_from_a_folder_inside_paths_are_still_those_of_the_root(filled):
    git = Git(str(filled.root / "prompts"))
    for source in (IndexSource(git), TreeSource(git, "HEAD")):
        assert list(source.entries()) == sorted(NAMES)
        assert source.read("z.txt") == b"z.txt\n"


def test_a_tree_needs_a_commit(repo):
    with pytest.raises(GitError, match="no commit is named HEAD"):
        TreeSource(Git(str(repo.root)), "HEAD")
    assert IndexSource(Git(str(repo.root))).entries() == {}
    assert WorktreeSource(str(repo.root)).entries() == {}


def test_an_unreadable_file_is_an_input_error(filled):
    os.symlink("loop", filled.root / "loop")
    with pytest.raises(InputError):
        WorktreeSource(str(filled.root)).read("loop")


def test_a_named_pipe_is_refused_at_once(filled):
    os.mkfifo(filled.root / "pipe")
    with pytest.raises(InputError, match="no regular file"):
        WorktreeSource(str(filled.root)).read("pipe")


def test_a_file_that_cannot_be_replaced_keeps_its_content(filled):
    filled.write("prompts/a.md", "old\n")
    os.chmod(filled.root / "prompts/a.md", 0o750)
    before = sorted(os.listdir(filled.root / "prompts"))
    with no_room(), pytest.raises(OSError, match="large"):
        replace(str(filled.root), "prompts/a.md", b"x" * 10_000)
    assert (filled.read("prompts/a.md"), sorted(os.listdir(filled.root / "prompts"))) == ("old\n", before)
    replace(str(filled.root), "prompts/a.md", b"new\n")
    assert filled.read("prompts/a.md") == "new\n"
    assert stat.S_IMODE(os.stat(filled.root / "prompts/a.md").st_mode) == 0o750
