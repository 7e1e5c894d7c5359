from __future__ import annotations

import json
import os
import resource
import subprocess

import pytest
import releasing
import reviewing
from releasing import NEW, OLD, PROMPT, failed
from support import no_room, prompt

from promptops.errors import RefusedError
from promptops.release import live
from promptops.repo.git import Git
from promptops.runtime import Snapshot
from promptops.runtime.document import serialize

NAME = "support/reply"
REF = f"refs/promptops/live/prod/{NAME}/HEAD"


def decide(repo, command, *args, code=0, by="alice", env="prod"):
    done = repo.promptops(command, *args, "--env", env, "--reason", "because", "--json", check=code, by=by)
    return json.loads(done.stdout) if code == 0 else done.stderr


def snapshot(repo, code=0, env="prod"):
    path = repo.root / "snapshot.json"
    done = repo.promptops("snapshot", "--env", env, "-o", str(path), check=code)
    return Snapshot(str(path)) if code == 0 else done.stderr


@pytest.fixture
def serving(released):
    """1.0.0 and then 1.1.0 went live in prod."""
    decide(released, "promote", f"{NAME}@1.0.0")
    decide(released, "promote", NAME)
    return released


def test_release_serves_nobody(released):
    assert "nothing is live in prod" in snapshot(released, code=3)


def test_promotion_makes_the_newest_standing_release_live(released):
    assert decide(released, "promote", NAME)["tag"] == NEW
    assert snapshot(released).load(NAME).version == "1.1.0"
    assert decide(released, "promote", NAME, env="staging")["sequence"] == 1


def test_staged_environment_needs_override_and_a_plain_one_release(released):
    policy = released.read(".promptops/policy.yaml").replace("version: 1\n", "version: 2\n")
    reviewing.new_policy(released, policy.replace("override: [alice, bob]", "override: [bob]"))
    assert "override" in decide(released, "promote", NAME, code=1)
    assert decide(released, "promote", NAME, env="staging")["tag"] == NEW
    assert decide(released, "promote", NAME, by="bob")["tag"] == NEW


def test_unknown_environment_is_named_with_the_known_ones(released):
    assert "one of: prod, staging" in decide(released, "promote", NAME, env="pord", code=2)


def test_every_command_names_the_known_environments(released):
    for command in (("rollback", NAME, "--reason", "x"), ("blame",), ("snapshot",), ("drift",)):
        refused = released.cli(*command, "--env", "nope")
        assert (refused.code, refused.out) == (2, ""), command
        assert "promptops.yaml has no environment nope" in refused.err
        assert "one of: prod, staging" in refused.err


def test_blame_still_tells_of_an_environment_that_was_given_up(serving):
    serving.write("promptops.yaml", "version: 1\nenvironments: {staging: {}}\n")
    serving.commit("Give prod up")
    assert NEW in serving.cli("blame", "--env", "prod").out


def test_rollback_serves_what_served_before_and_is_final(serving):
    found = decide(serving, "rollback", NAME)
    assert (found["tag"], found["left"], found["sequence"]) == (OLD, NEW, 3)
    assert snapshot(serving).load(NAME).version == "1.0.0"
    assert "final" in decide(serving, "promote", f"{NAME}@1.1.0", code=1)
    assert "no earlier release" in decide(serving, "rollback", NAME, code=1)
    assert "earlier release" in decide(serving, "rollback", NAME, "--to", "9.9.9", code=1)


def test_rollback_to_a_later_or_withdrawn_release_is_refused(serving):
    decide(serving, "rollback", NAME)
    assert "earlier release" in decide(serving, "rollback", NAME, "--to", "1.1.0", code=1)
    serving.write(PROMPT, prompt("Again.", version="1.2.0"))
    serving.commit("Fix")
    serving.promptops("release", "--no-canary", "third")
    decide(serving, "promote", NAME)
    serving.promptops("withdraw", f"{NAME}@1.0.0", "--reason", "old")
    assert "earlier release" in decide(serving, "rollback", NAME, "--to", "1.0.0", code=1)


def test_rollback_needs_its_role(serving):
    policy = serving.read(".promptops/policy.yaml").replace("version: 1\n", "version: 2\n")
    reviewing.new_policy(serving, policy.replace("rollback: [alice, bob]", "rollback: [bob]"))
    assert "role rollback" in decide(serving, "rollback", NAME, code=1)
    assert decide(serving, "rollback", NAME, by="bob")["tag"] == OLD


