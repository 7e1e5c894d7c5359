from __future__ import annotations

import base64
import hashlib
import json

import pytest
from reviewing import PROMPT, approved, change, forge, judge, judge_release, new_policy, reasons, requested
from support import make_repo, prompt

from promptops.errors import RefusedError
from promptops.registry import schemas
from promptops.repo.git import Git
from promptops.repo.source import TreeSource, WorktreeSource
from promptops.trust import policy, setup, statement


def test_bot_never_counts(project):
    text = project.read(".promptops/policy.yaml").replace(
        "bob: [bob@example.org]", "bob: {principals: [bob@example.org], bot: true}"
    )
    text = text.replace("of: [alice, bob, carol]", "of: [alice, carol]")
    new_policy(project, text)
    change(project)
    requested(project)
    assert "is a bot" in project.promptops("review", "approve", by="bob", check=1).stderr
    forge(project, statement.APPROVAL, "bob")
    assert "bob is a bot" in reasons(judge(project))


def test_one_key_as_two_people_is_no_policy(project):
    key = project.public_key("bob")
    project.write(
        ".promptops/allowed_signers",
        project.read(".promptops/allowed_signers").replace(project.public_key("carol"), key),
    )
    assert "one key is one person" in project.promptops("key", "lint", check=1).stdout
    assert "one key is one person" in project.promptops("policy", "sign", check=1).stderr
    project.commit("Bypass")
    change(project)
    assert "one key is one person" in project.promptops("review", "verify", check=1).stderr


def test_two_keys_of_one_person_count_once(project):
    line = (
        project.read(".promptops/allowed_signers")
        .splitlines()[1]
        .replace(project.public_key("alice"), project.public_key("alice2"))
    )
    project.write(".promptops/allowed_signers", project.read(".promptops/allowed_signers") + line + "\n")
    new_policy(project)
    change(project)
    requested(project)
    forge(project, statement.APPROVAL, "alice2")
    assert "signed by alice; needs 1 approval" in reasons(judge(project))


def test_revoked_key_counts_no_more(reviewed):
    assert judge(reviewed).satisfied
    reviewed.git("switch", "-q", "main")
    reviewed.promptops("key", "revoke", "bob", "--reason", "lost")
    reviewed.promptops("policy", "sign")
    reviewed.commit("Revoke bob")
    assert "needs 1 approval" in reasons(judge(reviewed, head="topic"))
    assert "is revoked" in reasons(judge(reviewed, head="topic"))


def test_verifiers_own_revocations_are_united(reviewed, monkeypatch, tmp_path):
    mine = tmp_path / "mine"
    mine.write_text(reviewed.public_key("bob") + "\n")
    monkeypatch.setenv("PROMPTOPS_REVOKED_KEYS", str(mine))
    assert "of bob@example.org is revoked" in reasons(judge(reviewed))


def test_missing_revocation_list_is_refused(project):
    project.git("rm", "-q", ".promptops/revoked_keys")
    project.commit("Bypass")
    change(project)
    with pytest.raises(RefusedError, match="revoked_keys is missing"):
        judge(project)


def test_policy_comes_from_the_target_and_not_from_the_change(project):
    project.git("switch", "-q", "-c", "topic")
    text = (
        project.read(".promptops/policy.yaml").replace("default: 1", "default: 0").replace("version: 1", "version: 2")
    )
    project.write(".promptops/policy.yaml", text)
    project.write(PROMPT, prompt("Be brief.", version="1.1.0"))
    project.commit("No more reviews")
    text = reasons(judge(project))
    assert "policy version 2 is not signed" in text
    assert "prompt/support/reply 1.1.0: nobody signed it" in text


def test_policy_change_by_a_stranger(project):
    project.git("switch", "-q", "-c", "topic")
    project.promptops("key", "add", "mallory", f"{project.key('mallory')}.pub", "--principal", "mallory@example.org")
    assert "not one of the roots" in project.promptops("policy", "sign", by="mallory", check=1).stderr
    # Their own chain from version 1 is another root.
    project.git("rm", "-rq", "--cached", ".promptops")
    (project.root / ".promptops").rename(project.root / "old")
    project.promptops(
        "policy",
        "init",
        "--person",
        f"mallory=mallory@example.org={project.key('mallory')}.pub",
        "--repository",
        "git+https://example.org/prompts",
        by="mallory",
    )
    project.commit("Take over", by="mallory")
    assert "the policy's root is" in reasons(judge(project))


