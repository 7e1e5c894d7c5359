from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess

import pytest
import releasing
import reviewing
from releasing import PROMPT, failed, manifest_of
from support import prompt

from promptops.release import journal
from promptops.repo import refs
from promptops.repo.git import Git

TAG = "prompt/support/reply@v1.0.0"
MERGED = "prompt/support/reply@v1.1.0"


def release(repo, *args, code=0, **kwargs):
    done = repo.promptops("release", "--no-canary", "tested by hand", "--json", *args, check=code, **kwargs)
    return json.loads(done.stdout) if done.stdout else done.stderr


def tags(repo):
    return repo.git("for-each-ref", "--format=%(refname:short)", "refs/tags").split()


def second_prompt(repo, name="support/close", version="1.0.0"):
    repo.write(f"prompts/{name}.yaml", prompt("Say goodbye.", version=version))
    repo.commit("Another prompt")


class TestPlace:
    def test_uncommitted_governed_file_stops_it(self, solo):
        solo.write(PROMPT, prompt("Other.", version="1.0.1"))
        assert PROMPT in release(solo, code=3)
        solo.git("checkout", "-q", PROMPT)
        solo.write("evals/new.yaml", "version: 1\n")
        assert "evals/new.yaml" in release(solo, code=3)
        assert tags(solo) == []

    def test_other_files_may_be_dirty(self, solo):
        solo.write("notes.txt", "anything")
        solo.write(".promptops/approvals/aa/aa.json", "{}")
        assert release(solo)[0]["status"] == "released"

    def test_branch_that_is_not_protected_stops_it(self, solo):
        solo.git("switch", "-q", "-c", "topic")
        message = release(solo, code=3)
        assert "topic is not a protected branch" in message
        assert "main" in message

    def test_detached_head_stops_it(self, solo):
        solo.git("switch", "-q", "--detach")
        assert "git switch" in release(solo, code=3)

    def test_shallow_clone_stops_it(self, released, tmp_path):
        clone = reviewing.Repo(tmp_path / "clone", released.home, released.people)
        released.git("clone", "-q", "--depth=1", f"file://{released.root}", str(clone.root))
        assert "git fetch --unshallow" in release(clone, code=3)

    def test_missing_policy_says_what_to_do(self, registry):
        done = registry.promptops("release", "--no-canary", "x", check=1)
        assert "promptops policy init" in done.stderr

    def test_finding_stops_it(self, solo):
        text = "provider: openai\nid: gpt-latest\nreported_id: x\nendpoint: {base_url_env: A, api_key_env: B}\n"
        solo.write("models/moving.yaml", text)
        solo.write("prompts/other.yaml", prompt(model="moving"))
        solo.commit("Unpinned")
        assert "promptops check" in release(solo, code=1)


class TestPerson:
    def test_unknown_key_is_refused(self, solo):
        assert "promptops key add" in release(solo, "--key", str(solo.key("mallory")), code=1)

    def test_revoked_key_is_refused(self, solo):
        solo.write(".promptops/revoked_keys", solo.public_key("bob") + "\n")
        reviewing.new_policy(solo, solo.read(".promptops/policy.yaml").replace("version: 1\n", "version: 2\n"))
        assert "revoked" in release(solo, code=1, by="bob")

    def test_role_release_is_needed_and_override_without_a_canary(self, solo):
        text = solo.read(".promptops/policy.yaml").replace("version: 1\n", "version: 2\n")
        text = text.replace("release: [alice, bob]", "release: [alice]").replace(
            "override: [alice, bob]", "override: [bob]"
        )
        reviewing.new_policy(solo, text)
        assert "role release" in release(solo, code=1, by="bob")
        assert "role override" in release(solo, code=1)
        assert tags(solo) == []


