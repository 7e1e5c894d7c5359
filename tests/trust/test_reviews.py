from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta

import pytest
from reviewing import PROMPT, approved, change, forge, judge, judge_release, new_policy, reasons, requested
from support import prompt

from promptops.errors import InputError
from promptops.repo import tags
from promptops.repo.git import Git
from promptops.repo.source import TreeSource
from promptops.trust import envelope, judgement, policy, sshsig, statement, store
from promptops.trust.envelope import Envelope
from promptops.trust.subjects import Subject


def test_unreviewed_change_is_missing(project):
    change(project)
    judged = judge(project)
    assert [each.title for each in judged.subjects] == ["prompt/support/reply 1.1.0"]
    assert "nobody signed it" in reasons(judged)


def test_two_people_satisfy(pending):
    assert "signed by alice; needs 1 approval" in reasons(judge(pending))
    approved(pending)
    judged = judge(pending)
    assert judged.satisfied
    assert judged.mode == "reviewed"
    kinds = [each.statement()["predicateType"] for each in judged.approvals]
    assert sorted(kinds) == [statement.APPROVAL, statement.REQUEST]


@pytest.mark.parametrize("flow", ["merge", "squash", "rebase"])
def test_every_way_of_merging_keeps_the_approval(reviewed, flow):
    reviewed.git("switch", "-q", "main")
    reviewed.write("README.md", "moved on\n")
    before = reviewed.commit("Meanwhile", by="bob")
    if flow == "merge":
        reviewed.git("merge", "-q", "--no-ff", "-m", "Merge", "topic")
    elif flow == "squash":
        reviewed.git("merge", "-q", "--squash", "topic")
        reviewed.commit("Squashed by a forge", sign=False)
    else:
        reviewed.git("-c", "commit.gpgsign=false", "rebase", "-q", "main", "topic")
        reviewed.git("switch", "-q", "main")
        reviewed.git("merge", "-q", "--ff-only", "topic")
    assert judge(reviewed, target=before, head="main").satisfied
    assert judge_release(reviewed).satisfied
    clone = reviewed.clone(reviewed.root.parent / "clone")
    assert judge(clone, target=before, head="HEAD").satisfied


def test_content_changed_after_approval(reviewed):
    reviewed.write(PROMPT, prompt("Be brief!", version="1.1.0"))
    reviewed.commit("Sneak in")
    assert "a request is for other content" in reasons(judge(reviewed))


def test_approval_of_another_version(reviewed):
    reviewed.write(PROMPT, prompt("Be brief.", version="1.2.0"))
    reviewed.commit("Renumber")
    assert "is for version 1.1.0" in reasons(judge(reviewed))


def test_released_version_is_not_approved_again(reviewed):
    reviewed.git("switch", "-q", "main")
    reviewed.git("merge", "-q", "--ff-only", "topic")
    reviewed.git("tag", "-a", "-m", "x", "prompt/support/reply@v1.1.0")
    # A second run over the same range comes to the same verdict although the release exists now.
    assert judge(reviewed, target="main~3").satisfied
    reviewed.write(PROMPT, prompt())
    reviewed.commit("Take it back")
    reviewed.git("switch", "-q", "-c", "again")
    reviewed.write(PROMPT, prompt("Be brief.", version="1.1.0"))
    reviewed.commit("Bring it back")
    assert "was given when it replaced nothing" in reasons(judge(reviewed))


def test_self_approval_is_refused_early_and_never_counts(pending):
    refused = pending.promptops("review", "approve", check=1)
    assert "self-approval" in refused.stderr
    forge(pending, statement.APPROVAL, "alice")
    assert "signed by alice; needs 1 approval" in reasons(judge(pending))


def test_two_requests_are_no_review(pending):
    requested(pending, by="bob")
    assert "needs 1 approval" in reasons(judge(pending))


def test_two_approvals_stand_for_an_unknown_author(project):
    project.git("switch", "-q", "-c", "topic")
    project.write(PROMPT, prompt("Be brief.", version="1.1.0"))
    project.commit("Stranger", sign=False)
    forge(project, statement.APPROVAL, "bob")
    assert not judge(project).satisfied
    forge(project, statement.APPROVAL, "carol")
    assert judge(project).satisfied


@pytest.mark.parametrize(
    ("predicate", "reason"),
    [
        ({"repository": "git+https://example.org/fork"}, "is for the repository git+https://example.org/fork"),
        ({"targetRef": "refs/heads/staging"}, "is for refs/heads/staging"),
        ({"expiresAt": "2026-01-01T00:00:00Z"}, "expired at 2026-01-01"),
        ({"expiresAt": "2026-13-01T00:00:00Z"}, "expired at"),
        ({"decision": "requested"}, "needs 1 approval"),
        ({"surprise": True}, "needs 1 approval"),
    ],
)
def test_approval_out_of_context(pending, predicate, reason):
    forge(pending, statement.APPROVAL, "bob", **predicate)
    assert reason in reasons(judge(pending))