def test_policy_change_signed_by_a_root_still_needs_review(project):
    project.git("switch", "-q", "-c", "topic")
    project.promptops(
        "key", "add", "dave", f"{project.key('dave')}.pub", "--principal", "dave@example.org", "--role", "release"
    )
    signed = project.promptops("policy", "sign")
    assert "raised the policy to version 2" in signed.stderr
    project.commit("Add dave")
    judged = judge(project)
    assert {missing.subject for missing in judged.missing} == {
        ".promptops/allowed_signers",
        ".promptops/policy.d/2.json",
        ".promptops/policy.yaml",
    }
    requested(project)
    approved(project)
    assert judge(project).satisfied
    assert "# Who may request" in project.read(".promptops/policy.yaml")


def test_stale_policy_change_does_not_fork_the_chain(project):
    project.git("switch", "-q", "-c", "topic")
    project.promptops("key", "add", "dave", f"{project.key('dave')}.pub", "--principal", "dave@example.org")
    project.promptops("policy", "sign")
    project.commit("Add dave")
    project.git("switch", "-q", "main")
    project.promptops("key", "revoke", "carol")
    project.promptops("policy", "sign")
    project.commit("Revoke carol")
    assert "does not continue version 2" in reasons(judge(project, head="topic"))


def test_path_rule_needs_the_role_of_somebody_who_did_not_write_it(project):
    text = project.read(".promptops/policy.yaml").replace(
        "approvals: {default: 1}",
        'approvals: {default: 1, rules: [{paths: ["evals/safety*"], role: safety, approvals: 1}]}',
    )
    new_policy(project, text.replace("roles:\n", "roles:\n  safety: [bob, carol]\n"))
    project.git("switch", "-q", "-c", "topic")
    project.write("evals/safety.yaml", "changed: true\n")
    project.commit("Loosen", by="bob")
    requested(project, by="carol")
    approved(project, "alice")
    assert "needs 1 by the role safety (bob, carol)" in reasons(judge(project))
    # bob wrote the commit: his role does not help his own change.
    approved(project, "bob")
    assert "needs 1 by the role safety" in reasons(judge(project))


def test_owners_approve_where_the_policy_says_so(project):
    new_policy(project, project.read(".promptops/policy.yaml").replace("default: 1}", "default: 1, owners: true}"))
    project.git("switch", "-q", "-c", "topic")
    project.write(PROMPT, prompt("Be brief.", version="1.1.0", extra="owners: [carol]\n"))
    project.commit("Change")
    requested(project)
    approved(project, "bob")
    assert "needs one of its owners (carol)" in reasons(judge(project))
    approved(project, "carol")
    assert judge(project).satisfied


@pytest.mark.parametrize("bind", ["policy", "tree"])
def test_bound_approvals_end_with_the_state_they_were_given_for(project, bind):
    new_policy(project, project.read(".promptops/policy.yaml") + f"bind: {bind}\n")
    change(project)
    requested(project)
    approved(project)
    assert judge(project).satisfied
    project.git("switch", "-q", "main")
    if bind == "policy":
        new_policy(project, project.read(".promptops/policy.yaml") + "# stricter\n")
    else:
        project.write("prompts/other.yaml", prompt())
        project.commit("Meanwhile")
    project.git("switch", "-q", "topic")
    project.git("merge", "-q", "-m", "Catch up", "main")
    assert ("policy version" if bind == "policy" else "another state") in reasons(judge(project))


def test_first_policy_is_judged_by_itself(project):
    project.git("switch", "-q", "--orphan", "empty")
    project.commit("Nothing")
    project.git("checkout", "-q", "main", "--", ".")
    project.git("switch", "-q", "-c", "start")
    project.commit("Start")
    judged = judge(project, target="empty")
    assert judged.notes
    assert not any(".promptops" in missing.subject for missing in judged.missing)
    assert "prompt/support/reply 1.0.0" in reasons(judged)


def test_solo_needs_nobody_and_says_so(project):
    new_policy(project, project.read(".promptops/policy.yaml").replace("default: 1", "default: 0"))
    change(project)
    judged = judge(project)
    assert judged.satisfied
    assert judged.mode == "solo"
    assert judge_release(project).satisfied