class TestReview:
    def test_unapproved_prompt_is_refused_with_the_next_step(self, project):
        (outcome,) = release(project, code=1)
        assert outcome["status"] == "refused"
        assert "promptops review" in outcome["hint"]
        assert tags(project) == []

    def test_approved_prompt_is_released_with_its_envelopes(self, merged):
        (outcome,) = release(merged)
        assert outcome["status"] == "released"
        found = manifest_of(merged)
        assert not found.solo
        assert len(found.approvals) == 2
        assert failed(merged, code=0) == set()

    def test_release_verifies_without_the_approval_files(self, merged):
        release(merged)
        merged.git("rm", "-rq", ".promptops/approvals")
        merged.commit("Tidy up")
        assert failed(merged, code=0) == set()

    def test_release_without_an_approval_does_not_verify(self, merged):
        release(merged)
        dropped = manifest_of(merged).approvals[0]

        def forget(predicate):
            predicate["approvals"].remove(dropped)

        data = releasing.tagobject.parse_tag(releasing.raw(merged))
        index = [item.digest for item in releasing.lines(data.message)[1:]].index(dropped)
        releasing.rewrite(merged, forget, drop=index)
        assert failed(merged) == {"approvals"}

    def test_approval_of_another_release_does_not_verify(self, merged):
        release(merged)
        merged.git("switch", "-q", "-c", "next")
        reviewing.change(merged, "Other words.", "1.2.0", branch="topic2")
        reviewing.requested(merged)
        reviewing.approved(merged)
        merged.git("switch", "-q", "main")
        merged.git("merge", "-q", "--no-ff", "topic2", "-m", "Merge")
        release(merged)
        old, new = (
            releasing.lines(releasing.tagobject.parse_tag(releasing.raw(merged, tag)).message)
            for tag in (MERGED, "prompt/support/reply@v1.2.0")
        )
        data = releasing.raw(merged, "prompt/support/reply@v1.2.0")
        statement = new[0].statement()
        statement["predicate"]["approvals"] = sorted(item.digest for item in old[1:])
        first = releasing.envelope.sign(statement, str(merged.key("alice")), releasing.sshsig.RELEASE)
        head = data[: data.index(b"Release support")]
        payload = head + releasing.bundle.embed("Release", [first, *old[1:]])
        releasing.put(merged, releasing.signed(merged, payload), "prompt/support/reply@v1.2.0")
        assert failed(merged, "support/reply@1.2.0") == {"approvals"}


class TestUnits:
    def test_everything_unreleased_is_released_once(self, solo):
        second_prompt(solo)
        assert [outcome["status"] for outcome in release(solo)] == ["released", "released"]
        assert release(solo) == []

    def test_one_prompt_is_released_by_name(self, solo):
        second_prompt(solo)
        assert [outcome["prompt"] for outcome in release(solo, "support/close")] == ["support/close"]
        assert "already released" in release(solo, "support/close", code=2)

    def test_together_means_all_or_none(self, merged):
        merged.write("prompts/support/close.yaml", prompt("Bye."))
        merged.commit("Unapproved", by="carol")
        found = {outcome["prompt"]: outcome["status"] for outcome in release(merged, "--together", code=1)}
        assert found == {"support/close": "refused", "support/reply": "held"}
        assert tags(merged) == []
        found = {outcome["prompt"]: outcome["status"] for outcome in release(merged, code=1)}
        assert found == {"support/close": "refused", "support/reply": "released"}

    def test_dry_run_writes_nothing(self, solo):
        before = solo.git("count-objects")
        (outcome,) = release(solo, "--dry-run")
        assert (outcome["status"], outcome["oid"]) == ("planned", None)
        assert solo.git("count-objects") == before
        assert tags(solo) == []

    def test_sequence_and_links_grow(self, released):
        first, second = manifest_of(released, releasing.OLD), manifest_of(released)
        assert (first.sequence, second.sequence) == (1, 2)
        assert second.previous.tag == second.baseline.tag == releasing.OLD

    def test_withdrawn_release_is_followed_but_no_baseline(self, released):
        released.promptops("withdraw", "support/reply@1.1.0", "--reason", "flatters")
        released.write(PROMPT, prompt("Again.", version="1.2.0"))
        released.commit("Fix")
        release(released)
        found = manifest_of(released, "prompt/support/reply@v1.2.0")
        assert (found.previous.tag, found.baseline.tag) == (releasing.NEW, releasing.OLD)
        assert failed(released, "support/reply@1.2.0", code=0) == set()
        released.git("tag", "-d", f"{releasing.NEW}!")
        assert failed(released, "support/reply@1.2.0") == {"previous"}

    def test_earlier_release_that_does_not_verify_stops_it(self, released):
        releasing.put(released, releasing.raw(released).replace(b"Release s", b"Rebease s"))
        released.write(PROMPT, prompt("Again.", version="1.2.0"))
        released.commit("More")
        (outcome,) = release(released, code=1)
        assert "does not verify" in outcome["reasons"][0]


