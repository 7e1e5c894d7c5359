"""What stock git and OpenSSH let pass, one trap a test: each is refused by the check that names it, in its own words."""

from __future__ import annotations

import base64
import json

import pytest
import releasing
import reviewing
from releasing import NEW, OLD, PROMPT, checks, failed
from support import prompt

from promptops.repo.source import WorktreeSource
from promptops.trust import chain, envelope, policy, sshsig

NEWEST = "prompt/support/reply@v1.2.0"


def refusal(repo, check, tag=NEW, *args):
    """Why a check does not hold."""
    found = checks(repo, tag, *args)[check]
    assert found["ok"] is False
    return found["detail"]


def released_again(repo, text="Once more.", version="1.2.0", by="alice"):
    repo.write(PROMPT, prompt(text, version=version))
    repo.commit("More", by=by)
    repo.promptops("release", "--no-canary", "third", by=by)


def rebuilt(repo, others=None, *, tag=NEW, first=None, by="alice"):
    """Put a release's tag together again around other envelopes, and sign the tag."""
    parsed = releasing.tagobject.parse_tag(releasing.raw(repo, tag))
    mine, *rest = releasing.lines(parsed.message)
    head = parsed.payload[: len(parsed.payload) - len(parsed.message)]
    bundled = releasing.bundle.embed("Release", [first or mine, *(rest if others is None else others)])
    releasing.put(repo, releasing.signed(repo, head + bundled, by), tag)


def payload_signed(repo, change, kind=envelope.PAYLOAD_TYPE):
    """Sign a manifest's bytes after ``change``, whatever they have become."""
    (first,) = releasing.lines(releasing.tagobject.parse_tag(releasing.raw(repo)).message)
    again = envelope.Envelope(change(first.payload), kind, ())
    rebuilt(repo, first=envelope.add_signature(again, str(repo.key("alice")), sshsig.RELEASE))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: data + b"more\n", "goes on after its signature"),
        (lambda data: data + data[data.index(b"-----BEGIN SSH") :], "more than one signature"),
        (lambda data: data.replace(b"type commit\n", b"type commit\ntype commit\n", 1), "repeats a header"),
        (lambda data: data.replace(b"\ntagger ", b"\nencoding x\ntagger ", 1), "other headers than"),
        (lambda data: data.replace(b"\n", b"\r\n"), "no empty line after its headers"),
    ],
)
def test_tag_object_with_two_readings(released, change, reason):
    releasing.put(released, change(releasing.raw(released)))
    assert reason in refusal(released, "tag")


def test_renamed_tag_object(released):
    released.git("update-ref", f"refs/tags/{NEWEST}", released.git("rev-parse", NEW))
    assert refusal(released, "name", NEWEST) == f"the tag object is for {NEW}, but the ref is {NEWEST}"


def test_missing_list_of_revoked_keys(released):
    released.git("rm", "-q", ".promptops/revoked_keys")
    released.commit("Lost")
    target = {"commit": released.git("rev-parse", "HEAD"), "tree": released.git("rev-parse", "HEAD^{tree}")}
    _, _, rest = releasing.raw(released).partition(b"\n")
    releasing.put(released, b"object " + target["commit"].encode() + b"\n" + rest)
    releasing.rewrite(released, lambda predicate: predicate.update(target))
    assert ".promptops/revoked_keys is missing" in refusal(released, "policy")


def revoke(repo, keys, version, by="bob"):
    repo.write(".promptops/revoked_keys", keys)
    text = repo.read(".promptops/policy.yaml").replace(f"version: {version - 1}\n", f"version: {version}\n")
    repo.write(".promptops/policy.yaml", text)
    return repo.promptops("policy", "sign", by=by, check=None)


def test_empty_list_revokes_nothing(released):
    assert released.read(".promptops/revoked_keys").replace("#", "") != ""
    assert failed(released, code=0) == set()
    released.write(".promptops/revoked_keys", "")
    assert revoke(released, "", 2).returncode == 0
    released.commit("Empty")
    assert failed(released, code=0) == set()


