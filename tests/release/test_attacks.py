"""What somebody who may push, but not release, could try to make of the releases of others."""

from __future__ import annotations

import json
import shutil

import pytest
import releasing
import reviewing
from releasing import NEW, OLD, PROMPT, failed
from support import MODEL, prompt

from promptops.release import bundle
from promptops.trust import sshsig

THIRD = "prompt/support/reply@v1.2.0"


def third(repo, version="1.2.0", code=0):
    repo.write(PROMPT, prompt("Third.", version=version))
    repo.commit("Third")
    return repo.promptops("release", "--no-canary", "third", check=code)


def strangers_release(repo, version="1.1.5"):
    """A release by mallory on a branch with a policy of mallory's own; only its tag stays."""
    repo.key("mallory")
    repo.git("switch", "-q", "-c", "evil")
    shutil.rmtree(repo.root / ".promptops")
    own = ["--protected=refs/heads/evil", "--person=mallory=mallory@example.org"]
    repo.promptops("policy", "init", "--solo", "--repository", "git+https://example.org/prompts", *own, by="mallory")
    repo.write(PROMPT, prompt("Flatter.", version=version))
    repo.commit("Evil", by="mallory")
    tags = repo.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/tags").splitlines()
    # Beside releases of another root not even mallory's own would be made.
    for line in tags:
        repo.git("update-ref", "-d", line.split()[0])
    repo.promptops("release", "--no-canary", "x", by="mallory")
    for line in tags:
        repo.git("update-ref", *line.split())
    repo.git("switch", "-q", "main")
    return f"prompt/support/reply@v{version}"


def test_strangers_release_is_not_followed(released):
    tag = strangers_release(released)
    done = third(released, code=1)
    assert f"{tag} does not verify" in done.stdout + done.stderr
    assert "pinned" in done.stdout + done.stderr


def test_strangers_tag_between_two_releases_takes_nothing_away(released):
    third(released)
    strangers_release(released)
    assert failed(released, THIRD, code=0) == set()


def test_release_that_leaves_a_genuine_one_out_is_refused(released):
    skipped = released.git("rev-parse", NEW)
    released.git("update-ref", "-d", f"refs/tags/{NEW}")
    third(released)
    assert failed(released, THIRD, code=0) == set()
    released.git("update-ref", f"refs/tags/{NEW}", skipped)
    found = releasing.checks(released, THIRD)
    assert f"leaves {NEW} out" in found["previous"]["detail"]


@pytest.mark.parametrize("by", [None, "mallory"])
def test_withdrawal_by_nobody_does_not_choose_the_baseline(released, by):
    ref = f"refs/tags/{NEW}!"
    if by is None:
        released.git("update-ref", ref, "HEAD")
    else:
        released.promptops("withdraw", NEW, "--reason", "x")
        payload = releasing.raw(released, f"{NEW}!").partition(b"-----BEGIN SSH")[0]
        releasing.put(released, releasing.signed(released, payload, by), f"{NEW}!")
    third(released)
    assert releasing.manifest_of(released, THIRD).baseline.tag == NEW
    # To serve it is another matter: there a doubt is enough.
    assert failed(released) == {"not withdrawn"}


def test_genuine_withdrawal_moves_the_baseline(released):
    released.promptops("withdraw", NEW, "--reason", "flatters")
    third(released)
    assert releasing.manifest_of(released, THIRD).baseline.tag == OLD
    assert failed(released, THIRD, code=0) == set()


def test_canary_that_nobody_signed_is_not_weighed(released):
    data = releasing.raw(released)
    first, *_ = releasing.lines(releasing.tagobject.parse_tag(data).message)
    forged = releasing.envelope.sign(first.statement(), str(released.key("mallory")), sshsig.RELEASE)
    head = data[: data.index(b"Release support")]
    releasing.put(released, releasing.signed(released, head + bundle.embed("Release", [forged]), "mallory"))
    found = releasing.checks(released)
    assert "signatures that do not hold" in found["canary"]["detail"]


@pytest.mark.parametrize("kind", ["text/plain", "\\ud800"])
def test_other_payload_type_is_refused(released, kind):
    data = releasing.raw(released).replace(b"application/vnd.in-toto+json", kind.encode())
    releasing.put(released, data)
    assert "tag" in failed(released)


def test_rollback_stays_final_when_its_signers_key_is_rotated(released):
    def decide(command, what="support/reply", by="bob", code=0):
        return released.promptops(command, what, "--env", "staging", "--reason", "x", by=by, check=code)

    decide("promote", by="alice")
    decide("rollback")
    decide("promote", "support/reply@1.0.0", by="alice")
    released.promptops("key", "rotate", "bob", f"{released.key('bob2')}.pub")
    policy = released.read(".promptops/policy.yaml")
    released.write(".promptops/policy.yaml", policy.replace("version: 1\n", "version: 2\n"))
    released.promptops("policy", "sign")
    released.commit("Rotate")
    assert "which is final" in decide("promote", "support/reply@1.1.0", by="alice", code=1).stderr