@pytest.fixture
def remote(solo, tmp_path):
    """A bare remote of the fresh project."""
    path = tmp_path / "remote.git"
    subprocess.run(["git", "clone", "-q", "--bare", solo.root, path], check=True)
    solo.git("remote", "add", "origin", str(path))
    solo.git("fetch", "-q", "origin")
    return path


def remote_tags(remote):
    done = subprocess.run(["git", "-C", remote, "tag"], capture_output=True, text=True, check=True)
    return done.stdout.split()


class TestTagInTheWay:
    def test_lightweight_tag_is_named_before_a_canary_is_paid_for(self, solo):
        solo.git("tag", TAG)
        done = solo.promptops("release", "--canary", "5%", "--json", check=1)
        (outcome,) = json.loads(done.stdout)
        assert "exists and is no release" in outcome["reasons"][0]
        solo.git("tag", "-d", TAG)
        assert release(solo)[0]["status"] == "released"


class TestReason:
    @pytest.mark.parametrize("reason", ["", " ", "x" * 501])
    def test_reason_to_skip_the_canary_is_bounded(self, solo, reason):
        done = solo.promptops("release", "--no-canary", reason, check=2)
        assert "a reason has" in done.stderr
        assert tags(solo) == []

    def test_a_canary_and_none_at_once_is_wrong_usage(self, solo):
        done = solo.promptops("release", "--canary", "5%", "--no-canary", "x", check=2)
        assert "--canary and --no-canary" in done.stderr
        assert tags(solo) == []

    @pytest.mark.parametrize("share", ["", "5", "0%"])
    def test_share_of_the_canary_is_a_percentage(self, solo, share):
        assert "5%" in solo.promptops("release", "--canary", share, check=2).stderr

    def test_reason_cannot_forge_lines_of_the_tag(self, solo):
        lines = "x\nRelease other\n-----BEGIN SSH SIGNATURE-----\n-----BEGIN PROMPTOPS BUNDLE-----"
        solo.promptops("release", "--no-canary", lines)
        assert failed(solo, TAG, code=0) == set()
        assert "\nRelease other" not in solo.git("cat-file", "tag", TAG)


class TestPush:
    def test_pushed_tag_is_the_local_tag(self, solo, remote):
        (outcome,) = release(solo, "--push")
        assert outcome["pushed"] == "origin"
        assert solo.git("ls-remote", "--tags", "--refs", "origin").split() == [outcome["oid"], f"refs/tags/{TAG}"]

    def test_rejected_push_leaves_nothing_here(self, solo, remote):
        (remote / "hooks/pre-receive").write_text("#!/bin/sh\necho no tags today >&2\nexit 1\n")
        (remote / "hooks/pre-receive").chmod(0o755)
        (outcome,) = release(solo, "--push", code=1)
        assert "no tags today" in outcome["reasons"][0]
        assert tags(solo) == remote_tags(remote) == []
        (remote / "hooks/pre-receive").unlink()
        assert release(solo, "--push")[0]["status"] == "released"

    def test_together_is_atomic_on_the_remote(self, solo, remote):
        second_prompt(solo)
        solo.git("push", "-q", "origin", "main")
        subprocess.run(["git", "-C", remote, "tag", TAG, "main"], check=True)
        assert {outcome["status"] for outcome in release(solo, "--push", "--together", code=1)} == {"refused"}
        assert remote_tags(remote) == [TAG]
        assert tags(solo) == []

    def test_commit_that_the_remote_lacks_is_pushed_first(self, solo, remote):
        second_prompt(solo)
        assert "git push origin main" in release(solo, "--push", code=3)
        assert remote_tags(remote) == []

    def test_unreachable_remote_is_no_refusal(self, solo, remote):
        solo.git("remote", "set-url", "origin", str(remote) + "-gone")
        (outcome,) = release(solo, "--push", code=3)
        assert outcome["status"] == "error"
        assert tags(solo) == []
        # Nothing was sent, so nothing has to be settled first.
        assert release(solo, "--no-push")[0]["status"] == "released"