def test_withdrawn_release_is_refused_everywhere(serving):
    serving.promptops("withdraw", NEW, "--reason", "flatters")
    assert failed(serving) == {"not withdrawn"}
    assert decide(serving, "promote", NAME, env="staging")["tag"] == OLD
    assert "does not verify" in decide(serving, "promote", f"{NAME}@1.1.0", env="staging", code=1)
    message = snapshot(serving, code=1)
    assert "withdrawn" in message
    assert "promptops rollback" in message
    assert "withdrawn already" in serving.promptops("withdraw", NEW, "--reason", "x", check=1).stderr
    assert json.loads(serving.cli("log", "--json").out)[0]["withdrawn"] is True


def test_withdrawal_is_a_signed_tag_that_gto_reads(serving):
    from gto.api import show

    serving.promptops("withdraw", NEW, "--reason", "flatters\nand -----BEGIN SSH SIGNATURE-----")
    allowed = serving.root / ".promptops/allowed_signers"
    serving.git("-c", f"gpg.ssh.allowedSignersFile={allowed}", "verify-tag", f"{NEW}!")
    assert [row["version"] for row in show(str(serving.root), f"prompt/{NAME}")] == ["v1.0.0"]


def test_two_deciders_have_one_winner(serving):
    with Git(str(serving.root)) as git:
        head = live.heads(git, "prod")[NAME]
        decide(serving, "rollback", NAME)
        from promptops.release import journal
        from promptops.repo import refs

        with pytest.raises(RefusedError, match="no ref was moved"):
            journal.publish(git, [refs.Update(REF, head, head)], None)


def forge(repo, by="alice", **changes):
    """Put a decision of any content at the head of the chain."""
    with Git(str(repo.root)) as git:
        now = live.chain(git, live.heads(git, "prod")[NAME], environment="prod", prompt=NAME)[0]
        made = {
            "environment": "prod",
            "prompt": NAME,
            "action": live.PROMOTE,
            "tag": now.tag,
            "tag_object": now.tag_object,
            "manifest": now.manifest,
            "left": None,
            "reason": "forged",
            "repository": now.repository,
            "before": now,
        }
        oid = live.write(git, str(repo.key(by)), **made | changes)
    repo.git("update-ref", REF, oid)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"by": "mallory"}, "not in allowed_signers"),
        ({"repository": "git+https://example.org/fork"}, "repository"),
        ({"tag": OLD}, "moved"),
        ({"manifest": "0" * 64}, "moved"),
        ({"environment": "staging"}, "staging"),
        ({"prompt": "other"}, "other"),
        ({"before": None}, "decision 2"),
    ],
)
def test_forged_decision_is_not_served(serving, changes, reason):
    assert snapshot(serving).load(NAME).version == "1.1.0"
    forge(serving, **changes)
    message = snapshot(serving, code=1)
    assert reason in message
    # The application goes on with what was good.
    assert Snapshot(str(serving.root / "snapshot.json")).load(NAME).version == "1.1.0"


def test_release_left_behind_cannot_be_forged_back(serving):
    decide(serving, "rollback", NAME)
    with Git(str(serving.root)) as git:
        object_id = git.object(f"refs/tags/{NEW}").oid
    forge(serving, tag=NEW, tag_object=object_id, manifest=releasing.manifest_of(serving).previous.digest)
    assert "serves prompt/support/reply@v1.1.0 again" in snapshot(serving, code=1)


def test_forged_rollback_neither_counts_nor_is_built_upon(serving):
    good = serving.git("rev-parse", REF)
    forge(serving, by="mallory", action=live.ROLLBACK, tag=OLD, left=NEW)
    forged = serving.git("rev-parse", REF)
    for command in ("promote", "rollback"):
        message = decide(serving, command, NAME, code=1)
        assert "not in allowed_signers" in message
        assert f"number 2 for {NEW}: git update-ref {REF} {good} {forged}" in message
    # Even where somebody who may decide went on from there, it took nothing away.
    with Git(str(serving.root)) as git:
        before = live.chain(git, forged, environment="prod", prompt=NAME)[0]
    forge(serving, tag=OLD, before=before)
    assert decide(serving, "promote", f"{NAME}@1.1.0")["sequence"] == 5
    assert snapshot(serving).load(NAME).version == "1.1.0"


