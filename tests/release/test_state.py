"""The verifier's own memory: what a clone that was put back, or a tag that was made again, cannot make it forget."""

from __future__ import annotations

import json
import shutil

import pytest
import releasing
import reviewing
from releasing import NEW, OLD, PROMPT, checks, failed
from support import prompt

NEWEST = "prompt/support/reply@v1.2.0"


@pytest.fixture
def state(tmp_path):
    return tmp_path / "seen.json"


def refusal(repo, check, state, tag=NEW, *args):
    found = checks(repo, tag, "--state", str(state), *args)
    assert [name for name, each in found.items() if not each["ok"]] == [check]
    return found[check]["detail"]


def good(repo, state, tag=NEW, *args):
    found = checks(repo, tag, "--state", str(state), *args, code=0)
    return {name: each["detail"] for name, each in found.items()}


def more(repo, version="1.2.0", text="Once more."):
    repo.write(PROMPT, prompt(text, version=version))
    repo.commit("More")
    repo.promptops("release", "--no-canary", "third")


def drop(repo, *tags):
    for tag in tags:
        repo.git("update-ref", "-d", f"refs/tags/{tag}")


def new_policy(repo, version, revoked=""):
    repo.write(".promptops/revoked_keys", revoked)
    text = repo.read(".promptops/policy.yaml").replace(f"version: {version - 1}\n", f"version: {version}\n")
    reviewing.new_policy(repo, text, sign_by="bob")


def test_old_and_new_releases_verify_in_any_order(released, state):
    assert good(released, state)["seen sequence"] == "the first of its prompt that is seen"
    assert good(released, state)["seen tag"] == "as seen before"
    assert good(released, state, OLD)["seen sequence"] == "number 1; the highest seen before is 2"
    more(released)
    assert good(released, state, NEWEST)["seen sequence"] == "number 3; the highest seen before is 2"
    assert good(released, state, OLD)["state"] == "3 releases of this repository"


def test_nothing_is_remembered_without_being_asked_or_verified(released, state, tmp_path):
    assert "state" not in checks(released, code=0)
    released.git("update-ref", f"refs/tags/{NEW}", released.git("rev-parse", OLD))
    found = checks(released, NEW, "--state", str(state))
    assert found["state"]["detail"] == "nothing was remembered"
    assert not [path for path in tmp_path.iterdir() if path.name == "seen.json"]


def test_variable_names_the_file(released, state):
    done = released.promptops("verify", NEW, "--json", PROMPTOPS_VERIFY_STATE=str(state))
    assert json.loads(done.stdout)["checks"][-1]["name"] == "state"
    (repository,) = json.loads(state.read_text())["repositories"].values()
    oid = released.git("rev-parse", NEW)
    assert repository["releases"]["support/reply"][NEW]["object"] == oid
    assert repository["policy"]["version"] == 1


def test_clone_that_was_put_back(released, state, tmp_path):
    before = shutil.copytree(released.root, tmp_path / "before")
    more(released)
    good(released, state, NEWEST)
    old = type(released)(before, released.home, released.people)
    assert f"{NEWEST}, number 3, was seen before and is not in this clone" in refusal(old, "seen sequence", state)


def test_moved_tag(released, state):
    good(released, state)
    releasing.rewrite(released, lambda predicate: predicate.update(created="2020-01-01T00:00:00Z"))
    assert failed(released, code=0) == set()
    found = checks(released, NEW, "--state", str(state))
    assert {name for name, each in found.items() if not each["ok"]} == {"seen tag", "seen sequence"}
    assert "the tag was moved, or deleted and made again" in found["seen tag"]["detail"]


def test_number_that_another_release_had(released, state):
    """The newest release is deleted and another version takes its number."""
    good(released, state)
    drop(released, NEW)
    released.write(PROMPT, prompt("Be brief.", version="1.1.1"))
    released.commit("Another")
    released.promptops("release", "--no-canary", "again")
    tag = "prompt/support/reply@v1.1.1"
    assert failed(released, tag, code=0) == set()
    assert f"{NEW}, number 2, was seen before" in refusal(released, "seen sequence", state, tag)
    # Even beside the one that was seen.
    (released.root / ".git/refs/tags" / NEW).write_text(seen_object(state) + "\n")
    found = checks(released, tag, "--state", str(state))
    assert "is not the number 2 that" in found["seen sequence"]["detail"]