def test_list_that_lost_a_revoked_key(released):
    """The roots themselves took it back, with good signatures: what the key had signed would count again."""
    assert revoke(released, released.public_key("mallory") + "\n", 2).returncode == 0
    released.commit("Revoke")
    assert failed(released, code=0) == set()
    done = revoke(released, "", 3)
    assert "a revocation is for good" in done.stderr
    assert done.returncode == 1
    # Signed all the same, by a tool that does not ask.
    stated = chain.describe(policy.load(WorktreeSource(str(released.root))))
    signed = envelope.sign(stated, str(released.key("bob")), sshsig.POLICY)
    released.write(chain.path(3), signed.to_bytes())
    released.commit("Take back")
    found = checks(released)
    assert [name for name, check in found.items() if not check["ok"]] == ["revocations"]
    assert "the newest policy does not revoke it any more" in found["revocations"]["detail"]


def test_expired_key_with_a_date_in_the_past(released, tmp_path):
    """Stock git believes the date that the tagger wrote."""
    allowed = released.read(".promptops/allowed_signers")
    dated = allowed.replace("alice@example.org names", 'alice@example.org valid-before="20200101",names')
    released.write(".promptops/allowed_signers", dated)
    text = released.read(".promptops/policy.yaml").replace("version: 1\n", "version: 2\n")
    reviewing.new_policy(released, text, sign_by="bob")
    released.write(PROMPT, prompt("Once more.", version="1.2.0"))
    released.commit("More", by="bob")
    released.promptops("release", "--no-canary", "third", by="bob")
    data = releasing.raw(released, NEWEST)
    start, end = data.index(b"tagger "), data.index(b"\n\n")
    backdated = data[:start] + b"tagger alice <alice@example.org> 1500000000 +0000" + data[end:]
    payload, _ = releasing.tagobject.split_signature(backdated)
    releasing.put(released, releasing.signed(released, payload), NEWEST)
    (tmp_path / "signers").write_text(dated)
    released.git("-c", f"gpg.ssh.allowedSignersFile={tmp_path / 'signers'}", "verify-tag", NEWEST)
    why = "key of alice@example.org has expired, whatever date the signer wrote"
    assert refusal(released, "tag signature", NEWEST) == why
    assert "the key of alice@example.org has a date" in released.promptops("key", "lint").stdout


def retire(repo, name, by):
    """Take a person's key out of the policy without revoking it."""
    lines = repo.read(".promptops/allowed_signers").splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(name)]
    repo.write(".promptops/allowed_signers", "".join(kept))
    text = repo.read(".promptops/policy.yaml").replace("version: 1\n", "version: 2\n")
    reviewing.new_policy(repo, text, sign_by=by)


def slipped_in(repo, version, **changes):
    """Sign a release of another version at the commit of `NEW` as alice, with a date of her choice."""
    tag = f"prompt/support/reply@v{version}"
    data = releasing.raw(repo)
    releasing.put(repo, data.replace(f"tag {NEW}".encode(), f"tag {tag}".encode(), 1), tag)

    def change(predicate):
        predicate.update({"tag": tag, "version": version} | changes)

    parsed = releasing.tagobject.parse_tag(releasing.raw(repo, tag))
    (first,) = releasing.lines(parsed.message)
    statement = first.statement()
    change(statement["predicate"])
    statement["subject"][1]["name"] = tag
    again = envelope.sign(statement, str(repo.key("alice")), sshsig.RELEASE)
    rebuilt(repo, tag=tag, first=again)
    return tag


def test_retired_key_cannot_slip_a_release_in_front_of_later_ones(released):
    retire(released, "alice", by="bob")
    assert failed(released, code=0) == set()
    released_again(released, by="bob")
    previous = {"tag": NEWEST, "digest": {"sha256": digest_of(released, NEWEST)}}
    late = slipped_in(released, "1.3.0", sequence=4, previous=previous, baseline=previous)
    assert f"older policy than {NEWEST}" in refusal(released, "previous", late)
    released.git("update-ref", "-d", f"refs/tags/{late}")
    forked = slipped_in(released, "1.3.0", sequence=3, previous=(mine := link(released, NEW)), baseline=mine)
    assert refusal(released, "previous", forked) == f"it follows {NEW} and leaves {NEWEST} out"
    released.git("update-ref", "-d", f"refs/tags/{forked}")
    between = slipped_in(released, "1.1.5", sequence=3, previous=mine, baseline=mine)
    assert f"{NEWEST} follows another release" in refusal(released, "next", between)


def link(repo, tag):
    return {"tag": tag, "digest": {"sha256": digest_of(repo, tag)}}