@pytest.mark.parametrize(("content", "step"), [("1" * 40, f"update-ref -d {REF}"), ("junk", f"--git-path {REF}")])
def test_corrupt_live_ref_is_named_with_the_next_step(serving, content, step):
    (serving.root / ".git" / REF).write_text(f"{content}\n")
    assert step in decide(serving, "promote", NAME, code=3)


def test_chain_that_a_stranger_began_is_to_be_deleted(released):
    decide(released, "promote", NAME)
    forge(released, by="mallory", before=None)
    assert f"git update-ref -d {REF} {released.git('rev-parse', REF)}" in decide(released, "promote", NAME, code=1)


def test_ordinary_commit_is_no_decision(serving):
    serving.git("update-ref", REF, "HEAD")
    assert "decision" in snapshot(serving, code=1)


def test_older_head_does_not_replace_a_newer_snapshot(serving):
    older = serving.git("rev-parse", f"{REF}~1")
    snapshot(serving)
    serving.git("update-ref", REF, older)
    assert "earlier one" in snapshot(serving, code=1)


def test_snapshot_goes_into_a_file_only(serving, tmp_path):
    def write(path, code):
        return serving.promptops("snapshot", "--env", "prod", "-o", str(path), check=code).stderr

    assert f"mkdir -p {tmp_path / 'none'}" in write(tmp_path / "none/snapshot.json", 3)
    os.mkfifo(tmp_path / "pipe")
    assert "no regular file" in write(tmp_path / "pipe", 3)
    assert "no regular file" in write("/dev/zero", 3)
    (tmp_path / "link.json").symlink_to("target.json")
    write(tmp_path / "link.json", 0)
    assert (tmp_path / "link.json").is_symlink()
    assert Snapshot(str(tmp_path / "target.json")).load(NAME).version == "1.1.0"


def test_moved_tag_is_not_served(serving):
    serving.git("update-ref", f"refs/tags/{NEW}", serving.git("rev-parse", OLD))
    assert "does not verify" in snapshot(serving, code=1)


def test_decision_is_pushed_first_and_only_from_where_it_was_seen(serving, tmp_path):
    serving.clone(tmp_path / "remote.git", "--mirror")
    serving.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    other = serving.clone(tmp_path / "other")
    other.git("fetch", "-q", str(serving.root), "refs/promptops/*:refs/promptops/*")
    other.git("remote", "set-url", "origin", str(tmp_path / "remote.git"))
    assert decide(serving, "rollback", NAME, "--push")["sequence"] == 3
    assert serving.git("ls-remote", "origin", REF).split()[0] == serving.git("rev-parse", REF)
    before = other.git("rev-parse", REF)
    told = decide(other, "promote", f"{NAME}@1.0.0", "--push", code=1)
    assert "rejected" in told
    # One error of ours, and nothing of what git prints around a push.
    assert not [line for line in told.splitlines() if line.startswith(("To ", "!", "hint:", "error: failed to push"))]
    assert other.git("rev-parse", REF) == before


def test_what_a_hook_of_the_remote_says_is_passed_on(serving, tmp_path):
    serving.clone(tmp_path / "remote.git", "--mirror")
    serving.git(
        "remote", "set-url" if "origin" in serving.git("remote") else "add", "origin", str(tmp_path / "remote.git")
    )
    hook = tmp_path / "remote.git" / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'never on a Friday'\nexit 1\n")
    hook.chmod(0o755)
    before = serving.git("rev-parse", REF)
    told = decide(serving, "rollback", NAME, "--push", code=1)
    assert "origin rejected the push" in told
    assert "never on a Friday" in [line.strip() for line in told.splitlines()]
    assert "next: do what" in told
    assert "remote:" not in told
    assert serving.git("rev-parse", REF) == before


