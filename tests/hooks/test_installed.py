"""The hooks as a team installs them: from a repository and a revision, into an environment of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import PROMPT
from yaml_hooks import ROOT, shipped

TOOLS = Path(sys.executable).parent
SHIPPED = ("promptops", "schemas", "templates", "pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml")
BAD = PROMPT.replace("{{ ticket }}", "{{ tiket }}")


def environment(tmp_path: Path) -> dict[str, str]:
    """Whatever pip is configured with, and neither our package nor our command from where the tests run."""
    path = os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if Path(part) != TOOLS)
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}
    return kept | {"PATH": path, "PRE_COMMIT_HOME": str(tmp_path / "cache")}


def publish(folder: Path) -> str:
    """Make a repository of what is shipped, as it is here and now, and return its only commit."""
    folder.mkdir()
    for name in SHIPPED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    for command in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "Release")):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True).stdout


def reaches_an_index(folder: Path) -> bool:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-cache-dir", "-d", str(folder), "click"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


# A slow index or machine is no finding.
@pytest.mark.timeout(900)
def test_the_hooks_work_from_the_environment_that_their_manifest_makes(registry, tmp_path):
    source = tmp_path / "source"
    ids = "".join(f"      - id: {hook['id']}\n" for hook in shipped())
    revision = publish(source)
    registry.write(".pre-commit-config.yaml", f"repos:\n  - repo: {source}\n    rev: {revision}    hooks:\n{ids}")
    registry.git("add", "-A")
    env = environment(tmp_path)

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        command = [str(TOOLS / "pre-commit"), *args]
        return subprocess.run(command, cwd=registry.root, env=env, check=False, capture_output=True, text=True)

    made = run("install-hooks")
    if made.returncode and not reaches_an_index(tmp_path):
        pytest.skip("no package index is reachable, so pre-commit cannot make an environment")
    assert made.returncode == 0, made.stdout + made.stderr
    passed = run("run", "--all-files")
    assert passed.returncode == 0, passed.stdout + passed.stderr
    registry.write("prompts/reply.yaml", BAD)
    registry.git("add", "-A")
    stopped = run("run", "promptops-check")
    assert (stopped.returncode, "PO104" in stopped.stdout) == (1, True), stopped.stdout + stopped.stderr
    # The fixer needs what an edit of YAML needs too.
    registry.write("prompts/reply.yaml", PROMPT.replace("Answer the ticket.", "Answer it well."))
    registry.git("add", "-A")
    fixed = run("run", "promptops-bump")
    assert (fixed.returncode, 'version: "1.0.1"' in registry.read("prompts/reply.yaml")) == (1, True), fixed.stdout