def digest_of(repo, tag):
    (first,) = releasing.lines(releasing.tagobject.parse_tag(releasing.raw(repo, tag)).message)
    return first.payload_digest.removeprefix("sha256:")


def test_release_deleted_and_made_again(released):
    released_again(released)
    releasing.rewrite(released, lambda predicate: predicate.update(created="2020-01-01T00:00:00Z"))
    assert f"{NEWEST} follows another manifest under this tag" in refusal(released, "next")
    assert f"{NEW} is not the release that the manifest names" in refusal(released, "previous", NEWEST)


def test_tag_of_a_stranger_beside_a_release_changes_nothing(released):
    payload = releasing.raw(released).partition(b"-----BEGIN SSH")[0].replace(f"tag {NEW}".encode(), b"tag x", 1)
    for tag in (NEWEST, "prompt/support/reply@v1.0.5"):
        releasing.put(released, payload, tag)
    assert failed(released, code=0) == set()


def test_grafts(released):
    """A graft joins the release's commit to a protected branch that never had it."""
    tip = released.git("rev-parse", "HEAD")
    released.git("switch", "-q", "-c", "side", "HEAD~1")
    released.git("branch", "-q", "-f", "main", "side")
    released.write(".git/info/grafts", f"{released.git('rev-parse', 'main')} {tip}\n")
    assert released.git("-c", "advice.graftFileDeprecated=false", "merge-base", "--is-ancestor", tip, "main") == ""
    assert refusal(released, "branch") == f"commit {tip[:12]} is on no protected branch"


def test_replace_refs(released):
    """A replacement shows the old prompt under the new release; the objects' own ids decide."""
    old, new = (released.git("rev-parse", f"{tag}:{PROMPT}") for tag in (OLD, NEW))
    released.git("replace", new, old)
    assert "1.0.0" in released.git("show", f"{NEW}:{PROMPT}")
    assert failed(released, code=0) == set()
    sha = {"sha256": "0" * 64, "gitBlob": old}
    releasing.rewrite(released, lambda predicate: predicate["blobs"][PROMPT].update(sha))
    assert refusal(released, "content") == "the commit holds other files than the manifest names"


def test_smudge_filter(released, tmp_path):
    """A filter of the repository rewrites what git checks out; no verdict runs it."""
    released.write("filter", f"#!/bin/sh\ntouch {tmp_path / 'ran'}\necho evil\n").chmod(0o755)
    for name in ("smudge", "clean", "process"):
        released.git("config", f"filter.evil.{name}", str(released.root / "filter"))
    released.git("config", "core.attributesFile", str(released.write("attributes", "* filter=evil diff=evil\n")))
    released.git("config", "diff.evil.textconv", str(released.root / "filter"))
    assert failed(released, code=0) == set()
    assert not (tmp_path / "ran").exists()
    (released.root / PROMPT).unlink()
    released.git("checkout", PROMPT, check=None)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(("kind", "words"), [("symlink", "a symbolic link"), ("submodule", "a submodule")])
def test_prompt_that_is_no_file(released, kind, words):
    released.git("rm", "-q", PROMPT)
    if kind == "symlink":
        (released.root / PROMPT).parent.mkdir(parents=True, exist_ok=True)
        (released.root / PROMPT).symlink_to("elsewhere.yaml")
        released.git("add", "-A")
    else:
        released.git("update-index", "--add", "--cacheinfo", f"160000,{released.git('rev-parse', 'HEAD')},{PROMPT}")
    released.git("commit", "-q", "-m", kind)
    target = {"commit": released.git("rev-parse", "HEAD"), "tree": released.git("rev-parse", "HEAD^{tree}")}
    _, _, rest = releasing.raw(released).partition(b"\n")
    releasing.put(released, b"object " + target["commit"].encode() + b"\n" + rest)
    releasing.rewrite(released, lambda predicate: predicate.update(target))
    assert refusal(released, "content") == f"{PROMPT}: {words} is no prompt: commit the file itself"


