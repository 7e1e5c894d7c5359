"""Which tags are releases."""

from __future__ import annotations

import pytest

from promptops.repo import tags
from promptops.repo.git import Git


@pytest.mark.parametrize(
    ("tag", "parts"),
    [
        ("prompt/reply@v1.0.0", ("reply", "1.0.0")),
        ("refs/tags/prompt/a/b-c@v2.0.0-rc.1", ("a/b-c", "2.0.0-rc.1")),
        ("prompt/a@v1@v1.0.0", ("a@v1", "1.0.0")),
        ("prompt/reply@1.0.0", None),
        ("prompt/reply@v1.0", None),
        ("reply@v1.0.0", None),
        ("refs/heads/prompt/reply@v1.0.0", None),
        ("v1.0.0", None),
    ],
)
def test_a_release_tag_has_a_name_and_a_version(tag, parts):
    found = tags.split_tag(tag)
    assert (found and (found[0], found[1].text)) == parts
    if parts and tag.startswith("prompt/"):
        assert tags.tag_name(*parts) == tag


def test_releases_are_annotated_tags_of_commits_in_order(registry):
    for tag in (
        "prompt/reply@v1.10.0",
        "prompt/reply@v1.2.0",
        "prompt/reply@v2.0.0-rc.1",
        "prompt/reply-ext@v1.0.0",
        "prompt/a/reply@v1.0.0",
    ):
        registry.git("tag", "-a", "-m", "x", tag)
    registry.git("tag", "prompt/reply@v3.0.0")
    registry.git("tag", "-a", "-m", "x", "prompt/reply@v4.0.0", "HEAD^{tree}")
    registry.git("tag", "-a", "-m", "x", "prompt/reply@vnext")
    registry.git("tag", "-a", "-m", "x", "v9.9.9")
    git = Git(str(registry.root))
    assert [tag.version.text for tag in tags.releases(git, "reply")] == ["1.2.0", "1.10.0", "2.0.0-rc.1"]
    everything = tags.releases(git)
    assert [tag.name for tag in everything] == ["a/reply", "reply", "reply", "reply", "reply-ext"]
    assert {tag.commit for tag in everything} == {registry.git("rev-parse", "HEAD")}
    assert everything[0].oid == registry.git("rev-parse", everything[0].tag)
    assert tags.releases(git, "nothing") == []


def test_an_empty_repository_has_no_releases(repo):
    assert tags.releases(Git(str(repo.root))) == []
