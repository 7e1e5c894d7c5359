from __future__ import annotations

import pytest

from promptops.errors import RefusedError
from promptops.repo.git import Git
from promptops.repo.source import TreeSource
from promptops.trust import commits, policy


def authors(repo, *paths):
    with Git(str(repo.root)) as git:
        return commits.authors(git, policy.load(TreeSource(git, "main")), ["HEAD", "^main"], paths)


def test_authors_are_known_by_signature_alone(project):
    project.git("switch", "-q", "-c", "topic")
    project.write("models/a.yaml", "a")
    project.commit("By bob", by="bob")
    project.write("models/a.yaml", "b")
    project.commit("Claims to be carol", sign=False, by="carol")
    project.write("models/b.yaml", "b")
    project.git("commit", "-q", "--allow-empty", "-m", "x", "--author", "carol <carol@example.org>")
    project.commit("Elsewhere")
    assert authors(project, "models/a.yaml") == ({"bob"}, 1)
    assert authors(project, "models/b.yaml") == ({"alice"}, 0)
    assert authors(project, "models/*.yaml") == (set(), 0)


def test_altered_commit_has_no_author(project):
    raw = project.git("cat-file", "commit", "HEAD").encode() + b"\n"
    payload, signature = commits.split(raw)
    trust = policy.load(TreeSource(Git(str(project.root)), "HEAD"))
    assert trust.verify(payload, signature, "git")[0] == "alice"
    with pytest.raises(RefusedError):
        trust.verify(payload.replace(b"Start", b"Other"), signature, "git")
    header = raw[raw.index(b"gpgsig ") : raw.index(b"\n\n") + 1]
    for damaged in (raw.replace(header, b""), raw.replace(header, header * 2)):
        with pytest.raises(RefusedError, match="exactly one signature"):
            commits.split(damaged)
