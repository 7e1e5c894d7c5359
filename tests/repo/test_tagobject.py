from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptops.errors import RefusedError
from promptops.repo import tagobject
from promptops.repo.git import Git
from promptops.trust import sshsig

SIGNATURE = b"-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"
HEAD = b"object " + b"0" * 40 + b"\ntype commit\ntag v1\ntagger A <a@b> 1700000000 +0000\n\n"

COMMIT = b"tree " + b"0" * 40 + b"\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n"


@pytest.fixture
def git(registry, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", registry.env()["GIT_CONFIG_GLOBAL"])
    with Git(str(registry.root)) as git:
        yield git


def test_tag_is_what_git_would_have_written(registry, git, monkeypatch):
    monkeypatch.setenv("GIT_COMMITTER_DATE", "1700000000 +0100")
    git = Git(str(registry.root))
    commit = git.commit("HEAD")
    payload = tagobject.tag_payload(git, commit, "commit", "v1", b"One\n\ntwo\n")
    mine = tagobject.write_tag(git, payload + sshsig.sign(payload, str(registry.key("alice")), "git"))
    # Ed25519 signatures are deterministic, so git's own tag has the same id.
    git.run("-c", "gpg.format=ssh", "tag", "-s", "--cleanup=verbatim", "-m", "One\n\ntwo\n", "v1", commit)
    assert git.text("rev-parse", "refs/tags/v1") == mine
    git.close()


def test_commit_is_what_git_would_have_written(registry, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", registry.env()["GIT_CONFIG_GLOBAL"])
    monkeypatch.setenv("GIT_COMMITTER_DATE", "1700000000 +0100")
    monkeypatch.setenv("GIT_AUTHOR_DATE", "1700000000 +0100")
    with Git(str(registry.root)) as git:
        parent = git.commit("HEAD")
        tree = git.text("rev-parse", "HEAD^{tree}")
        payload = tagobject.commit_payload(git, tree, parent, b"One\n\ntwo\n")
        signature = sshsig.sign(payload, str(registry.key("alice")), "git")
        mine = tagobject.write_commit(git, payload, signature)
        assert git.text("commit-tree", "-S", "-p", parent, "-m", "One\n\ntwo", tree) == mine
        parsed = tagobject.parse_commit(git.object(mine).data)
        assert parsed == (tree, parent, 1700000000, payload, signature)


def test_signed_tag_is_taken_apart(git, registry):
    payload = tagobject.tag_payload(git, git.commit("HEAD"), "commit", "prompt/x@v1.0.0", b"text\n")
    parsed = tagobject.parse_tag(payload + SIGNATURE)
    assert (parsed.name, parsed.kind, parsed.message) == ("prompt/x@v1.0.0", "commit", b"text\n")
    assert (parsed.payload, parsed.signature) == (payload, SIGNATURE)
    assert tagobject.parse_tag(payload).signature == b""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        HEAD.rstrip(b"\n"),
        HEAD.replace(b"tag v1\n", b""),
        HEAD.replace(b"tag v1\n", b"tag v1\ntag v1\n"),
        HEAD.replace(b"tagger", b"gpgsig x\ntagger"),
        HEAD.replace(b"type commit\ntag v1", b"tag v1\ntype commit"),
        HEAD.replace(b"0" * 40, b"0" * 39),
        HEAD.replace(b"1700000000", b"soon"),
        HEAD.replace(b"1700000000", b"0170000000"),
        HEAD.replace(b"type commit", b"type bundle"),
        HEAD.replace(b"tag v1", b"tag "),
        HEAD.replace(b"tag v1", b"tag -d"),
        HEAD.replace(b"tag v1", b"tag a..b"),
        HEAD.replace(b"tag v1", b"tag a.lock"),
        HEAD.replace(b"tag v1", b"tag a\x1b[31m"),
        HEAD.replace(b"1700000000", b"253402300800"),
        HEAD.replace(b"v1", b"\xff"),
        HEAD + b"a\0b\n",
        HEAD + SIGNATURE + b"\n",
        HEAD + SIGNATURE + SIGNATURE,
        HEAD + SIGNATURE + b"text\n" + SIGNATURE,
        HEAD + SIGNATURE[:-1],
        HEAD + b"-----BEGIN PGP SIGNATURE-----\nAAAA\n-----END PGP SIGNATURE-----\n",
        HEAD + b"-----BEGIN PGP SIGNATURE-----\n" + SIGNATURE,
        HEAD + SIGNATURE.replace(b"AAAA", b"-----END SSH SIGNATURE-----\nAAAA"),
    ],
)
def test_anything_else_is_refused(data):
    with pytest.raises(RefusedError):
        tagobject.parse_tag(data)


@given(st.binary(max_size=300))
def test_no_input_does_more_than_be_refused(data):
    for parse in (tagobject.parse_tag, tagobject.parse_commit):
        try:
            parse(HEAD[:60] + data)
        except RefusedError:
            continue


@pytest.mark.parametrize(
    "data",
    [
        b"tree " + b"0" * 40 + b"\nauthor A <a@b> 1 +0000\n\nx",
        b"tree " + b"0" * 40 + b"\nparent " + b"0" * 40 + b"\nparent " + b"0" * 40
        + b"\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx",
        b"tree x\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx",
        b"tree " + b"0" * 40 + b"\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\nmergetag x\n\nx",
        COMMIT + b"gpgsig x\n y\n",
        COMMIT + b"\nserve\0\n",
        COMMIT + b"gpgsig\n y\n\nserve\n",
        COMMIT + b"gpgsig x\ngpgsig-sha256 y\n\nserve\n",
        COMMIT.replace(b"author", b"gpgsig x\nauthor") + b" y\n\nserve\n",
        COMMIT.replace(b"author A <a@b>", b"author A >") + b"\nserve\n",
    ],
)  # fmt: skip
def test_commit_of_another_form_is_refused(data):
    with pytest.raises(RefusedError):
        tagobject.parse_commit(data)
