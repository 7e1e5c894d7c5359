from __future__ import annotations

import json
import subprocess

import pytest
import releasing
import reviewing
from releasing import NEW, OLD, PROMPT, checks, failed
from support import prompt

from promptops.trust import sshsig


def test_release_verifies_in_a_plain_clone(released, tmp_path):
    clone = released.clone(tmp_path / "clone")
    found = checks(clone, code=0)
    assert {name for name, check in found.items() if check["ok"]} == set(found)
    assert {"tag signature", "content", "approvals", "canary", "previous", "policy chain"} <= set(found)


def test_release_verifies_in_a_bare_clone_and_a_worktree(released, tmp_path):
    bare = released.clone(tmp_path / "bare", "--bare")
    assert failed(bare, code=0) == set()
    released.git("worktree", "add", "-q", str(tmp_path / "tree"), "HEAD~1")
    done = released.promptops("-C", str(tmp_path / "tree"), "verify", NEW)
    assert NEW in done.stdout


def test_git_and_ssh_keygen_agree(released, tmp_path):
    allowed = released.root / ".promptops/allowed_signers"
    released.git("-c", f"gpg.ssh.allowedSignersFile={allowed}", "verify-tag", NEW)
    data = releasing.raw(released)
    start = data.index(b"-----BEGIN SSH SIGNATURE-----")
    (tmp_path / "sig").write_bytes(data[start:])
    command = ["ssh-keygen", "-Y", "verify", "-f", allowed, "-I", "alice@example.org", "-n", "git", "-s"]
    subprocess.run([*command, tmp_path / "sig"], input=data[:start], check=True, capture_output=True)


def test_gto_lists_the_release(released):
    from gto.api import show

    (row,) = [row for row in show(str(released.root), "prompt/support/reply") if row["version"] == "v1.1.0"]
    assert row["ref"] == NEW


def test_pinned_root_is_required_to_match(released):
    done = released.promptops("verify", NEW, "--json")
    root = json.loads(done.stdout)["root"]
    assert failed(released, NEW, "--root", root, code=0) == set()
    assert failed(released, NEW, "--root", "sha256:" + "0" * 64) == {"policy chain"}


@pytest.mark.parametrize("args", [(NEW, "--root", "junk"), (NEW, "--root", "0" * 64), ("junk",), ("a@b@c", "-v")])
def test_words_that_name_nothing_are_wrong_usage(released, args):
    assert "next:" in released.promptops("verify", *args, check=2).stderr


@pytest.mark.parametrize("command", [("status",), ("log",), ("release",)])
def test_dangling_tag_is_named_with_how_to_delete_it(released, command):
    ref = "refs/tags/prompt/support/reply@v9.0.0"
    (released.root / ".git" / ref).write_text("1" * 40 + "\n")
    assert f"git update-ref -d {ref}" in released.promptops(*command, check=3).stderr
    released.git("update-ref", "-d", ref)
    assert released.promptops("log").stdout


def test_tag_replaced_by_an_older_release_is_refused(released):
    released.git("update-ref", f"refs/tags/{NEW}", released.git("rev-parse", OLD))
    assert "name" in failed(released)


def test_lightweight_tag_is_refused(released):
    released.git("update-ref", f"refs/tags/{NEW}", "HEAD")
    assert failed(released) == {"tag"}


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b"\ntagger ", b"\nextra x\ntagger "),
        lambda data: data[: data.index(b"-----BEGIN SSH")],
        lambda data: data.replace(b"-----END PROMPTOPS BUNDLE-----\n", b"-----END PROMPTOPS BUNDLE-----\nmore\n"),
        lambda data: data.replace(b"-----BEGIN PROMPTOPS BUNDLE-----", b"-----BEGIN OTHER BUNDLE-----"),
        lambda data: data.replace(b'{"payload":"', b'{"payload":"","payload":"', 1),
        lambda data: b"",
    ],
)
def test_malformed_tag_object_is_refused(released, change):
    releasing.put(released, change(releasing.raw(released)))
    assert failed(released) & {"tag", "tag signature"}


def test_changed_summary_breaks_the_tag_signature(released):
    releasing.put(released, releasing.raw(released).replace(b"Release support", b"Rebease support"))
    assert failed(released) == {"tag signature"}


def test_tag_signed_by_a_stranger_is_refused(released):
    payload = releasing.raw(released).partition(b"-----BEGIN SSH")[0]
    releasing.put(released, releasing.signed(released, payload, "mallory"))
    assert failed(released) == {"tag signature"}


def test_release_signature_in_another_namespace_is_refused(released):
    data = releasing.raw(released)
    (first,) = releasing.lines(releasing.tagobject.parse_tag(data).message)
    other = releasing.envelope.sign(first.statement(), str(released.key("alice")), sshsig.APPROVAL)
    head = data[: data.index(b"Release support")]
    releasing.put(released, releasing.signed(released, head + releasing.bundle.embed("Release", [other])))
    assert failed(released) == {"release signature", "canary"}