def test_blame_tells_what_was_live_at_a_time(serving):
    with Git(str(serving.root)) as git:
        first = live.chain(git, live.heads(git, "prod")[NAME], environment="prod", prompt=NAME)[-1]
    rows = json.loads(serving.cli("blame", "--env", "prod", "--at", str(first.time - 1), "--json").out)
    assert rows == []
    rows = json.loads(serving.cli("blame", NAME, "--env", "prod", "--json").out)
    assert [(row["tag"], row["reason"]) for row in rows] == [(NEW, "because")]
    for wrong in ("yesterday", "9" * 5000, ""):
        done = serving.cli("blame", "--env", "prod", "--at", wrong)
        assert (done.code, "is no time" in done.err) == (2, True)


def test_reason_is_required_and_bounded(released):
    done = released.promptops("promote", NAME, "--env", "prod", "--reason", " ", check=2)
    assert "reason" in done.stderr
    assert released.promptops("promote", NAME, "--env", "prod", check=2).stdout == ""


def test_watch_writes_again_when_something_changes_and_survives_failures(serving):
    path = serving.root / "snapshot.json"
    running = releasing.start(serving, "snapshot", "--env", "prod", "-o", str(path), "--watch", "--interval", "0.1")
    try:
        releasing.wait_until(lambda: path.exists() or running.poll() is not None)
        served = Snapshot(str(path))
        assert served.load(NAME).version == "1.1.0"
        head = serving.git("rev-parse", REF)
        forge(serving, by="mallory")
        serving.git("update-ref", REF, head)
        decide(serving, "rollback", NAME)
        releasing.wait_until(lambda: served.load(NAME).version == "1.0.0" or running.poll() is not None)
        assert served.load(NAME).version == "1.0.0"
    finally:
        running.terminate()
        running.wait()


def gone(repo, name, how):
    """A version of the policy without somebody, without the role, or with a new key in place of the old one."""
    if how == "removed":
        repo.cli("policy", "remove", name)
    elif how == "rotated":
        repo.cli("key", "rotate", name, f"{repo.key(name + '-new')}.pub")
    else:
        repo.cli("key", "revoke", name)
    reviewing.new_policy(repo, sign_by="bob")


@pytest.mark.parametrize("how", ["removed", "rotated"])
def test_somebody_else_decides_again_when_who_decided_is_gone(serving, how):
    gone(serving, "alice", how)
    message = snapshot(serving, code=1)
    assert "decided by somebody who may not do so any more" in message
    assert f"promptops promote {NAME}@1.1.0 --env prod" in message
    assert decide(serving, "promote", f"{NAME}@1.1.0", by="bob")["sequence"] == 3
    assert snapshot(serving).load(NAME).version == "1.1.0"


def test_a_rollback_stays_final_when_who_decided_is_gone(serving):
    decide(serving, "rollback", NAME)
    gone(serving, "alice", "removed")
    assert "final" in decide(serving, "promote", f"{NAME}@1.1.0", code=1, by="bob")
    assert decide(serving, "promote", f"{NAME}@1.0.0", by="bob")["tag"] == OLD
    assert "final" in decide(serving, "promote", f"{NAME}@1.1.0", code=1, by="bob")
    assert snapshot(serving).load(NAME).version == "1.0.0"


def test_nothing_is_built_on_a_decision_of_a_revoked_key(serving):
    gone(serving, "alice", "revoked")
    assert "is revoked" in decide(serving, "promote", f"{NAME}@1.1.0", code=1, by="bob")


def test_what_was_made_before_a_move_stays_good(serving):
    serving.cli("policy", "move", "git+https://example.org/elsewhere")
    reviewing.new_policy(serving)
    assert failed(serving, code=0) == set()
    assert snapshot(serving).load(NAME).version == "1.1.0"
    assert decide(serving, "rollback", NAME)["sequence"] == 3
    assert "final" in decide(serving, "promote", f"{NAME}@1.1.0", code=1)
    forge(serving, repository="git+https://example.org/fork")
    assert "repository git+https://example.org/fork" in snapshot(serving, code=1)


@pytest.fixture
def three(serving):
    """A repository in which `reply`, whose release was withdrawn, and `close` are live, and `greet` is released."""
    for name in ("close", "greet"):
        serving.write(f"prompts/support/{name}.yaml", prompt(f"Say {name}."))
    serving.commit("More prompts")
    serving.promptops("release", "--no-canary", "tested by hand")
    decide(serving, "promote", "support/close")
    snapshot(serving)
    serving.promptops("withdraw", f"{NAME}@1.1.0", "--reason", "flatters")
    return serving


