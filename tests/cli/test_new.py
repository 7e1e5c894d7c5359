"""new: drafts that are valid as written and never overwrite."""

from __future__ import annotations

import json

import pytest
from support import no_room

from promptops.registry import scaffold


def test_new_prompt_uses_the_model_that_exists(registry):
    assert registry.cli("new", "prompt", "support/triage") == (0, "prompts/support/triage.yaml\n", "")
    shown = json.loads(registry.cli("show", "support/triage", "--json").out)
    assert (shown["version"], shown["model"]["name"]) == ("0.1.0", "gpt")
    assert registry.cli("fmt", "--check").code == 0


@pytest.mark.parametrize(
    ("name", "pinned"), [("gpt-4o-2024-11-20", True), ("claude-20250101", True), ("gpt-4o", False)]
)
def test_new_model_is_pinned_when_its_id_is_dated(repo, name, pinned):
    assert repo.cli("new", "model", name).out == f"models/{name}.yaml\n"
    assert repo.cli("new", "prompt", "a", "--model", name).code == 0
    assert json.loads(repo.cli("show", "a", "--json").out)["model"]["id"] == name
    assert f"pinned: {'true' if pinned else 'false'} " in repo.read(f"models/{name}.yaml")


def test_new_needs_a_model_first(repo):
    result = repo.cli("new", "prompt", "a")
    assert result.code == 2
    assert "promptops new model NAME" in result.err


@pytest.mark.parametrize(
    "args",
    [
        ("prompt", "Bad_Name"),
        ("prompt", ""),
        ("model", "a b"),
        ("prompt", "../x"),
        ("prompt", "a//b"),
        ("model", "../x"),
        ("model", ""),
    ],
)
def test_names_that_nothing_can_have(registry, args):
    before = registry.git("status", "--porcelain")
    done = registry.cli("new", *args)
    assert (done.code, f"is not a {args[0]} name" in done.err) == (2, True)
    assert registry.git("status", "--porcelain") == before


@pytest.mark.parametrize("template", sorted(scaffold.SUITES))
def test_new_suite_writes_one_that_ships(registry, template):
    done = registry.cli("new", "suite", "mine", "--from", template)
    assert (done.code, done.out) == (0, "evals/mine.yaml\n")
    written = registry.read("evals/mine.yaml")
    assert registry.cli("new", "suite", "mine", "--from", template).code == 2
    assert registry.read("evals/mine.yaml") == written
    registry.git("add", "-A")
    assert registry.cli("check", "--staged").code == 0


def test_new_suite_names_what_ships(registry):
    done = registry.cli("new", "suite", "mine", "--from", "all")
    assert (done.code, "no suite all ships" in done.err, "are-you-sure, false-premise" in done.err) == (2, True, True)
    assert registry.cli("new", "suite", "a/b", "--from", "safety").code == 2
    assert not (registry.root / "evals" / "mine.yaml").exists()


def test_new_never_overwrites(registry):
    before = registry.read("prompts/reply.yaml")
    result = registry.cli("new", "prompt", "reply")
    assert (result.code, registry.read("prompts/reply.yaml")) == (2, before)
    assert "prompts/reply.yaml" in result.err


def test_new_does_not_follow_a_symlink_out(registry, tmp_path):
    (tmp_path / "outside").mkdir()
    (registry.root / "prompts" / "link").symlink_to(tmp_path / "outside")
    assert registry.cli("new", "prompt", "link/x").code == 3
    assert list((tmp_path / "outside").iterdir()) == []


def test_new_leaves_nothing_behind_where_there_is_no_room(registry):
    with no_room(), pytest.raises(OSError, match="large"):
        scaffold.write(str(registry.root), scaffold.NewFile("prompts/big.yaml", b"x" * 10_000))
    assert not (registry.root / "prompts/big.yaml").exists()


def test_new_says_which_file_is_in_the_way(registry):
    registry.write("prompts/support", "a file")
    done = registry.cli("new", "prompt", "support/reply")
    assert done.code == 3
    assert "prompts/support/reply.yaml: a file is in the way" in done.err


def test_new_rollout_writes_a_plan_that_passes_and_can_be_simulated(registry):
    done = registry.cli("new", "rollout", "reply")
    assert (done.code, done.out) == (0, "rollouts/reply.yaml\n")
    registry.git("add", "-A")
    checked = registry.cli("check", "--staged")
    assert (checked.code, "PO" in checked.out) == (0, False)
    assert registry.cli("rollout", "simulate", "reply", "--runs", "1").code == 0
    assert registry.cli("new", "rollout", "reply").code == 2
    assert registry.cli("new", "rollout", "Bad_Name").code == 2
    assert registry.cli("new", "rollout", "other", "--env", "nowhere").code == 2
