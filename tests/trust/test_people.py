"""People come and go, thresholds rise, the repository moves; and a change that would lock everybody out is undone."""

from __future__ import annotations

import pytest
from reviewing import new_policy
from support import Repo, make_repo

from promptops.repo.source import WorktreeSource
from promptops.trust import policy, sshsig

POLICY = ".promptops/policy.yaml"
SIGNERS = ".promptops/allowed_signers"
LAID_OUT = """\
# who is who
version: 1
repository: "git+https://example.org/prompts"   # the name
people:
    # leads the team
    alice: [ alice@example.org ]
    # on leave
    bob:
        - bob@example.org     # work
    # the newest
    carol: {principals: [carol@example.org]}

# who signs
roots:
    threshold: 1
    of:
        - alice   # first
        # second
        - bob
        # third
        - carol
protected: [ refs/heads/main ]
approvals: {default: 1}
roles:
    release: [ alice, bob, carol ]
    # nobody else
    override: [alice, bob]
"""


def loaded(repo: Repo) -> policy.Trust:
    return policy.load(WorktreeSource(str(repo.root)))


def namespaces(repo: Repo, name: str) -> str:
    return next(line.split('"')[1] for line in repo.read(SIGNERS).splitlines() if line.startswith(f"{name}@"))


def test_removal_takes_keys_roles_and_root_membership(project):
    removed = project.cli("policy", "remove", "carol")
    assert "retired SHA256:" in removed.out
    assert "removed carol: root, role release, role override, role rollback" in removed.out
    assert "carol" not in project.read(POLICY) + project.read(SIGNERS)
    assert project.read(".promptops/revoked_keys").count("ssh-ed25519") == 0
    # Nothing is in force before the roots sign it.
    assert "not the ones that were signed" in project.cli("policy", "verify").err
    project.promptops("policy", "sign")
    assert "carol" not in project.cli("policy", "show").out


def test_edits_keep_comments_and_layout_line_by_line(project):
    project.write(POLICY, LAID_OUT)
    assert project.cli("policy", "remove", "bob").code == 0
    lines = LAID_OUT.splitlines(keepends=True)
    gone = ["    bob:\n", "        - bob@example.org     # work\n", "        - bob\n"]
    lost = "".join(line for line in lines if line not in gone).replace("[ alice, bob, carol ]", "[alice, carol]")
    assert project.read(POLICY) == lost.replace("[alice, bob]", "[alice]")
    assert project.cli("policy", "roots", "--threshold", "2").code == 0
    assert "threshold: 2\n    of:\n        - alice   # first\n" in project.read(POLICY)
    assert '"git+https://example.org/prompts"   # the name' in project.read(POLICY)


@pytest.mark.parametrize(
    ("before", "command", "reason"),
    [
        ([], ["remove", "eve"], "eve is not in the policy"),
        (
            ["roots", "--threshold", "3"],
            ["remove", "carol"],
            "without carol: 3 roots must sign, but only 2 of them can",
        ),
        (["roots", "--of", "bob"], ["remove", "bob"], "bob is the only root"),
        (["role", "override", "--of", "bob"], ["remove", "bob"], "nobody else has the role override"),
        (["approvals", "2"], ["remove", "bob"], "need 3 people with keys"),
        ([], ["roots", "--threshold", "4"], "4 roots must sign, but only 3 of them can"),
        ([], ["roots", "--of", "alice,eve"], "eve is not one of the people"),
        (["roots", "--threshold", "2"], ["roots", "--of", "alice"], "2 roots must sign, but only 1 of them can"),
        ([], ["role", "release", "--of", "eve"], "eve is not one of the people"),
        ([], ["approvals", "3"], "need 4 people with keys"),
        ([], ["move", "two words"], "repository"),
    ],
)
def test_changes_that_nobody_could_live_with_are_refused_and_undone(project, before, command, reason):
    if before:
        assert project.cli("policy", *before).code == 0
    kept = project.read(POLICY), project.read(SIGNERS)
    done = project.cli("policy", *command)
    assert done.code == 1
    assert reason in done.err
    assert (project.read(POLICY), project.read(SIGNERS)) == kept


@pytest.mark.parametrize(
    "command", [["roots"], ["roots", "--threshold", "0"], ["roots", "--of", "a,,b"], ["role", "safety"],
                ["role", "safety", "--of", "bob", "--nobody"], ["approvals", "-1"],
                ["move", "git+https://example.org/prompts"]],
)  # fmt: skip
def test_wrong_usage(project, command):
    assert project.cli("policy", *command).code == 2