def test_one_bad_prompt_keeps_its_entry_and_stops_no_other(three):
    before = json.loads(three.read("snapshot.json"))
    serialized = serialize("prod", 1000, before["prompts"])
    three.write("snapshot.json", serialized)
    # Nothing else has changed, so nothing is written.
    assert f"serves {NEW}, which does not verify" in snapshot(three, code=1)
    assert three.read("snapshot.json").encode() == serialized
    decide(three, "promote", "support/greet")
    three.write("prompts/support/close.yaml", prompt("Say it again.", version="1.1.0"))
    three.commit("Close")
    three.promptops("release", "--no-canary", "tested by hand")
    decide(three, "promote", "support/close")
    assert f"serves {NEW}, which does not verify" in snapshot(three, code=1)
    served = Snapshot(str(three.root / "snapshot.json"), max_age=3600)
    assert served.load("support/greet").version == "1.0.0"
    assert served.load("support/close").version == "1.1.0"
    assert json.loads(three.read("snapshot.json"))["prompts"][NAME] == before["prompts"][NAME]
    # Not everything was verified again, so the age goes on.
    assert served.stale
    decide(three, "rollback", NAME)
    assert not snapshot(three).stale
    assert json.loads(three.read("snapshot.json"))["created"] > 1000


def test_bad_prompt_without_a_good_entry_is_left_out(three):
    text = three.read("snapshot.json")
    three.write("snapshot.json", text.replace('"created"', '"Created"'))
    snapshot(three, code=1)
    assert list(json.loads(three.read("snapshot.json"))["prompts"]) == ["support/close"]
    done = three.promptops("snapshot", "--env", "prod", check=1)
    assert (done.stdout, "does not verify" in done.stderr) == ("", True)


def test_ref_that_was_turned_back_stops_no_other(three):
    decide(three, "rollback", NAME)
    snapshot(three)
    three.git("update-ref", REF, f"{REF}~1")
    decide(three, "promote", "support/greet")
    snapshot(three, code=1)
    served = Snapshot(str(three.root / "snapshot.json"))
    assert (served.load(NAME).version, served.load("support/greet").version) == ("1.0.0", "1.0.0")


@pytest.fixture
def watch(serving):
    """Starts a watch that writes ``snapshot.json``, and ends it after the test."""
    running = []

    def start():
        words = ("--env", "prod", "-o", str(serving.root / "snapshot.json"), "--watch", "--interval", "0.1")
        running.append(releasing.start(serving, "snapshot", *words, stderr=subprocess.PIPE))
        return running[-1]

    yield start
    for process in running:
        process.terminate()
        process.communicate()


def test_watch_renews_a_file_that_grows_old_or_vanishes(serving, watch):
    path = serving.root / "snapshot.json"
    process = watch()
    assert "wrote 1 prompt" in process.stderr.readline()
    prompts = json.loads(path.read_text())["prompts"]
    new = path.with_suffix(".new")
    new.write_bytes(serialize("prod", 1000, prompts))
    new.replace(path)
    assert "wrote 1 prompt" in process.stderr.readline()
    assert not Snapshot(str(path), max_age=3600).stale
    path.unlink()
    assert "wrote 1 prompt" in process.stderr.readline()
    assert Snapshot(str(path)).load(NAME).version == "1.1.0"


def test_watch_goes_on_when_there_is_no_room(serving, watch):
    snapshot(serving)
    before = serving.read("snapshot.json")
    serving.write(PROMPT, prompt("So long. " * 1000, version="1.2.0"))
    serving.commit("Long")
    serving.promptops("release", "--no-canary", "tested by hand")
    decide(serving, "promote", NAME)
    with no_room(5000):
        process = watch()
    assert "File too large" in process.stderr.readline()
    assert "make room" in process.stderr.readline()
    assert process.poll() is None
    assert serving.read("snapshot.json") == before
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    # It was said once, though there was no room at any look.
    assert "wrote 1 prompt" in process.stderr.readline()
    assert "all is well again" in process.stderr.readline()
    assert Snapshot(str(serving.root / "snapshot.json")).load(NAME).version == "1.2.0"
