"""Repositories whose commits and pushes run the hooks under a real runner."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import yaml_hooks

if TYPE_CHECKING:
    from support import Repo

TYPES = ("pre-commit", "pre-merge-commit", "pre-push")
CONFIG = """\
default_install_hook_types: [pre-commit, pre-merge-commit, pre-push]
repos:
  - repo: local
    hooks:
{hooks}"""
HOOK = """\
      - id: {id}
        name: {id}
        entry: {entry}
        language: {language}
        always_run: true
        pass_filenames: false
        stages: {stages}
"""


class Hooked:
    """A repository with the prompt ``reply``, a bare remote, and hooks installed by one runner."""

    def __init__(self, repo: Repo, runner: str, *ids: str) -> None:
        self.repo = repo
        self.runner = runner
        # `system` became `unsupported`; the runners of this test know both.
        hooks = "".join(
            HOOK.format(
                id=hook["id"],
                entry=hook["entry"].replace("promptops", f"{sys.executable} -m promptops", 1),
                language="system",
                stages=f"[{', '.join(hook['stages'])}]",
            )
            for hook in yaml_hooks.shipped()
            if hook["id"] in ids
        )
        repo.write(".pre-commit-config.yaml", CONFIG.format(hooks=hooks))
        repo.git("init", "-q", "--bare", str(repo.root.parent / "remote.git"))
        repo.git("remote", "add", "origin", str(repo.root.parent / "remote.git"))
        repo.commit("Hooks", sign=False)
        self.run(runner, "install", *(f"--hook-type={each}" for each in TYPES), check=True)

    def run(self, *command: str, check: bool = False, **env: str) -> subprocess.CompletedProcess[str]:
        tools = Path(sys.executable).parent
        return subprocess.run(
            command,
            cwd=self.repo.root,
            env=self.repo.env()
            | {
                "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
                "PRE_COMMIT_HOME": str(self.repo.root.parent / "cache"),
            }
            | {"PREK_HOME": str(self.repo.root.parent / "prek"), "GIT_CONFIG_COUNT": "1"}
            | {"GIT_CONFIG_KEY_0": "commit.gpgsign", "GIT_CONFIG_VALUE_0": "false"}
            | env,
            capture_output=True,
            text=True,
            check=check,
            stdin=subprocess.DEVNULL,
        )

    def commit(self, *args: str, **files: str | None) -> subprocess.CompletedProcess[str]:
        for path, text in files.items():
            if text is None:
                self.repo.git("rm", "-q", "--", path)
            else:
                self.repo.write(path, text)
        self.repo.git("add", "-A")
        return self.run("git", "commit", "-q", "-m", "Change", *args)

    def push(self, *args: str) -> subprocess.CompletedProcess[str]:
        return self.run("git", "push", "-q", "origin", *args)
