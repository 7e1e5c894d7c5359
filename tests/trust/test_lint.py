"""Policies and key lists under which one person could be two, or nobody would decide: each is a finding with a place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support import Repo

POLICY = ".promptops/policy.yaml"
SIGNERS = ".promptops/allowed_signers"


def line_of(repo: Repo, name: str) -> int:
    return next(n for n, line in enumerate(repo.read(SIGNERS).splitlines(), 1) if line.startswith(f"{name}@"))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("KEY(carol)", "KEY(alice)", "the key of alice@example.org (line 2) stands here again: one key is one person"),
        ("carol@example.org", "carol@example.org,dave@example.org", "is a pattern or a list: one key could be several"),
        ("carol@example.org", "*@example.org", "*@example.org is a pattern or a list"),
        ("carol@example.org", "carol@example.or?", "is a pattern or a list"),
        ('namespaces="NAMES" ', "", "carol@example.org may sign for anything: namespaces= must list what for"),
        ('namespaces="NAMES" ', 'namespaces="*" ', "carol@example.org may sign for anything"),
        ('namespaces="NAMES" ', 'cert-authority,namespaces="git" ', "option cert-authority is not supported"),
    ],
)
def test_a_line_that_makes_one_key_several_people_is_a_finding(project, old, new, reason):
    number = line_of(project, "carol")
    lines = project.read(SIGNERS).splitlines(keepends=True)
    names = lines[number - 1].split('"')[1]
    for name in ("carol", "alice"):
        old, new = (
            text.replace(f"KEY({name})", project.public_key(name)).replace("NAMES", names) for text in (old, new)
        )
    assert old in lines[number - 1]
    lines[number - 1] = lines[number - 1].replace(old, new)
    project.write(SIGNERS, "".join(lines))
    found(project, f"{SIGNERS}:{number}", reason)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("threshold: 1", "threshold: 0", "must be at least 1: a policy that nobody signs protects nothing"),
        ("threshold: 1", "threshold: -1", "must be at least 1"),
        ("threshold: 1", "threshold: 4", "4 roots must sign, but only 3 of them can"),
        ("of: [alice, bob, carol]", "of: [alice, alice]", "non-unique"),
        ("of: [alice, bob, carol]", "of: [alice, eve]", "eve is not one of the people"),
        ("[refs/heads/main]", "[main]", "full branch name"),
        ("version: 1", 'version: "1"', "is not of type"),
        ("carol: [carol@example.org]", "carol: [bob@example.org]", "bob@example.org belongs to bob and to carol"),
        ("carol: [carol@example.org]", 'carol: ["*@example.org"]', "must be one plain name"),
        ("carol: [carol@example.org]", 'carol: ["carol@example.org,dave@example.org"]', "must be one plain name"),
    ],
)
def test_a_policy_that_protects_nothing_is_a_finding(project, old, new, reason):
    assert old in project.read(POLICY)
    project.write(POLICY, project.read(POLICY).replace(old, new))
    found(project, f"{POLICY}:", reason)


def found(repo: Repo, place: str, reason: str) -> None:
    """Both who lints and who checks what is staged learn of it, with its place, and nobody signs it."""
    repo.git("add", "-A")
    for command in (["key", "lint"], ["check", "--staged", "--rules", "PO402"]):
        done = repo.cli(*command)
        assert done.code == 1, done
        assert reason in done.out
        assert place in done.out
    assert "PO402" in done.out
    assert repo.cli("policy", "sign", "--key", str(repo.key("alice"))).code == 1