@pytest.mark.parametrize("when", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "9" * 5000])
def test_expiry_that_no_calendar_has(pending, when):
    done = pending.promptops("review", "approve", "--expires", when, by="bob", check=2)
    assert "is not a date" in done.stderr


def test_remote_that_is_one_ref(reviewed):
    reviewed.git("update-ref", "refs/remotes/svn", "main")
    assert "0 findings in HEAD since svn" in reviewed.promptops("check", "--base", "svn").stdout


def test_expiry_is_judged_at_the_given_time(pending):
    approved(pending, "bob", "--expires", "2999-01-01")
    assert judge(pending).satisfied
    assert not judge(pending, at=datetime(2999, 1, 1, tzinfo=UTC)).satisfied
    assert judge(pending, at=datetime(2999, 1, 1, tzinfo=UTC) - timedelta(seconds=1)).satisfied


def test_unknown_key(pending):
    forge(pending, statement.APPROVAL, "mallory")
    assert "is not in allowed_signers" in reasons(judge(pending))


def test_signature_in_another_namespace(pending):
    forge(pending, statement.APPROVAL, "bob", namespace=sshsig.RELEASE)
    assert "is for 'release.v1@promptops'" in reasons(judge(pending))


def test_request_does_not_pass_as_approval(pending):
    forge(pending, statement.APPROVAL, "bob", namespace=sshsig.REQUEST)
    assert not judge(pending).satisfied


def test_tampered_payload_and_forged_keyid(pending):
    mine = forge(pending, statement.APPROVAL, "alice")
    keyid = sshsig.fingerprint(sshsig.public_key(str(pending.key("bob"))))
    forged = envelope.Envelope(
        mine.payload, mine.payload_type, (envelope.EnvelopeSignature(mine.signatures[0].signature, keyid),) * 3
    )
    store.write(str(pending.root), forged)
    tampered = mine.payload.replace(b"2026-11-23", b"2026-11-24")
    store.write(str(pending.root), envelope.Envelope(tampered, mine.payload_type, mine.signatures))
    pending.commit("Forged")
    judged = judge(pending)
    assert "signed by alice; needs 1 approval" in reasons(judged)
    assert "does not verify" in reasons(judged)


def test_envelope_at_another_address_is_nothing(pending):
    pending.promptops("review", "approve", by="bob")
    pending.commit("Approve")
    bob = next(
        path
        for path in pending.git("ls-files", ".promptops/approvals").splitlines()
        if judge(pending).approvals[0].digest in path
    )
    pending.git("mv", bob, bob.replace(".json", "0.json"))
    pending.write(".promptops/approvals/00/junk.json", "{")
    pending.commit("Move")
    assert not judge(pending).satisfied


def test_approvals_on_their_own_ref_count(pending):
    path = pending.promptops("review", "approve", by="bob").stdout.strip()
    blob = pending.git("hash-object", "-w", path)
    tree = pending.git("mktree", stdin=f"100644 blob {blob}\t{path.rsplit('/', 1)[1]}\n")
    commit = pending.git("commit-tree", "-m", "Approvals", tree)
    assert not judge(pending).satisfied
    pending.git("update-ref", "refs/promptops/approvals", commit)
    assert judge(pending).satisfied


def test_release_needs_what_shapes_it(project):
    change(project)
    judged = judge_release(project)
    assert {missing.subject for missing in judged.missing} == {
        "prompt/support/reply 1.1.0",
        "models/gpt-4o.yaml",
        "promptops.yaml",
    }
    requested(project)
    approved(project)
    project.git("switch", "-q", "main")
    project.git("merge", "-q", "--ff-only", "topic")
    assert judge_release(project).satisfied
    project.git("tag", "-a", "-m", "x", "prompt/support/reply@v1.1.0")
    with Git(str(project.root)) as git:
        previous = tags.releases(git)[-1]
    # The next release needs approval of what changed since, not of what stayed.
    change(project, "Be briefer.", "1.2.0", branch="next")
    project.write("promptops.yaml", "version: 1\n# looser\n")
    project.commit("Loosen")
    missing = {missing.subject for missing in judge_release(project, previous=previous).missing}
    assert missing == {"prompt/support/reply 1.2.0", "promptops.yaml"}


