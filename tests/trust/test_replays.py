"""Signatures that were good once: for another place, another content, or content that was taken back since."""

from __future__ import annotations

import json

import pytest
import reviewing
from reviewing import PROMPT, approved, change, judge, reasons, requested
from support import Repo, prompt

POLICY = ".promptops/policy.yaml"


def findings(repo: Repo, *args: str) -> str:
    """What CI says about HEAD since main; it must be a finding."""
    done = repo.cli("check", "--base", "main", "--rules", "PO4", *args)
    assert done.code == 1, done
    return done.out


def reviewed_change(repo: Repo, text: str, version: str, branch: str, *, start: str = "main") -> None:
    """A branch off ``start`` whose change alice requested and bob approved."""
    repo.git("switch", "-q", start)
    change(repo, text, version, branch=branch)
    requested(repo)
    approved(repo)


def merge(repo: Repo, branch: str) -> None:
    repo.git("switch", "-q", "main")
    repo.git("merge", "-q", "--no-ff", "-m", f"Merge {branch}", branch)


@pytest.mark.parametrize("flow", ["merge", "squash"])
def test_a_revert_of_a_revert_does_not_land_unreviewed(reviewed, flow):
    reviewed.git("switch", "-q", "main")
    if flow == "merge":
        merge(reviewed, "topic")
        reviewed.git("revert", "--no-edit", "-m", "1", "HEAD")
    else:
        reviewed.git("merge", "-q", "--squash", "topic")
        reviewed.commit("Squashed by a forge", sign=False)
        reviewed.git("revert", "--no-edit", "HEAD")
    reviewed.git("switch", "-q", "-c", "again")
    reviewed.git("revert", "--no-edit", "HEAD")
    assert "prompt/support/reply 1.1.0" in findings(reviewed)
    assert "held this content since and took it back" in findings(reviewed)
    if flow == "squash":
        # The branch as it was approved, off the commit before all this, is no way around.
        assert "took it back" in reasons(judge(reviewed, head="topic"))
    requested(reviewed)
    approved(reviewed)
    assert judge(reviewed).satisfied
    # A check that runs again after the merge comes to the same verdict.
    reviewed.git("switch", "-q", "main")
    reviewed.git("merge", "-q", "--squash", "again")
    reviewed.commit("Squashed by a forge", sign=False)
    assert judge(reviewed, head="again").satisfied


def test_what_was_deleted_and_brought_back_is_not_deleted_again_on_the_same_signatures(project):
    project.write("evals/safety.yaml", "old: true\n")
    project.commit("Suite")
    project.git("switch", "-q", "-c", "topic")
    project.git("rm", "-q", "evals/safety.yaml")
    project.commit("Drop the suite")
    requested(project)
    approved(project)
    assert judge(project).satisfied
    project.git("switch", "-q", "main")
    project.git("merge", "-q", "--squash", "topic")
    project.commit("Squashed")
    project.git("checkout", "-q", "main~1", "--", "evals/safety.yaml")
    project.commit("Bring it back")
    assert "evals/safety.yaml (deleted)" in reasons(judge(project, head="topic"))
    assert "took it back" in reasons(judge(project, head="topic"))


def test_an_approval_of_another_repository(reviewed, tmp_path):
    """The same people, keys and content, under another name: a fork that declares itself, or a sister repository."""
    reviewed.git("switch", "-q", "main")
    reviewed.cli("policy", "move", "git+https://example.org/sister")
    reviewing.new_policy(reviewed)
    reviewed.git("switch", "-q", "topic")
    found = findings(reviewed)
    assert "is for the repository git+https://example.org/prompts" in found
    assert "prompt/support/reply 1.1.0" in found


def test_an_approval_for_another_branch(project):
    policy = project.read(POLICY).replace("[refs/heads/main]", "[refs/heads/main, refs/heads/next]")
    reviewing.new_policy(project, policy)
    project.git("branch", "next")
    change(project)
    project.promptops("review", "request", "--base", "next")
    project.commit("Request")
    project.promptops("review", "approve", "--base", "next", by="bob")
    project.commit("Approve")
    assert project.cli("check", "--base", "next", "--rules", "PO4").code == 0
    assert "is for refs/heads/next" in findings(project)


def test_an_approval_of_another_prompt_and_of_another_version(reviewed):
    merge(reviewed, "topic")
    reviewed.git("switch", "-q", "-c", "copy")
    reviewed.write("prompts/support/close.yaml", reviewed.read(PROMPT))
    reviewed.commit("The same words under another name")
    assert "prompt/support/close 1.1.0: nobody signed it" in findings(reviewed)
    reviewed.git("switch", "-q", "-C", "renumbered", "main")
    reviewed.write(PROMPT, prompt("Be brief.", version="1.1.1"))
    reviewed.commit("The same words under another number")
    assert "is for version 1.1.0" in findings(reviewed)


def release(repo: Repo, *args: str, code: int = 0) -> list[dict]:
    done = repo.promptops("release", "--no-canary", "tested by hand", "--json", *args, check=code)
    return json.loads(done.stdout)


@pytest.mark.parametrize("withdrawn", [False, True])
def test_a_released_or_withdrawn_version_is_never_approved_again(reviewed, withdrawn):
    merge(reviewed, "topic")
    release(reviewed)
    if withdrawn:
        reviewed.promptops("withdraw", "support/reply@1.1.0", "--reason", "flatters")
    reviewed.git("revert", "--no-edit", "-m", "1", "HEAD")
    reviewed.git("switch", "-q", "-c", "again")
    reviewed.git("revert", "--no-edit", "HEAD")
    found = findings(reviewed)
    assert "prompt/support/reply 1.1.0: nobody signed it" in found
    assert "was given when it replaced nothing" in found
    reviewed.git("switch", "-q", "main")
    reviewed.git("merge", "-q", "again")
    # Whoever merges it all the same releases nothing: the version is taken.
    assert release(reviewed) == []


def test_two_changes_that_merge_into_a_third_text_are_caught_at_release(project):
    """Each is approved and merges cleanly; nobody has read what comes out."""
    words = ["First line.", "Second line.", "Third line.", "Fourth line.", "Fifth line."]

    def text(*lines: str, version: str) -> str:
        body = "".join(f"      {line}\n" for line in lines)
        return (
            prompt(version=version)
            .replace("content: 'Answer the ticket.'}", "content: X}")
            .replace("  - {role: system, content: X}\n", f"  - role: system\n    content: |\n{body}")
        )

    project.write(PROMPT, text(*words, version="1.0.1"))
    project.commit("Longer")
    for branch, index in (("one", 0), ("two", 4)):
        project.git("switch", "-q", "-c", branch, "main")
        changed = [*words]
        changed[index] = f"Changed by {branch}."
        project.write(PROMPT, text(*changed, version="1.1.0"))
        project.commit("Change")
        requested(project)
        approved(project)
        assert judge(project).satisfied
    merge(project, "one")
    merge(project, "two")
    assert project.read(PROMPT).count("Changed by") == 2
    (outcome,) = release(project, code=1)
    assert outcome["status"] == "refused"
    assert "prompt/support/reply 1.1.0: nobody signed it" in outcome["reasons"][0]
    assert "a request is for other content" in outcome["reasons"][0]
    # Reviewed as it is now, on the branch itself, it may be released.
    requested(project)
    approved(project)
    assert release(project)[0]["status"] == "released"
