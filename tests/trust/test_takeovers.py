"""Changes that would judge themselves: by an old policy, by none, by one of their own, or by people who have left."""

from __future__ import annotations

import pytest
import reviewing
from reviewing import approved, change, judge, reasons, requested
from support import Repo, prompt

from promptops.repo.source import WorktreeSource
from promptops.trust import chain, envelope, policy, sshsig

POLICY = ".promptops/policy.yaml"
RULES = '{default: 1, rules: [{paths: ["evals/safety*"], role: safety, approvals: 1}]}'


def findings(repo: Repo, base: str = "main") -> str:
    """What CI says about HEAD; it must be a finding."""
    done = repo.cli("check", "--base", base, "--rules", "PO4")
    assert done.code == 1, done
    return done.out


def without(repo: Repo, name: str) -> None:
    """Main goes on with a policy without somebody, who has left in good standing."""
    repo.git("switch", "-q", "main")
    assert repo.cli("policy", "remove", name).code == 0
    reviewing.new_policy(repo)


def test_a_departed_approver_is_refused_although_the_merge_base_trusts_them(project):
    change(project)
    requested(project)
    approved(project, "carol")
    assert judge(project).satisfied
    without(project, "carol")
    project.git("switch", "-q", "topic")
    assert project.git("show", f"{project.git('merge-base', 'main', 'topic')}:{POLICY}").count("carol") > 0
    found = findings(project)
    assert "signed by alice; needs 1 approval" in found
    assert "is not in allowed_signers" in found
    # Nor can they sign anew; somebody who is still there can.
    assert "not in allowed_signers of the target" in project.promptops("review", "approve", by="carol", check=1).stderr
    approved(project, "bob")
    assert project.cli("check", "--base", "main", "--rules", "PO4").code == 0


def test_a_departed_author_is_nobody_and_two_others_must_approve(project):
    change(project, by="carol")
    requested(project, by="carol")
    approved(project, "bob")
    assert judge(project).satisfied
    without(project, "carol")
    assert "signed by bob; needs a request and 1 approval" in reasons(judge(project, head="topic"))


def test_a_departed_root_signs_no_further_version(project):
    without(project, "carol")
    project.cli("policy", "approvals", "0")
    assert "not one of the roots" in project.promptops("policy", "sign", by="carol", check=1).stderr


def test_an_orphan_branch_has_nothing_to_be_judged_against(project):
    project.git("switch", "-q", "--orphan", "topic")
    project.git("checkout", "-q", "main", "--", ".")
    project.write("prompts/support/reply.yaml", prompt("Be brief.", version="1.1.0"))
    project.commit("Start again")
    done = project.cli("check", "--base", "main")
    assert done.code == 3
    assert "main and HEAD have no common history" in done.err
    # By itself, every file of it is new.
    done = project.cli("review", "verify", "--base", "main")
    assert done.code == 1
    assert "models/gpt-4o.yaml: nobody signed it" in done.out


@pytest.mark.parametrize("path", [POLICY, ".promptops/allowed_signers", ".promptops/revoked_keys", ".promptops"])
def test_a_branch_without_policy_is_judged_by_the_targets(project, path):
    project.git("switch", "-q", "-c", "topic")
    project.git("rm", "-rq", path)
    project.write("prompts/support/reply.yaml", prompt("Be brief.", version="1.1.0"))
    project.commit("No policy, no review")
    found = findings(project)
    assert "is missing" in found
    assert "prompt/support/reply 1.1.0: nobody signed it" in found


@pytest.mark.parametrize("how", ["files", "merge"])
def test_an_older_validly_signed_policy_does_not_come_back(project, how):
    """Version 2 still trusts carol and asks nobody for anything; every byte of it was signed by the roots."""
    project.cli("policy", "approvals", "0")
    project.promptops("policy", "sign")
    project.commit("Alone for now")
    old = project.git("rev-parse", "HEAD")
    project.cli("policy", "approvals", "1")
    without(project, "carol")
    if how == "files":
        project.git("switch", "-q", "-c", "topic")
        project.git("rm", "-rq", ".promptops")
        project.git("checkout", "-q", old, "--", ".promptops")
    else:
        project.git("switch", "-q", "-c", "topic", old)
        project.git("merge", "-q", "-s", "ours", "-m", "Catch up", "main")
    project.write("prompts/support/reply.yaml", prompt("Be brief.", version="1.1.0"))
    project.commit("Change")
    assert policy.load(WorktreeSource(str(project.root))).verify_chain()
    found = findings(project)
    assert "does not continue version 3 of the target's policy" in found
    assert "prompt/support/reply 1.1.0: nobody signed it" in found