def test_release_needs_approval_of_settings_that_are_gone(reviewed):
    reviewed.git("switch", "-q", "main")
    reviewed.git("merge", "-q", "--ff-only", "topic")
    requested(reviewed)
    approved(reviewed)
    assert judge_release(reviewed).satisfied
    reviewed.git("tag", "-a", "-m", "x", "prompt/support/reply@v1.1.0")
    with Git(str(reviewed.root)) as git:
        previous = tags.releases(git)[-1]
    change(reviewed, "Be briefer.", "1.2.0", branch="next")
    requested(reviewed)
    approved(reviewed)
    assert judge_release(reviewed, previous=previous).satisfied
    reviewed.git("rm", "-q", "promptops.yaml")
    reviewed.commit("Judge by the defaults")
    assert "promptops.yaml (deleted): nobody signed it" in reasons(judge_release(reviewed, previous=previous))
    requested(reviewed)
    approved(reviewed)
    assert judge_release(reviewed, previous=previous).satisfied
    # An approval of the deletion is none of the file.
    reviewed.git("checkout", "-q", "main", "--", "promptops.yaml")
    reviewed.write("promptops.yaml", reviewed.read("promptops.yaml") + "# back\n")
    reviewed.commit("Settings again")
    assert "promptops.yaml: nobody signed it" in reasons(judge_release(reviewed, previous=previous))


def test_owners_come_from_the_branch_that_takes_the_change(project):
    policy = project.read(".promptops/policy.yaml").replace("default: 1", "default: 1, owners: true")
    if "owners: true" not in policy:
        policy = policy.replace("  default: 1\n", "  default: 1\n  owners: true\n")
    policy = policy.replace("version: 1", "version: 2", 1)
    new_policy(project, policy)
    project.write(PROMPT, prompt(extra="owners: [carol]\n"))
    project.commit("Carol answers for it")
    for owners in ("owners: [carol]\n", "owners: [bob]\n", ""):
        project.git("switch", "-q", "-C", "topic", "main")
        project.write(PROMPT, prompt("Be brief.", version="1.1.0", extra=owners))
        project.commit("Change")
        requested(project)
        approved(project, "bob")
        assert "needs one of its owners (carol)" in reasons(judge(project))
    approved(project, "carol")
    assert judge(project).satisfied


def test_release_approval_names_the_release_before(reviewed):
    reviewed.git("tag", "-a", "-m", "x", "prompt/support/reply@v1.0.5", "main")
    with Git(str(reviewed.root)) as git:
        previous = tags.releases(git)[-1]
    assert "was given when it replaced nothing" in reasons(judge_release(reviewed, previous=previous))


def test_unreleased_prompts_can_be_requested_on_the_branch_itself(project):
    assert judge(project, head="main").satisfied
    requested(project)
    approved(project)
    assert judge_release(project).satisfied


def test_an_envelope_is_never_written_through_a_link(pending, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    approvals = pending.root / ".promptops" / "approvals"
    (approvals.parent).mkdir(exist_ok=True)
    shutil.rmtree(approvals, ignore_errors=True)
    approvals.symlink_to(outside)
    made = envelope.Envelope(b"{}", envelope.PAYLOAD_TYPE, ())
    with pytest.raises(InputError, match="symbolic links are not followed"):
        store.write(str(pending.root), made)
    assert list(outside.iterdir()) == []


def test_an_envelope_is_hashed_once_for_all_that_it_covers(pending):
    hashed = []

    class Counting(Envelope):
        @property
        def digest(self):
            hashed.append(1)
            return Envelope.digest.fget(self)

    with Git(str(pending.root)) as git:
        trust = policy.load(TreeSource(git, "HEAD"))

    def count(number):
        wanted = [
            Subject(f"prompt/p{n}", "a" * 64, {"version": "1.0.0", "previous": None, "evals": [], "owners": []}, ())
            for n in range(number)
        ]
        predicate = {
            "decision": "requested",
            "repository": trust.repository,
            "targetRef": "refs/heads/main",
            "createdAt": "2026-11-23T09:00:00Z",
            "base": None,
            "policy": {"version": 1, "digest": trust.digest},
        }
        value = statement.build(statement.REQUEST, [each.descriptor() for each in wanted], predicate)
        signed = envelope.sign(value, str(pending.key("alice")), sshsig.REQUEST)
        context = judgement.Context(
            trust, "", str, lambda _: set(), datetime.now(UTC), lambda _: frozenset(), release=True
        )
        hashed.clear()
        found = judgement.judge(wanted, [Counting(*signed)], context)
        assert found.signed["prompt/p0"].requesters == {"alice"}
        return len(hashed)

    assert count(20) == count(1)