def test_a_role_that_a_rule_needs_stays(project):
    assert project.cli("policy", "role", "safety", "--of", "carol").code == 0
    rules = '{default: 1, rules: [{paths: ["evals/safety*"], role: safety, approvals: 1}]}'
    project.write(POLICY, project.read(POLICY).replace("{default: 1}", rules))
    done = project.cli("policy", "role", "safety", "--nobody")
    assert (done.code, "there is no role safety" in done.err) == (1, True)
    assert "nobody else has the role safety" in project.cli("policy", "remove", "carol").err
    assert project.cli("policy", "role", "safety", "--of", "bob").code == 0
    assert project.cli("policy", "remove", "carol").code == 0


def test_keys_may_sign_for_what_their_owner_does_now_and_no_more(project):
    assert sshsig.POLICY in namespaces(project, "carol")
    project.cli("policy", "roots", "--of", "alice,bob")
    assert sshsig.POLICY not in namespaces(project, "carol")
    for role in ("release", "override", "rollback"):
        project.cli("policy", "role", role, "--of", "alice")
    assert namespaces(project, "bob") == f"git,{sshsig.REQUEST},{sshsig.APPROVAL},{sshsig.POLICY}"
    project.cli("policy", "roots", "--of", "carol,alice")
    project.cli("policy", "role", "rollback", "--of", "alice,bob")
    assert (sshsig.POLICY in namespaces(project, "bob"), sshsig.RELEASE in namespaces(project, "bob")) == (False, True)
    assert sshsig.POLICY in namespaces(project, "carol")
    # A further key with a role gives the person's other keys the same.
    second = f"{project.key('carol2')}.pub"
    assert project.cli("key", "add", "carol", second, "--role", "release").code == 0
    assert sshsig.RELEASE in namespaces(project, "carol")


def two_of_three(project: Repo) -> str:
    """Two of alice, bob and carol sign from now on; return the root digest."""
    project.cli("policy", "roots", "--threshold", "2")
    new_policy(project)
    return loaded(project).root


def test_a_lost_root_is_replaced_by_the_remaining_threshold_and_by_no_fewer(project):
    root = two_of_three(project)
    project.cli("key", "revoke", "carol", "--reason", "lost")
    project.cli("policy", "remove", "carol")
    project.cli("key", "add", "dave", f"{project.key('dave')}.pub", "--principal", "dave@example.org")
    project.cli("policy", "roots", "--of", "alice,bob,dave")
    assert "(1 of 2)" in project.promptops("policy", "sign").stderr
    assert "2 of the roots alice, bob, carol must sign; alice did" in project.cli("policy", "verify").err
    # Neither the lost key nor the new root makes up the number.
    assert "your key is revoked" in project.promptops("policy", "sign", by="carol", check=1).stderr
    assert "not one of the roots" in project.promptops("policy", "sign", by="dave", check=1).stderr
    assert "(2 of 2)" in project.promptops("policy", "sign", by="bob").stderr
    assert project.cli("policy", "verify", "--root", root).code == 0
    # From now on the new root counts.
    project.commit("Policy")
    project.cli("policy", "approvals", "2")
    project.promptops("policy", "sign", by="dave")
    project.promptops("policy", "sign", by="bob")
    assert project.cli("policy", "verify", "--root", root).code == 0


def test_a_threshold_cannot_be_lowered_by_fewer_than_it_asks_for(project):
    two_of_three(project)
    project.cli("policy", "roots", "--threshold", "1")
    project.promptops("policy", "sign", by="bob")
    assert "2 of the roots" in project.cli("policy", "verify").err


def test_a_moved_repository_keeps_its_root(tmp_path):
    repo = make_repo(tmp_path, ("alice",))
    root = repo.promptops("policy", "init", "--solo", "--repository", "urn:old").stdout.strip()
    repo.commit("Start")
    assert "urn:old becomes urn:new" in repo.cli("policy", "move", "urn:new").out
    repo.promptops("policy", "sign")
    assert repo.cli("policy", "verify", "--root", root).code == 0
    trust = loaded(repo)
    assert (trust.repository, trust.names) == ("urn:new", {"urn:old", "urn:new"})
