from __future__ import annotations

import pytest
from support import MODEL, PROMPT, changed

REPLY = "prompts/reply.yaml"


@pytest.mark.parametrize(
    "path",
    ["prompts/Reply.yaml", "prompts/a b.yaml", "prompts/x.yml", "models/x.yml", "models/a/b.yaml", "prompts/ü.yaml"],
)
def test_finds(judge, path):
    assert judge.places("PO102", **{path: MODEL if path.startswith("models") else PROMPT}) == [(path, 1)]


@pytest.mark.parametrize("path", ["prompts/link.yaml", "prompts/tone.md", "models/x.yaml", "prompts"])
def test_finds_symbolic_links(judge, path):
    if path == "prompts":
        judge.repo.git("mv", "prompts", "elsewhere")
    (judge.repo.root / path).symlink_to("/etc/hostname")
    assert (path, 1) in judge.places("PO102")


def test_finds_submodules(judge):
    head = judge.repo.git("rev-parse", "HEAD")
    judge.repo.git("update-index", "--add", "--cacheinfo", f"160000,{head},prompts/vendor")
    judge.repo.write(".gitmodules", '[submodule "v"]\n\tpath = prompts/vendor\n\turl = ../v\n\tignore = all\n')
    judge.repo.git("add", ".gitmodules")
    assert [each.path for each in judge.check("--staged")] == ["prompts/vendor"]


def test_finds_large_files(judge):
    assert judge.places("PO102", **{"prompts/shared/big.md": "x" * (4 * 2**20 + 1)}) == [("prompts/shared/big.md", 1)]


@pytest.mark.parametrize("path", [REPLY, "models/gpt.yaml", "evals/safety.yaml", "promptops.yaml"])
def test_a_large_file_that_is_read_as_yaml_is_found_once(judge, path):
    found = [each for each in judge(**{path: "# " + "x" * 2**22}) if "bytes" in each.message]
    assert [(each.rule, each.path) for each in found] == [("PO101", path)]


@pytest.mark.parametrize("path", ["prompts/a/b-2.yaml", "prompts/shared/Tone of Voice.md"])
def test_is_silent(judge, path):
    assert judge(**{path: changed(version='"1.0.0"')}) == []