@pytest.mark.parametrize(
    ("field", "value", "check"),
    [
        ("configuration", "sha256:" + "0" * 64, "content"),
        ("parameters", {"temperature": 1}, "content"),
        (
            "blobs",
            {"a": {"gitBlob": "0" * 40, "sha256": "0" * 64}, "b": {"gitBlob": "0" * 40, "sha256": "0" * 64}},
            "content",
        ),
        ("context", [{"name": "kb", "digest": "sha256:" + "0" * 64}], "content"),
        ("tree", "0" * 40, "manifest"),
        ("sequence", 7, "previous"),
        ("previous", None, "previous"),
        ("baseline", None, "previous"),
        ("previous", {"tag": OLD, "digest": {"sha256": "0" * 64}}, "previous"),
        ("policy", {"digest": "sha256:" + "0" * 64, "version": 1, "root": "sha256:" + "0" * 64}, "manifest"),
        ("review", {"mode": "reviewed"}, "manifest"),
        ("approvals", ["0" * 64], "approvals"),
        ("canary", {"skipped": "no", "by": "mallory"}, "canary"),
        ("canary", {"digest": {"sha256": "0" * 64}, "verdict": "pass", "share": 1, "attempts": 1}, "canary"),
        ("unknown", 1, "tag"),
    ],
)
def test_manifest_that_contradicts_the_repository_is_refused(released, field, value, check):
    releasing.rewrite(released, lambda predicate: predicate.update({field: value}))
    assert check in failed(released)


def test_manifest_of_another_commit_is_refused(released):
    other = released.git("rev-parse", "HEAD~1")
    releasing.rewrite(released, lambda predicate: predicate.update(commit=other))
    assert "manifest" in failed(released)


def test_releaser_without_the_role_is_refused(released):
    policy = released.read(".promptops/policy.yaml").replace("release: [alice, bob]", "release: [bob]")
    reviewing.new_policy(released, policy.replace("version: 1\n", "version: 2\n"))
    released.write(PROMPT, prompt("Once more.", version="1.2.0"))
    released.commit("More")
    released.promptops("release", "--no-canary", "third", by="bob")
    assert failed(released, "support/reply@1.2.0", code=0) == set()
    releasing.rewrite(released, lambda _: None, tag="prompt/support/reply@v1.2.0", by="alice")
    assert failed(released, "support/reply@1.2.0") == {"tag signature", "release signature", "canary"}


def test_skipped_canary_in_somebody_elses_name_is_refused(released):
    policy = released.read(".promptops/policy.yaml").replace("override: [alice, bob]", "override: [bob]")
    reviewing.new_policy(released, policy.replace("version: 1\n", "version: 2\n"))
    released.write(PROMPT, prompt("Once more.", version="1.2.0"))
    released.commit("More")
    released.promptops("release", "--no-canary", "third", by="bob")
    releasing.rewrite(released, lambda _: None, tag="prompt/support/reply@v1.2.0", by="alice")
    assert failed(released, "support/reply@1.2.0") == {"canary"}


def test_commit_off_the_protected_branch_is_refused(released):
    released.git("switch", "-q", "-c", "side", "HEAD~1")
    released.git("branch", "-q", "-f", "main", "side")
    assert failed(released) == {"branch"}


def test_clone_of_the_tag_alone_cannot_tell(released, tmp_path):
    clone = released.clone(tmp_path / "clone", "--branch", NEW, "--single-branch", "--no-tags", "--depth=1")
    found = checks(clone, code=3)
    assert found["content"]["ok"]
    assert found["branch"]["ok"] is None


def test_missing_tag_is_reported_with_what_to_fetch(released):
    done = released.promptops("verify", "support/reply@9.9.9", check=3)
    assert "git fetch --tags" in done.stderr


def test_revoked_key_is_refused_wherever_it_is_listed(released, tmp_path):
    listed = tmp_path / "revoked"
    listed.write_text(released.public_key("alice") + "\n")
    assert "tag signature" in failed(released, NEW, "--revoked", str(listed))
    released.write(".promptops/revoked_keys", released.public_key("alice") + "\n")
    released.commit("Revoke")
    assert {"tag signature", "release signature"} <= failed(released)


def test_failed_check_says_where_and_what_to_do(released):
    released.write(".promptops/revoked_keys", "# none yet\nnonsense\n")
    released.commit("Revoke nonsense")
    found = checks(released)["revocations"]
    assert found["ok"] is False
    assert found["detail"] == ".promptops/revoked_keys:2: not a public key; one a line: ssh-ed25519 AAAA..."


@pytest.mark.parametrize("path", [".promptops/revoked_keys", ".promptops/policy.yaml", ".promptops"])
def test_a_branch_that_lost_its_policy_does_not_bring_a_revoked_key_back(released, path):
    released.write(".promptops/revoked_keys", released.public_key("alice") + "\n")
    policy = released.read(".promptops/policy.yaml").replace("version: 1\n", "version: 2\n")
    reviewing.new_policy(released, policy, sign_by="bob")
    assert "tag signature" in failed(released)
    released.git("rm", "-qr", path)
    released.commit("Nobody signed this", sign=False)
    assert "revocations" in failed(released)
    if path.endswith("revoked_keys"):
        released.write(path, "")
        released.commit("Nor this", sign=False)
        assert "revocations" in failed(released)


