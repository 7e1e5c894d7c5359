from __future__ import annotations

import json

import pytest

POLICY = ".promptops/policy.yaml"


def check(repo, *args):
    done = repo.cli("check", "--json", "--rules", "PO402", *args)
    return [(each["rule"], each["path"]) for each in json.loads(done.out)["findings"] if each["severity"] == "block"]


def edit(repo, old, new):
    text = repo.read(POLICY)
    assert old in text
    repo.write(POLICY, text.replace(old, new))
    repo.git("add", "-A")


def test_finds_an_edit_that_nobody_signed(project):
    edit(project, "default: 1", "default: 0")
    assert [rule for rule, _ in check(project, "--staged")] == ["PO402"]


def test_finds_keys_that_nobody_signed(project):
    project.write(".promptops/allowed_signers", project.read(".promptops/allowed_signers") + "\n# more\n")
    project.git("add", "-A")
    assert [rule for rule, _ in check(project, "--staged")] == ["PO402"]


@pytest.mark.parametrize("path", [POLICY, ".promptops/allowed_signers", ".promptops/policy.d/1.json"])
def test_finds_deletions(project, path):
    project.git("rm", "-q", path)
    assert {rule for rule, _ in check(project, "--staged")} == {"PO402"}


def test_finds_a_policy_that_starts_anew(project):
    project.git("rm", "-q", "-r", ".promptops")
    project.commit("Away")
    key = f"--person=alice=alice@example.org={project.key('alice')}.pub"
    project.promptops("policy", "init", "--repository", "git+https://example.org/other", key, "--solo")
    project.git("add", "-A")
    project.git("reset", "-q", "--soft", "HEAD^")
    assert [rule for rule, _ in check(project, "--staged")] == ["PO402"]


def test_finds_contradictions(project):
    edit(project, "default: 1", "default: 1\n  rules: [{paths: ['*'], role: nobody, approvals: 1}]")
    assert check(project, "--staged")[0] == ("PO402", POLICY)


def test_is_silent_on_a_signed_policy(project):
    assert check(project, "--all") == []


def test_is_silent_on_a_signed_successor(project):
    edit(project, "default: 1", "default: 0")
    edit(project, "version: 1", "version: 2")
    project.promptops("policy", "sign")
    project.git("add", "-A")
    assert check(project, "--staged") == []
