"""The shipped hooks are well formed; the runners accept unknown keys in silence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from yaml_hooks import ROOT, shipped

KEYS = {
    "id", "name", "description", "entry", "language", "always_run", "pass_filenames", "require_serial", "stages",
    "minimum_pre_commit_version",
}  # fmt: skip
STAGES = {"pre-commit", "pre-merge-commit", "pre-push", "manual"}


def test_the_runner_accepts_manifest_and_configuration():
    tool = Path(sys.executable).parent / "pre-commit"
    for command in ("validate-manifest", "validate-config"):
        subprocess.run([tool, command], cwd=ROOT, check=True)


@pytest.mark.parametrize("hook", shipped(), ids=lambda hook: hook["id"])
def test_every_hook_sees_deletions_and_says_when_it_runs(hook):
    assert set(hook) == KEYS
    assert (hook["always_run"], hook["pass_filenames"], hook["language"]) == (True, False, "python")
    assert set(hook["stages"]) <= STAGES
    assert hook["minimum_pre_commit_version"] == "3.2.0"


@pytest.mark.parametrize("hook", shipped(), ids=lambda hook: hook["id"])
def test_every_entry_is_a_command_that_exists(hook, registry):
    done = registry.promptops(*hook["entry"].split()[1:], check=None)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("hook", shipped(), ids=lambda hook: hook["id"])
def test_no_hook_waits_for_the_command_line_library(hook, registry):
    done = registry.promptops(*hook["entry"].split()[1:], PYTHONPROFILEIMPORTTIME="1")
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "promptops.repo.git" in imported
    assert "click" not in imported


def test_ids_are_stable():
    assert [hook["id"] for hook in shipped()] == [
        "promptops-check",
        "promptops-bump",
        "promptops-reviewed",
        "promptops-policy",
    ]