def load(repo, revision="HEAD", **kwargs):
    return policy.load(TreeSource(Git(str(repo.root)), revision), **kwargs)


def test_chain_verifies_and_the_root_can_be_pinned(project):
    trust = load(project)
    assert trust.verify_chain() == trust.root == trust.digest
    assert trust.verify_chain(trust.root) == trust.root
    with pytest.raises(RefusedError, match="not the pinned"):
        trust.verify_chain("sha256:" + "0" * 64)
    new_policy(project, project.read(".promptops/policy.yaml") + "# later\n")
    later = load(project)
    assert (later.version, later.root) == (2, trust.root)
    assert later.verify_chain(trust.root) == trust.root
    assert later.links[1].statement()["predicate"]["previous"] == trust.digest


def test_root_digest_is_that_of_the_signed_payload(project):
    document = json.loads(project.read(".promptops/policy.d/1.json"))
    payload = base64.b64decode(document["payload"])
    printed = project.promptops("policy", "verify").stdout
    assert f"sha256:{hashlib.sha256(payload).hexdigest()}" in printed
    subjects = {each["name"]: each["digest"]["sha256"] for each in json.loads(payload)["subject"]}
    for path, digest in subjects.items():
        assert hashlib.sha256(project.read(path).encode()).hexdigest() == digest
    assert subjects.keys() == set(policy.FILES)


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (".promptops/policy.yaml", "default: 1", "default: 0"),
        (".promptops/allowed_signers", "git,request", "git,release.v1@promptops,request"),
        (".promptops/revoked_keys", "# Revoked", "# revoked"),
    ],
)
def test_any_edited_policy_file_breaks_the_chain(project, path, old, new):
    project.write(path, project.read(path).replace(old, new))
    project.commit("Edit")
    with pytest.raises(RefusedError, match="not the ones that were signed"):
        load(project).verify_chain()


def test_versions_are_consecutive(project):
    text = project.read(".promptops/policy.yaml").replace("version: 1", "version: 3")
    project.write(".promptops/policy.yaml", text)
    assert "does not follow version 1" in project.promptops("policy", "sign", check=1).stderr
    project.commit("Skip")
    with pytest.raises(RefusedError, match="policy version 2 is not signed"):
        load(project).verify_chain()


def test_older_policy_under_a_newer_number(project):
    first = project.read(".promptops/policy.d/1.json")
    new_policy(project, project.read(".promptops/policy.yaml") + "# later\n")
    project.write(".promptops/policy.d/2.json", first)
    project.commit("Replay")
    with pytest.raises(RefusedError, match="does not follow the version before"):
        load(project).verify_chain()


def test_threshold_counts_people_of_the_version_before(project):
    two = project.read(".promptops/policy.yaml").replace("threshold: 1", "threshold: 2")
    new_policy(project, two)  # version 1 asks for one root
    project.write(".promptops/policy.yaml", project.read(".promptops/policy.yaml") + "# later\n")
    half = project.promptops("policy", "sign")
    assert "(1 of 2)" in half.stderr
    project.promptops("policy", "sign")
    assert "2 of the roots" in project.promptops("policy", "verify", check=1).stderr
    assert "(2 of 2)" in project.promptops("policy", "sign", by="bob").stderr
    assert "version 3 verifies" in project.promptops("policy", "verify").stdout


def test_rotated_root_signs_with_the_old_key(project):
    project.promptops("key", "rotate", "alice", f"{project.key('alice2')}.pub")
    assert "not one of the roots" in project.promptops("policy", "sign", by="alice2", check=1).stderr
    project.promptops("policy", "sign", by="alice")
    project.commit("Rotate", by="alice2")
    load(project).verify_chain()
    project.write(".promptops/policy.yaml", project.read(".promptops/policy.yaml") + "# later\n")
    assert "not one of the roots" in project.promptops("policy", "sign", by="alice", check=1).stderr
    project.promptops("policy", "sign", by="alice2")
    project.promptops("policy", "verify")


def test_revoked_root_is_replaced_by_another_in_the_whole_chain(project):
    root = load(project).root
    project.promptops("key", "revoke", "alice", "--reason", "lost")
    assert "your key is revoked" in project.promptops("policy", "sign", by="alice", check=1).stderr
    assert "signed version 1 in place" in project.promptops("policy", "sign", by="bob").stderr
    project.promptops("policy", "verify", "--root", root)
    listed = project.promptops("key", "list").stdout
    assert listed.count("revoked") == 1
    assert "alice@example.org" not in listed