def seen_object(state, tag=NEW):
    (repository,) = json.loads(state.read_text())["repositories"].values()
    return repository["releases"]["support/reply"][tag]["object"]


def test_policy_that_went_back(released, state, tmp_path):
    before = shutil.copytree(released.root, tmp_path / "before")
    new_policy(released, 2)
    assert good(released, state)["seen policy"] == "version 2"
    old = type(released)(before, released.home, released.people)
    assert "back at version 1; version 2 was seen before" in refusal(old, "seen policy", state)


def test_policy_that_forked(released, state, tmp_path):
    other = type(released)(shutil.copytree(released.root, tmp_path / "other"), released.home, released.people)
    new_policy(released, 2)
    good(released, state)
    new_policy(other, 2, f"{released.public_key('mallory')}\n")
    assert "version 2 of the policy is another one" in refusal(other, "seen policy", state)


def test_revocation_that_vanished(released, state, tmp_path):
    """The whole branch was rewritten, so that its history cannot tell."""
    before = shutil.copytree(released.root, tmp_path / "before")
    new_policy(released, 2, f"{released.public_key('mallory')}\n")
    good(released, state)
    document = json.loads(state.read_text())
    (repository,) = document["repositories"].values()
    repository["policy"] = {"version": 1, "digest": checks(released, code=0)["policy chain"]["detail"]}
    state.write_text(json.dumps(document))
    old = type(released)(before, released.home, released.people)
    assert "was revoked when seen before, and is not any more" in refusal(old, "seen revocations", state)


def test_withdrawal_that_vanished(released, state):
    good(released, state)
    released.promptops("withdraw", NEW, "--reason", "bad")
    assert refusal(released, "not withdrawn", state).startswith(f"{NEW} was withdrawn")
    drop(released, f"{NEW}!")
    assert failed(released, code=0) == set()
    assert refusal(released, "seen tag", state).startswith("it was withdrawn when seen before")


def test_another_root_under_the_same_name(released, state):
    good(released, state)
    document = state.read_text()
    root = checks(released, code=0)["policy chain"]["detail"]
    state.write_text(document.replace(root, "sha256:" + "0" * 64))
    assert f"had the root sha256:{'0' * 64} before, not {root}" in refusal(released, "seen root", state)
    assert good(released, state, NEW, "--root", root)


def test_bundle_without_its_tag(released, state, tmp_path):
    lines = releasing.bundle.extract(releasing.tagobject.parse_tag(releasing.raw(released)).message)
    (tmp_path / "bundle").write_bytes(lines)
    assert good(released, state, str(tmp_path / "bundle"))["seen tag"] == "not seen before"
    assert good(released, state)["seen tag"] == "as seen before"
    assert good(released, state, str(tmp_path / "bundle"))["seen tag"] == "as seen before"
    assert seen_object(state) == released.git("rev-parse", NEW)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text[:-9], "is damaged"),
        (lambda text: "", "is damaged"),
        (lambda text: "[]", "is damaged"),
        (lambda text: text.replace('"sequence": 2', '"sequence": "2"'), "is damaged"),
        (lambda text: text.replace('"version": 1\n}', '"version": 2\n}'), "has version 2"),
    ],
)
def test_damaged_file_is_not_taken_for_an_empty_one(released, state, change, reason):
    good(released, state)
    text = state.read_text()
    assert change(text) != text
    state.write_text(change(text))
    found = checks(released, NEW, "--state", str(state), code=3)
    assert reason in found["state"]["detail"]
    assert state.read_text() == change(text)


def test_file_that_cannot_be_written(released, tmp_path):
    found = checks(released, NEW, "--state", str(tmp_path / "none" / "seen.json"), code=3)
    assert "cannot use the state file: No such file or directory" in found["state"]["detail"]


def test_verifiers_at_once_forget_nothing(released, state):
    for number in range(2, 5):
        more(released, f"1.{number}.0", f"Text {number}.")
    tags = [f"prompt/support/reply@v1.{number}.0" for number in range(5)]
    running = [releasing.start(released, "verify", tag, "--state", str(state)) for tag in tags]
    assert [process.wait(timeout=240) for process in running] == [0] * 5
    (repository,) = json.loads(state.read_text())["repositories"].values()
    assert sorted(repository["releases"]["support/reply"]) == tags
