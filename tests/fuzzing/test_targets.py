"""A bounded share of what ``make fuzz`` does at length, and git's own word on objects."""

from __future__ import annotations

import random

import mutation
import pytest
import targets
from hypothesis import given, settings
from hypothesis import strategies as st
from support import make_registry
from targets import tag

from promptops.errors import PromptopsError
from promptops.repo import tagobject
from promptops.repo.git import Git, GitError


def accepted(name: str, data: bytes) -> bool:
    """Judge one input; what breaks a promise raises."""
    try:
        targets.load(name).target(data)
    except PromptopsError:
        return False
    return True


def mutated(name: str, number: int) -> bytes:
    module = targets.load(name)
    return mutation.Mutator(str(number), mutation.seeds(name), module.PIECES, module.SPLIT).next()


def inputs(name: str) -> st.SearchStrategy[bytes]:
    pieces = st.lists(st.sampled_from(targets.load(name).PIECES), max_size=12).map(b"".join)
    return pieces | st.binary(max_size=120) | st.integers(0, 2**32).map(lambda number: mutated(name, number))


@pytest.mark.parametrize("name", targets.NAMES)
def test_every_kept_seed_is_accepted_or_refused(name):
    assert {accepted(name, data) for data in mutation.seeds(name)} == {True, False}


@pytest.mark.parametrize("name", targets.NAMES)
def test_no_input_breaks_a_promise(name):
    seen = set()

    @settings(max_examples=300, derandomize=True, database=None)
    @given(inputs(name))
    def judge(data: bytes) -> None:
        seen.add(accepted(name, data))

    judge()
    assert seen == {True, False}


@pytest.fixture(scope="module")
def git(tmp_path_factory):
    repo = make_registry(tmp_path_factory.mktemp("git"))
    with Git(str(repo.root)) as git:
        yield git


def objects(kind: bytes, git: Git) -> list[bytes]:
    """Mutated tags or commits, with ids that exist in the repository."""
    ids = {b"object": git.text("rev-parse", "HEAD"), b"parent": git.text("rev-parse", "HEAD"), b"tree": git.text("rev-parse", "HEAD^{tree}")}  # fmt: skip
    drawn = mutation.Mutator("git", mutation.seeds("tag"), tag.PIECES, None)
    found = []
    for _ in range(2500):
        lines = drawn.next().split(b"\n")
        for index, line in enumerate(lines[:2]):
            name, _, oid = line.partition(b" ")
            if name in ids and len(oid) == 40:
                lines[index] = name + b" " + ids[name].encode()
        if lines[0] == kind + b" " + ids[kind].encode():
            found.append(b"\n".join(lines))
    return found


def test_git_takes_the_tags_that_are_read(git):
    read = [data for data in objects(b"object", git) if parses(tagobject.parse_tag, data)]
    assert len(read) > 40
    for data in random.Random(1).sample(read, 40):
        if tagobject.parse_tag(data).kind == "commit":
            assert git.run("mktag", stdin=data)


@pytest.mark.parametrize("name", ["two-signatures", "zero-padded-date", "strange-type", "name-dots"])
def test_what_git_refuses_is_not_read(git, name):
    data = (mutation.SEEDS / "tag" / f"{name}.txt").read_bytes()
    data = data.replace(tag.OID, git.text("rev-parse", "HEAD").encode())
    assert not parses(tagobject.parse_tag, data)
    if name != "two-signatures":
        with pytest.raises(GitError):
            git.run("mktag", stdin=data)


def test_git_finds_nothing_wrong_with_the_commits_that_are_read(git):
    read = [data for data in objects(b"tree", git) if parses(tagobject.parse_commit, data)][:40]
    assert len(read) == 40
    ids = [git.run("hash-object", "-t", "commit", "-w", "--stdin", stdin=data).decode().strip() for data in read]
    assert git.run("fsck", "--strict", "--no-dangling", *ids) is not None


def parses(parse, data: bytes) -> bool:
    try:
        parse(data)
    except PromptopsError:
        return False
    return True