def test_a_policy_that_adds_its_own_author_is_refused(project):
    """Mallory brings their key, a version that names it, a signature of their own under that, and their approval."""
    project.git("switch", "-q", "-c", "topic")
    key = f"{project.key('mallory')}.pub"
    project.cli("key", "add", "mallory", key, "--principal", "mallory@example.org", "--role", "release")
    project.cli("policy", "roots", "--of", "mallory")
    project.write(POLICY, project.read(POLICY).replace("version: 1", "version: 2"))
    assert "not one of the roots" in project.promptops("policy", "sign", by="mallory", check=1).stderr
    trust = policy.load(WorktreeSource(str(project.root)))
    forged = envelope.sign(chain.describe(trust), str(project.key("mallory")), sshsig.POLICY)
    project.write(chain.path(2), forged.to_bytes())
    project.write("prompts/support/reply.yaml", prompt("Be brief.", version="1.1.0"))
    project.commit("Welcome mallory", by="mallory")
    found = findings(project)
    assert "1 of the roots alice, bob, carol must sign; none of them did" in found
    assert "none of them did" in project.promptops("review", "request", by="mallory", check=1).stderr
    for kind in (reviewing.statement.REQUEST, reviewing.statement.APPROVAL):
        reviewing.forge(project, kind, "mallory")
    assert "prompt/support/reply 1.1.0: nobody signed it" in findings(project)


def test_a_root_adds_nobody_alone(project):
    """The root's signature makes the version lawful; the change still needs somebody who reads it."""
    project.git("switch", "-q", "-c", "topic")
    key = f"{project.key('dave')}.pub"
    project.cli("key", "add", "dave", key, "--principal", "dave@example.org")
    project.promptops("policy", "sign")
    project.commit("Welcome dave")
    requested(project)
    # Dave is in the change's policy, and not yet in the one that decides.
    assert "not in allowed_signers of the target" in project.promptops("review", "approve", by="dave", check=1).stderr
    reviewing.forge(project, reviewing.statement.APPROVAL, "dave")
    assert f"{POLICY}: signed by alice; needs 1 approval" in findings(project)
    approved(project)
    assert project.cli("check", "--base", "main", "--rules", "PO4").code == 0


@pytest.fixture
def guarded(project):
    """Changes of the safety suite need bob or carol on top."""
    project.cli("policy", "role", "safety", "--of", "bob,carol")
    project.write(POLICY, project.read(POLICY).replace("{default: 1}", RULES))
    project.write("evals/safety.yaml", "version: 1\n")
    reviewing.new_policy(project)
    project.git("switch", "-q", "-c", "topic")
    return project


@pytest.mark.parametrize("how", ["change", "rename", "delete"])
def test_a_changed_safety_suite_needs_a_safety_reviewer(guarded, how):
    if how == "change":
        guarded.write("evals/safety.yaml", "version: 1\n# looser\n")
    elif how == "rename":
        guarded.git("mv", "evals/safety.yaml", "evals/other.yaml")
    else:
        guarded.git("rm", "-q", "evals/safety.yaml")
    guarded.commit("Loosen", by="bob")
    requested(guarded, by="bob")
    approved(guarded, "alice")
    found = findings(guarded)
    assert "needs 1 by the role safety (bob, carol) who did not write it" in found
    assert "evals/other.yaml" not in found
    approved(guarded, "carol")
    assert guarded.cli("check", "--base", "main", "--rules", "PO4").code == 0


def test_a_change_gives_its_own_reviewer_no_role(guarded):
    """The policy of the target says who is a safety reviewer, even where a root has signed another one."""
    guarded.write("evals/safety.yaml", "version: 1\n# looser\n")
    guarded.cli("policy", "role", "safety", "--of", "alice,bob,carol")
    guarded.promptops("policy", "sign", by="bob")
    guarded.commit("Loosen", by="bob")
    requested(guarded, by="bob")
    approved(guarded, "alice")
    assert "evals/safety.yaml: needs 1 by the role safety (bob, carol)" in findings(guarded)