def revoke(repo):
    """Revoke alice's key by version 2 of the policy, which bob signs."""
    repo.write(".promptops/revoked_keys", repo.public_key("alice") + "\n")
    policy = repo.read(".promptops/policy.yaml").replace("version: 1\n", "version: 2\n")
    reviewing.new_policy(repo, policy, sign_by="bob")


@pytest.mark.parametrize("merged", [False, True])
def test_policy_turned_back_as_a_whole_does_not_bring_a_revoked_key_back(released, merged):
    before = released.git("rev-parse", "HEAD")
    revoke(released)
    if merged:
        tree = released.git("rev-parse", f"{before}^{{tree}}")
        back = released.git("commit-tree", tree, "-p", before, "-p", "HEAD", "-m", "Merge the older side")
        released.git("reset", "-q", "--hard", back)
    else:
        released.git("rm", "-qr", ".promptops")
        released.git("checkout", "-q", before, "--", ".promptops")
        released.commit("Back", sign=False)
    released.git("config", "log.follow", "true")
    found = checks(released)
    assert [name for name, check in found.items() if not check["ok"]] == ["revocations"]
    assert "went back from version 2 to 1" in found["revocations"]["detail"]


def test_policy_version_that_nobody_signed_may_go_again(released):
    released.write(".promptops/policy.d/2.json", released.read(".promptops/policy.d/1.json"))
    released.commit("Draft")
    released.git("rm", "-q", ".promptops/policy.d/2.json")
    released.commit("No")
    assert failed(released, code=0) == set()


def test_older_protected_branch_is_no_policy_turned_back(released):
    policy = released.read(".promptops/policy.yaml").replace("version: 1\n", "version: 2\n")
    reviewing.new_policy(released, policy)
    released.git("update-ref", "refs/remotes/origin/main", "HEAD~1")
    assert failed(released, code=0) == set()


def test_configuration_and_replacements_of_the_repository_change_nothing(released):
    released.write("evil", "#!/bin/sh\nexit 0\n").chmod(0o755)
    released.git("config", "gpg.ssh.program", str(released.root / "evil"))
    payload = releasing.raw(released).partition(b"-----BEGIN SSH")[0]
    releasing.put(released, releasing.signed(released, payload, "mallory"))
    assert failed(released) == {"tag signature"}
    released.git("replace", released.git("rev-parse", f"{OLD}:{PROMPT}"), released.git("rev-parse", f"HEAD:{PROMPT}"))
    assert failed(released, OLD, code=0) == set()


def test_tag_object_in_a_file_is_verified(released, tmp_path):
    (tmp_path / "tag").write_bytes(releasing.raw(released))
    assert failed(released, str(tmp_path / "tag"), code=0) == set()
    (tmp_path / "tag").write_bytes(releasing.raw(released).replace(b"Release s", b"Rebease s"))
    assert failed(released, str(tmp_path / "tag")) == {"tag signature"}


def test_file_of_a_releases_name_does_not_stand_in_for_it(released):
    data = releasing.raw(released, OLD)
    for name in (NEW, "support/reply@1.1.0"):
        released.write(name, data)
    releasing.put(released, releasing.raw(released).replace(b"Release s", b"Rebease s"))
    for name in (NEW, "support/reply@1.1.0"):
        assert failed(released, name) == {"tag signature"}
    released.git("update-ref", "-d", f"refs/tags/{NEW}")
    assert "there is no tag" in released.cli("verify", NEW).err
    assert failed(released, f"./{NEW}", code=0) == set()


def test_bundle_in_a_file_is_verified_without_its_tag(released, tmp_path):
    lines = releasing.bundle.extract(releasing.tagobject.parse_tag(releasing.raw(released)).message)
    (tmp_path / "bundle").write_bytes(lines)
    found = checks(released, str(tmp_path / "bundle"), code=0)
    assert "release signature" in found
    assert "tag signature" not in found
    statement = releasing.lines(releasing.tagobject.parse_tag(releasing.raw(released)).message)[0].statement()
    forged = releasing.envelope.sign(statement, str(released.key("mallory")), sshsig.RELEASE)
    (tmp_path / "bundle").write_bytes(forged.to_bytes())
    assert failed(released, str(tmp_path / "bundle")) == {"release signature", "canary"}
    (tmp_path / "bundle").write_bytes(b"{}")
    assert failed(released, str(tmp_path / "bundle")) == {"tag"}


def test_age_is_bounded_on_request(released):
    assert failed(released, NEW, "--max-age", "7d", code=0) == set()
    assert failed(released, NEW, "--max-age", "0s") == {"age"}


def test_text_names_what_failed_and_hides_what_held(released):
    released.git("update-ref", f"refs/tags/{NEW}!", "HEAD")
    done = released.promptops("verify", NEW, check=1)
    assert "not withdrawn" in done.stdout
    assert "tag signature" not in done.stdout
    assert "tag signature" in released.promptops("verify", NEW, "-v", check=1).stdout
