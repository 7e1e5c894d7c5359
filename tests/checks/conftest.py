"""Judging a change of a small registry through the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from support import Repo


class Found(NamedTuple):
    rule: str
    path: str
    line: int
    severity: str
    message: str


class Judge:
    """Stages files in a repository with the prompt ``reply`` 1.0.0 and the model ``gpt``, and checks them."""

    def __init__(self, repo: Repo) -> None:
        self.repo = repo

    def stage(self, **files: str | bytes | None) -> None:
        for path, text in files.items():
            if text is None:
                self.repo.git("rm", "-q", "--", path)
            else:
                self.repo.write(path, text)
        self.repo.git("add", "-A")

    def check(self, *args: str) -> list[Found]:
        done = self.repo.cli("check", "--json", *args)
        report = json.loads(done.out)
        found = [Found(*(each[key] for key in Found._fields)) for each in report["findings"]]
        assert done.code == int(any(each.severity == "block" for each in found)), done.err
        return found

    def __call__(self, **files: str | bytes | None) -> list[Found]:
        self.stage(**files)
        return self.check("--staged")

    def places(self, rule: str, **files: str | bytes | None) -> list[tuple[str, int]]:
        return [(each.path, each.line) for each in self(**files) if each.rule == rule]

    def release(self, version: str, name: str = "reply") -> None:
        self.repo.git("commit", "-q", "--allow-empty", "-m", "Release")
        self.repo.git("tag", "--no-sign", "-a", "-m", "release", f"prompt/{name}@v{version}")


@pytest.fixture
def judge(registry: Repo) -> Judge:
    return Judge(registry)