def test_key_commands_keep_comments_and_refuse_known_keys(project):
    before = project.read(".promptops/policy.yaml")
    bob = f"{project.key('bob')}.pub"
    assert "belongs to bob@example.org already" in project.promptops("key", "add", "carol", bob, check=1).stderr
    assert "--principal" in project.promptops("key", "add", "dave", f"{project.key('dave')}.pub", check=2).stderr
    added = project.promptops(
        "key", "add", "ci", f"{project.key('ci')}.pub", "--principal", "ci@example.org", "--bot", "--role", "release"
    )
    assert 'ci@example.org namespaces="git,request.v1@promptops,release.v1@promptops" ssh-ed25519' in added.stdout
    assert "promptops policy sign" in added.stderr
    after = project.read(".promptops/policy.yaml")
    assert [line for line in before.splitlines() if line.startswith("#")] == [
        line for line in after.splitlines() if line.startswith("#")
    ]
    assert "release: [alice, bob, carol, ci]" in after
    trust = policy.load(WorktreeSource(str(project.root)))
    assert trust.is_bot("ci")
    assert trust.has_role("ci", "release")
    assert not trust.has_role("ci", "override")


def test_rules_raise_what_is_required(project):
    rules = '{default: 1, rules: [{paths: ["evals/*", "models/*"], approvals: 2}, {paths: ["evals/safety*"], role: safety, approvals: 1}]}'
    text = project.read(".promptops/policy.yaml").replace("{default: 1}", rules)
    project.write(".promptops/policy.yaml", text.replace("roles:\n", "roles:\n  safety: [bob]\n"))
    trust = policy.load(WorktreeSource(str(project.root)))
    assert trust.required(["prompts/a.yaml"]) == (1, {}, frozenset())
    assert trust.required(["models/a.yaml"]) == (2, {}, frozenset())
    assert trust.required(["prompts/a.yaml", "evals/safety.yaml"]) == (2, {"safety": 1}, frozenset())


def test_init_alone_and_again(tmp_path):
    repo = make_repo(tmp_path, ("alice",))
    repo.git("remote", "add", "origin", "https://user:secret@example.org/team/prompts.git")
    printed = repo.promptops("policy", "init", "--solo")
    assert printed.stdout.startswith("sha256:")
    trust = policy.load(WorktreeSource(str(repo.root)))
    assert trust.solo
    assert trust.repository == "git+https://example.org/team/prompts"
    assert trust.verify_chain(printed.stdout.strip())
    assert "a policy already" in repo.promptops("policy", "init", check=1).stderr
    shown = json.loads(repo.promptops("policy", "show", "--json").stdout)
    assert (shown["signed"], shown["mode"], shown["root"]) == (True, "solo", printed.stdout.strip())


def test_schemas_accept_their_own_examples():
    for name in ("policy", "request", "approval"):
        schema = schemas.schema(name)
        assert schema["title"]
        assert schema["description"]
        for example in schema["examples"]:
            assert schemas.problems(name, example) == []
            assert schemas.problems(name, example | {"more": 1})


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://ci:token@example.org:8443/team/prompts.git", "git+https://example.org:8443/team/prompts"),
        ("ssh://git@example.org/team/prompts/", "git+https://example.org/team/prompts"),
        ("git@example.org:team/prompts.git", "git+https://example.org/team/prompts"),
        ("example.org:/srv/prompts", "git+https://example.org/srv/prompts"),
        *((url, "urn:promptops:repository:repo") for url in ("../remote", "./remote", "remote/x", "/srv/x.git")),
        *((url, "urn:promptops:repository:repo") for url in ("file:///srv/x", "file://localhost/x", "https://[::1]/x")),
    ],
)
def test_a_remote_on_this_machine_names_no_repository(repo, url, name):
    repo.git("remote", "add", "origin", url)
    with Git(str(repo.root)) as git:
        assert setup.default_repository(git) == name


def test_without_a_policy_there_is_nothing_to_lint(repo):
    for arguments in (("key", "lint"), ("key", "lint", "--json")):
        done = repo.cli(*arguments)
        assert (done.code, done.out) == (3, "")
        assert "next: promptops policy init" in done.err
    repo.write(".promptops/allowed_signers", "")
    assert repo.cli("key", "lint").code == 1