def test_role_of_a_promotion_is_what_the_protected_branch_asks_for(released):
    policy = released.read(".promptops/policy.yaml")
    override = next(line for line in policy.splitlines() if "override" in line)
    released.write(
        ".promptops/policy.yaml", policy.replace(override, "  override: [bob]").replace("version: 1", "version: 2")
    )
    released.promptops("policy", "sign")
    released.commit("Only bob may pass the stages over")
    released.git("switch", "-q", "-c", "mine")
    released.write("promptops.yaml", "version: 1\nenvironments: {staging: {}, prod: {}}\n")
    released.commit("No stages")
    arguments = ("promote", "support/reply", "--env", "prod", "--reason", "x")
    assert "override" in released.promptops(*arguments, check=1).stderr


def test_approval_of_a_file_does_not_approve_its_return(project):
    def suite(text):
        return f"version: 1\ndescription: {text}\nguardrails: [{{metric: expected, direction: higher}}]\ncases: [{{id: a, input: b, expect: {{contains: c}}}}]\n"

    def land(text, branch, *, reviewed):
        project.git("switch", "-q", "-c", branch)
        project.write("evals/safety.yaml", suite(text))
        project.commit(text)
        if reviewed:
            reviewing.requested(project)
            reviewing.approved(project)
        judged = reviewing.judge(project)
        project.git("switch", "-q", "main")
        project.git("merge", "-q", "--ff-only", branch)
        return judged

    assert land("strict", "one", reviewed=True).satisfied
    assert land("lax", "two", reviewed=True).satisfied
    assert land("strict", "three", reviewed=True).satisfied
    assert not land("lax", "four", reviewed=False).satisfied


def test_junk_under_another_address_hides_no_approval(reviewed):
    folder = reviewed.root / ".promptops/approvals"
    for path in list(folder.glob("*/*.json")):
        (folder / "zz").mkdir(exist_ok=True)
        (folder / "zz" / path.name).write_text("junk")
        (folder / "zz" / path.parent.name).mkdir(exist_ok=True)
        (folder / "zz" / path.parent.name / path.name).write_text("junk")
    reviewed.commit("Junk", by="carol")
    assert reviewing.judge(reviewed).satisfied


def test_remembered_state_is_judged_again_under_other_revocations(project, tmp_path):
    project.promptops("check", "--all")
    listed = tmp_path / "revoked"
    listed.write_text(f"{project.public_key('alice')}\n")
    project.promptops("check", "--all", check=1, PROMPTOPS_REVOKED_KEYS=str(listed))


def test_policy_version_without_roots_hands_over_to_nobody(project):
    from promptops.errors import RefusedError
    from promptops.repo.source import WorktreeSource
    from promptops.trust import chain, envelope, policy

    def link(number, by, change):
        path = project.root / chain.path(number)
        statement = before.links[0].statement()
        statement["predicate"] |= {"version": number, "previous": links[-1].payload_digest}
        change(statement["predicate"])
        made = envelope.sign(statement, str(project.key(by)), sshsig.POLICY)
        path.write_bytes(made.to_bytes())
        links.append(made)

    before = policy.load(WorktreeSource(str(project.root)))
    for change in (lambda value: value.update(roots={}), lambda value: value.pop("roots")):
        links = [before.links[0]]
        link(2, "alice", change)
        link(3, "mallory", lambda value: None)
        project.write(".promptops/policy.yaml", json.dumps(before.policy | {"version": 3}))
        with pytest.raises(RefusedError, match="version 2: its roots are malformed"):
            policy.load(WorktreeSource(str(project.root))).verify_chain()


def test_new_model_of_a_change_costs_what_the_dearest_known_one_does(project):
    from promptops.cli.comparing import with_revision
    from promptops.repo.git import Git

    def model(name, price, rate):
        settings = f"price: {{input: {price}, output: {price}, currency: USD, per_tokens: 1000000}}\nlimits: {{requests_per_minute: {rate}}}\n"
        project.write(f"models/{name}.yaml", MODEL + settings)

    model("gpt-4o", 2, 100)
    model("dear", 9, 10)
    project.write(
        "evals/a.yaml",
        "version: 1\nguardrails: [{metric: expected, direction: higher}]\ncases: [{id: a, input: b, expect: {contains: c}}]\n",
    )
    project.commit("Prices")
    project.git("switch", "-q", "-c", "topic")
    model("new", 0.000001, 100000)
    project.write(PROMPT, prompt(version="1.1.0", model="new", extra="evals: [a]\n"))
    project.commit("Cheap, it says")
    with Git(str(project.root)) as git:
        settings = with_revision(git, "support/reply", "main", "HEAD").candidate.model.settings
    assert (settings["price"]["input"], settings["limits"]["requests_per_minute"]) == (9, 10)
