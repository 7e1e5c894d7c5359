from __future__ import annotations

import releasing
import reviewing
from releasing import NEW, failed

MERGED = "prompt/support/reply@v1.1.0"


def revoke(repo, *names):
    """Revoke people's keys on main; who stays signs the policy."""
    repo.write(".promptops/revoked_keys", "".join(repo.public_key(name) + "\n" for name in names))
    repo.commit("Revoke", sign=False)


def raised(repo):
    """Let bob sign the next version of the policy."""
    text = repo.read(".promptops/policy.yaml").replace("version: 1\n", "version: 2\n")
    reviewing.new_policy(repo, text, sign_by="bob")


def attest(repo, by, code=0):
    return repo.promptops("attest", NEW, "--reason", "key lost", by=by, check=code)


def test_revoked_releaser_is_stood_in_for(released):
    revoke(released, "alice")
    assert {"tag signature", "release signature"} <= failed(released)
    raised(released)
    attest(released, "bob")
    assert failed(released, code=0) == set()


def test_attester_needs_the_role_and_a_key_that_stands(released):
    attest(released, "mallory", code=1)
    policy = released.read(".promptops/policy.yaml").replace("version: 1\n", "version: 2\n")
    released.write(".promptops/revoked_keys", released.public_key("alice") + "\n")
    reviewing.new_policy(released, policy.replace("release: [alice, bob]", "release: [alice]"), sign_by="bob")
    assert "somebody with the role release" in attest(released, "bob").stderr
    assert {"tag signature", "release signature"} <= failed(released)


def test_any_tag_may_lie_beside_attestations(released):
    for name in ("7", "\u00b2", "x"):
        released.git("tag", f"attest/support/reply@v1.1.0/{name}")
    assert "attest/support/reply@v1.1.0/8" in attest(released, "alice").stdout


def test_somebody_who_attested_already_signs_nothing_more_and_pushes_what_was_not(released, tmp_path):
    revoke(released, "alice")
    raised(released)
    first = attest(released, "bob").stdout
    assert attest(released, "bob").stdout == first
    remote = tmp_path / "remote.git"
    released.git("init", "-q", "--bare", str(remote))
    released.git("remote", "add", "origin", str(remote))
    for _ in range(2):
        assert released.promptops("attest", NEW, "--reason", "key lost", "--push", by="bob").stdout == first
    attested = released.git("for-each-ref", "--format=%(objectname)", "refs/tags/attest").splitlines()
    assert len(attested) == 1
    assert released.git("ls-remote", str(remote)).split()[0] == attested[0]


def test_somebody_whose_attestation_counts_no_more_signs_another(released):
    """A first one under a key that was exchanged since."""
    attest(released, "bob")
    released.git("tag", "-f", "attest/support/reply@v1.1.0/1", "HEAD")
    assert "attest/support/reply@v1.1.0/2" in attest(released, "bob").stdout


def test_attestation_of_another_release_does_not_count(released):
    revoke(released, "alice")
    raised(released)
    released.promptops("attest", releasing.OLD, "--reason", "x", by="bob")
    oid = released.git("rev-parse", "refs/tags/attest/support/reply@v1.0.0/1")
    released.git("update-ref", "refs/tags/attest/support/reply@v1.1.0/1", oid)
    assert "tag signature" in failed(released)


def test_revoked_reviewer_takes_as_many_people_as_the_review(merged):
    merged.promptops("release", "--no-canary", "x", by="carol")
    merged.write(".promptops/revoked_keys", merged.public_key("bob") + "\n")
    policy = merged.read(".promptops/policy.yaml").replace("version: 1\n", "version: 2\n")
    reviewing.new_policy(merged, policy)
    assert failed(merged, MERGED) == {"approvals"}
    first = attest(merged, "carol").stderr
    assert "1 attestation by other people; 2 are needed, so far carol" in first
    assert failed(merged, MERGED) == {"approvals"}
    assert "missing" not in attest(merged, "alice").stderr
    assert failed(merged, MERGED, code=0) == set()
