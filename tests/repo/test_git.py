"""The git wrapper in every kind of repository, and when there is none."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from support import make_registry, make_repo

from promptops.errors import UsageError
from promptops.repo.git import Git, GitError


@pytest.fixture
def git(registry):
    with Git(str(registry.root)) as opened:
        yield opened


def test_facts_from_any_folder_inside(registry):
    with Git(str(registry.root / "prompts")) as git:
        assert git.root == str(registry.root)
        assert git.common_dir == str(registry.root / ".git")
        assert git.shallow is False
        assert git.commit("HEAD") == git.commit("main") == registry.git("rev-parse", "HEAD")


@pytest.mark.parametrize(
    "name",
    [
        "plain.txt",
        "with space.txt",
        'quo"te.txt',
        "new\nline.txt",
        "tab\t.txt",
        "ünï.txt",
        "-dash.txt",
        ":(top)x.txt",
        "*.txt",
        "a\\b.txt",
    ],
)
def test_any_path_can_be_read(registry, git, name):
    registry.write(name, f"content of {name}")
    registry.git("add", "-A")
    found = git.object(f":{name}") if not name.startswith(":") else git.object(f":0:{name}")
    assert found is not None
    assert (found.kind, found.data.decode()) == ("blob", f"content of {name}")
    assert git.object(":nowhere\nat all") is None
    assert git.object(f":0:{name}") == found


@pytest.mark.parametrize("spec", ["x blob 3\nfoobarbaz", ":new blob 9\nline.txt", "x\n"])
def test_a_line_break_in_a_name_forges_no_object(git, spec):
    assert git.object(spec) is None
    assert git.object("HEAD").kind == "commit"
    assert git.object(":promptops.yaml").data == b"version: 1\n"


def test_signatures_of_commits_are_not_shown_unasked(git, registry):
    registry.git("config", "log.showSignature", "true")
    assert git.text("log", "-1", "--format=%H") == registry.git("rev-parse", "HEAD")


def test_bytes_that_are_no_text_can_be_a_path(registry, git):
    path = os.fsencode(str(registry.root)) + b"/caf\xe9.txt"
    with open(path, "wb") as file:
        file.write(b"x")
    subprocess.run(["git", "-C", str(registry.root), "add", "-A"], check=True)
    found = git.object(os.fsdecode(b":caf\xe9.txt"))
    assert found is not None
    assert found.data == b"x"


def test_one_reader_serves_many_objects_of_every_kind(registry, git):
    registry.git("tag", "-a", "-m", "t", "v1")
    registry.write("empty", "")
    registry.write("binary", bytes(range(256)) * 999)
    registry.commit()
    kinds = [found.kind for spec in ("HEAD", "HEAD^{tree}", "v1", "HEAD:empty") if (found := git.object(spec))]
    assert kinds == ["commit", "tree", "tag", "blob"]
    for _ in range(50):
        assert git.object("HEAD:binary").data == bytes(range(256)) * 999
        assert git.object("HEAD:empty").data == b""
        assert git.object("HEAD:none") is None
        assert git.object("") is None


def test_many_objects_at_once(registry, git):
    oids = [
        registry.git("rev-parse", spec)
        for spec in ("HEAD:promptops.yaml", "HEAD:models/gpt.yaml", "HEAD:promptops.yaml")
    ]
    assert git.objects(oids)[oids[0]] == b"version: 1\n"
    assert git.objects([]) == {}
    with pytest.raises(GitError, match="is missing"):
        git.objects(["0" * 40])


@pytest.mark.parametrize(
    "revision", ["nope", "", "--help", "-x", "HEAD~99", "HEAD:promptops.yaml", "a b", "main^{tree}", "@{u}", "x\ny"]
)
def test_what_is_no_commit_is_refused(git, revision):
    with pytest.raises(GitError, match="no commit is named"):
        git.commit(revision)


def test_a_nul_byte_is_refused(git):
    with pytest.raises(UsageError):
        git.object("HEAD\0x")
    with pytest.raises((UsageError, GitError)):
        git.commit("HEAD\0x")


def test_failures_carry_the_words_of_git(git):
    with pytest.raises(GitError, match="git rev-parse failed: fatal") as caught:
        git.run("rev-parse", "--verify", "nonsense")
    assert caught.value.exit_code == 3
    assert git.try_run("rev-parse", "--verify", "nonsense").returncode != 0


def test_outside_a_repository(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "plain").mkdir()
    with Git(str(tmp_path / "plain")) as git:
        with pytest.raises(GitError, match="not inside a git repository") as caught:
            _ = git.root
        assert caught.value.hint.startswith("git init")
        with pytest.raises(GitError, match="not inside a git repository"):
            git.run("status")
        with pytest.raises(GitError):
            git.object("HEAD")


def test_without_git_on_path(registry, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with Git(str(registry.root)) as git:
        for call in (
            lambda: git.root,
            lambda: git.commit("HEAD"),
            lambda: git.object("HEAD"),
            lambda: git.objects(["0" * 40]),
        ):
            with pytest.raises(GitError, match="git is not on PATH"):
                call()


def test_a_folder_that_is_gone(tmp_path):
    with Git(str(tmp_path / "gone")) as git, pytest.raises(GitError) as caught:
        _ = git.root
    assert "not on PATH" not in caught.value.message


def test_a_bare_repository_has_no_work_tree(registry, tmp_path):
    bare = registry.clone(tmp_path / "bare.git", "--bare")
    with Git(str(bare.root)) as git:
        assert git.commit("main") == registry.git("rev-parse", "HEAD")
        assert git.object("main:promptops.yaml").data == b"version: 1\n"
        with pytest.raises(GitError, match="bare"):
            _ = git.root


def test_a_linked_worktree_shares_the_repository(registry, tmp_path):
    registry.git("worktree", "add", "-q", str(tmp_path / "linked"))
    with Git(str(tmp_path / "linked")) as git:
        assert git.root == str(tmp_path / "linked")
        assert git.common_dir == str(registry.root / ".git")


def test_a_shallow_clone_says_how_to_deepen(registry, tmp_path):
    first = registry.git("rev-parse", "HEAD")
    registry.commit("Second")
    shallow = registry.clone(tmp_path / "shallow", "--depth=1", "--no-local")
    with Git(str(shallow.root)) as git:
        assert git.shallow is True
        with pytest.raises(GitError) as caught:
            git.commit(first)
        assert "git fetch --unshallow" in caught.value.hint


def test_an_empty_repository_says_so(repo):
    with Git(str(repo.root)) as git:
        with pytest.raises(GitError) as caught:
            git.commit("HEAD")
        assert "no commit yet" in caught.value.hint


def test_a_sha256_repository(tmp_path):
    repo = make_repo(tmp_path)
    subprocess.run(["rm", "-rf", str(repo.root / ".git")], check=True)
    repo.git("init", "-q", "-b", "main", "--object-format=sha256")
    repo.write("a.txt", "x")
    repo.commit()
    with Git(str(repo.root)) as git:
        oid = git.commit("HEAD")
        assert len(oid) == 64
        found = git.object("HEAD:a.txt")
        assert git.objects([found.oid]) == {found.oid: b"x"}


def test_a_strict_reader_ignores_what_could_redirect_it(registry, tmp_path, monkeypatch):
    other = make_registry(tmp_path / "other") if (tmp_path / "other").mkdir() is None else None
    replaced = registry.commit("Second")
    registry.git("replace", replaced, registry.git("rev-parse", "HEAD~1"))
    config = tmp_path / "config"
    config.write_text("[alias]\n\trev-parse = !false\n[core]\n\thooksPath = /nowhere\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.root))
    with Git(str(registry.root), strict=True) as git:
        assert git.root == str(registry.root)
        assert git.object(replaced).data.decode().rstrip().endswith("Second")
        assert git.try_run("config", "core.hooksPath").stdout.strip() == os.devnull.encode()


def test_a_foreign_owner_is_explained(registry, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with Git(str(registry.root)) as git, pytest.raises(GitError, match="belongs to another user") as caught:
        _ = git.root
    assert caught.value.hint == f"git config --global --add safe.directory {registry.root}"
    assert Path(str(registry.root)).is_dir()


def test_a_partial_clone_says_what_to_fetch(registry, tmp_path):
    registry.git("config", "uploadpack.allowFilter", "true")
    partial = registry.clone(tmp_path / "partial", "--filter=blob:none", "--no-checkout", "--no-local")
    with Git(str(partial.root), strict=True) as git:
        with pytest.raises(GitError, match="never fetched") as caught:
            git.object("HEAD:promptops.yaml")
        assert "--no-filter" in caught.value.hint
        assert git.object("HEAD").kind == "commit"


def test_a_repository_that_git_cannot_read_is_explained(registry):
    registry.git("config", "core.repositoryformatversion", "9")
    with Git(str(registry.root)) as git:
        with pytest.raises(GitError, match="repo version"):
            git.object("HEAD")
        with pytest.raises(GitError, match="repo version"):
            _ = git.root


@pytest.mark.parametrize("name", ["LITERAL", "GLOB", "NOGLOB", "ICASE"])
def test_settings_of_the_caller_do_not_change_what_a_path_means(registry, monkeypatch, name):
    monkeypatch.setenv(f"GIT_{name}_PATHSPECS", "1")
    with Git(str(registry.root)) as git:
        assert git.text("ls-files", "--", ":(top,literal)promptops.yaml") == "promptops.yaml"
        assert git.text("ls-files", "--", ":(top,literal)PROMPTOPS.yaml") == ""