def test_forged_keyid(released):
    """The key id is a hint: bob's on alice's signature neither helps nor harms."""
    (first,) = releasing.lines(releasing.tagobject.parse_tag(releasing.raw(released)).message)
    bob = sshsig.fingerprint(sshsig.public_key(f"{released.key('bob')}.pub"))
    (made,) = first.signatures
    rebuilt(released, first=first._replace(signatures=(made._replace(keyid=bob),), source=b""))
    assert checks(released, code=0)["release signature"]["detail"] == "alice"
    stranger = envelope.sign(first.statement(), str(released.key("mallory")), sshsig.RELEASE).signatures[0]
    rebuilt(released, first=first._replace(signatures=(stranger._replace(keyid=bob),), source=b""))
    assert "is not in allowed_signers" in refusal(released, "release signature")


def test_second_signature_of_a_stranger(released):
    """A signature that counts for nothing beside one that counts."""
    (first,) = releasing.lines(releasing.tagobject.parse_tag(releasing.raw(released)).message)
    rebuilt(released, first=envelope.add_signature(first, str(released.key("mallory")), sshsig.RELEASE))
    assert failed(released, code=0) == set()


def test_one_key_as_two_people(released):
    line = released.read(".promptops/allowed_signers").splitlines()[-1]
    twice = f"{line}\nalice@example.org {line.split(' ', 1)[1]}\n"
    released.write(".promptops/allowed_signers", twice)
    released.commit("Two people")
    assert "one key is one person" in refusal(released, "revocations")


def test_payload_of_another_type(released):
    payload_signed(released, lambda payload: payload, kind="application/json")
    assert "the bundle holds an envelope of 'application/json'" in refusal(released, "tag")


def test_statement_of_another_kind(released):
    payload_signed(released, lambda payload: payload.replace(b"urn:promptops:release:v1", b"urn:promptops:request:v1"))
    assert "predicateType" in refusal(released, "tag")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda payload: payload.replace(b'"sequence":', b'"sequence":9,"sequence":'), "repeats a key"),
        (lambda payload: payload.replace(b'"sequence":', b'"Sequence":9,"sequence":'), "differ in case only"),
        (lambda payload: payload.replace(b'"sequence":2', b'"sequence":NaN'), "NaN is not JSON"),
    ],
)
def test_json_with_two_readings(released, change, reason):
    payload_signed(released, change)
    assert reason in refusal(released, "tag")


def test_envelope_with_two_payloads(released):
    data = releasing.raw(released)
    double = b'{"Payload":"' + base64.b64encode(b"{}") + b'","payload":"'
    releasing.put(released, data.replace(b'{"payload":"', double, 1))
    assert "differ in case only" in refusal(released, "tag")


def test_attestations_of_two_releases(merged):
    """Approvals of one release under another's manifest: named by the manifest or not, they do not pass."""
    merged.promptops("release", "--no-canary", "x", by="carol")
    merged.git("switch", "-q", "-c", "again")
    merged.write(PROMPT, prompt("Be briefer.", version="1.2.0"))
    merged.commit("Again")
    reviewing.requested(merged)
    reviewing.approved(merged)
    merged.git("switch", "-q", "main")
    merged.git("merge", "-q", "--no-ff", "again", "-m", "Merge")
    merged.promptops("release", "--no-canary", "x", by="carol")
    assert failed(merged, NEWEST, code=0) == set()
    old = releasing.lines(releasing.tagobject.parse_tag(releasing.raw(merged)).message)[1:]
    rebuilt(merged, old, tag=NEWEST, by="carol")
    assert "the bundle lacks the envelope" in refusal(merged, "approvals", NEWEST)
    named = sorted(item.digest for item in old)
    (first, *_) = releasing.lines(releasing.tagobject.parse_tag(releasing.raw(merged, NEWEST)).message)
    statement = first.statement()
    statement["predicate"]["approvals"] = named
    rebuilt(
        merged,
        old,
        tag=NEWEST,
        first=envelope.sign(statement, str(merged.key("carol")), sshsig.RELEASE),
        by="carol",
    )
    assert "support/reply" in refusal(merged, "approvals", NEWEST)


def test_every_check_is_listed(released):
    document = json.loads(released.cli("verify", NEW, "--json").out)
    assert [check["name"] for check in document["checks"]] == [
        "tag", "name", "policy", "manifest", "content", "policy chain", "tag signature", "release signature",
        "canary signature", "approvals", "canary", "previous", "next", "branch", "revocations", "not withdrawn",
    ]  # fmt: skip
    assert all(check["detail"] or check["name"] == "not withdrawn" for check in document["checks"])