class TestInterruption:
    def test_kill_at_any_moment_leaves_the_whole_unit_or_nothing(self, solo, remote):
        second_prompt(solo)
        solo.git("push", "-q", "origin", "main")
        wanted = {TAG, "prompt/support/close@v1.0.0"}
        # Held in the remote's hook, the push is under way but has not happened.
        wait = f"for i in $(seq 2400); do test -e {remote}/killed && exit 0; sleep 0.05; done; exit 1"
        (remote / "hooks/pre-receive").write_text(f"#!/bin/sh\ntouch {remote}/reached\n{wait}\n")
        (remote / "hooks/pre-receive").chmod(0o755)
        running = releasing.start(solo, "release", "--no-canary", "x", "--together", "--push")
        wait_for(remote / "reached", running)
        running.send_signal(signal.SIGKILL)
        running.wait()
        assert tags(solo) == remote_tags(remote) == []
        (remote / "killed").touch()
        releasing.wait_until(lambda: set(remote_tags(remote)) == wanted)
        (remote / "hooks/pre-receive").unlink()
        assert release(solo, "--together", "--push") == []
        assert set(tags(solo)) == wanted
        assert failed(solo, TAG, code=0) == set()

    def test_promised_refs_are_finished_by_the_next_run(self, solo):
        oid = solo.git("rev-parse", "HEAD")
        with Git(str(solo.root)) as git:
            journal._write(journal._path(git), {"remote": None, "updates": [["refs/tags/a", oid, None]]})
            assert journal.resume(git) == ["refs/tags/a"]
            assert refs.read(git, "refs/tags/a") == oid
            assert journal.resume(git) == []

    def test_push_that_never_arrived_is_forgotten(self, solo, remote):
        oid = solo.git("rev-parse", "HEAD")
        with Git(str(solo.root)) as git:
            journal._write(journal._path(git), {"remote": "origin", "updates": [["refs/tags/a", oid, None]]})
            assert journal.resume(git) == []
            assert refs.read(git, "refs/tags/a") is None

    def test_push_whose_end_nobody_can_tell_says_how_to_go_on(self, solo, remote):
        oid = solo.git("rev-parse", "HEAD")
        with Git(str(solo.root)) as git:
            note = journal._path(git)
            journal._write(note, {"remote": "origin", "updates": [["refs/tags/a", oid, None]]})
        solo.git("remote", "remove", "origin")
        assert f"rm '{note}'" in release(solo, code=3)
        os.unlink(note)
        assert release(solo)[0]["status"] == "released"

    @pytest.mark.parametrize("oid", ["0123456789" * 4, None])
    def test_promise_that_was_overtaken_stands_in_nobodys_way(self, solo, oid):
        solo.git("tag", "a", "HEAD")
        other = oid or solo.git("rev-parse", "HEAD^{tree}")
        with Git(str(solo.root)) as git:
            journal._write(journal._path(git), {"remote": None, "updates": [["refs/tags/a", other, None]]})
        assert release(solo)[0]["status"] == "released"
        assert solo.git("rev-parse", "a") == solo.git("rev-parse", "HEAD")

    @pytest.mark.parametrize("text", ["", "[]", "null", '{"remote": null, "updates": [["a"]]}'])
    def test_damaged_note_is_explained(self, solo, text):
        with Git(str(solo.root)) as git:
            note = journal._path(git)
        with open(note, "w", encoding="utf-8") as file:
            file.write(text)
        message = release(solo, code=3)
        assert "damaged" in message
        assert f"rm '{note}'" in message

    def test_two_at_once_give_one_clear_message(self, solo):
        with Git(str(solo.root)) as git, journal.exclusive(git):
            message = release(solo, code=3)
        assert f"another release is running in this repository (process {os.getpid()})" in message
        assert release(solo)[0]["status"] == "released"


def wait_for(path, process):
    releasing.wait_until(lambda: path.exists() or process.poll() is not None)
    assert path.exists(), process.returncode


def test_repository_with_sha256_objects(solo):
    shutil.rmtree(solo.root / ".git")
    solo.git("init", "-q", "--object-format=sha256")
    solo.commit("Start again")
    release(solo)
    solo.promptops("promote", "support/reply", "--env", "staging", "--reason", "try")
    assert len(manifest_of(solo, TAG).commit) == 64
    assert failed(solo, TAG, code=0) == set()
    solo.promptops("snapshot", "--env", "staging", "-o", str(solo.root / "snapshot.json"))
    allowed = solo.root / ".promptops/allowed_signers"
    head = solo.git("rev-parse", "refs/promptops/live/staging/support/reply/HEAD")
    solo.git("-c", f"gpg.ssh.allowedSignersFile={allowed}", "verify-commit", head)
