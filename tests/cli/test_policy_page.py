"""docs/policy.md from its first command to its last, in one repository, by the people that it names."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from support import Repo, make_repo

PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()
# Sections whose own blocks bring the change onto main; the others leave that to the reader.
LANDED = {"Start", "Pin", "Every change"}
# Bob has another key by then.
KEYS = {"Rotate": {"bob": "bob-new"}}


def sections() -> dict[str, list[tuple[str, str]]]:
    """Who types what, by section."""
    parts = [part.partition("\n") for part in PAGE.split("\n## ")[1:]]
    blocks = {
        title: re.findall(r"^```sh\n# (\w+)\n(.*?)^```", body, re.MULTILINE | re.DOTALL) for title, _, body in parts
    }
    return {title: found for title, found in blocks.items() if found}


def run(repo: Repo, who: str, key: str, script: str) -> subprocess.CompletedProcess[str]:
    # A function stands for the installed command, so that the package under test is the one that runs.
    whole = f'set -eu\npromptops() {{ "{sys.executable}" -m promptops "$@"; }}\n{script}'
    env = repo.env(who) | {"PROMPTOPS_SIGNING_KEY": str(repo.key(key))}
    return subprocess.run(
        ["bash", "-c", whole],
        cwd=repo.root,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_the_page_runs_from_start_to_end(tmp_path):
    repo = make_repo(tmp_path, ("alice", "bob", "carol", "dave", "erin", "ci", "bob-new", "dave-new"))
    root, keys = "", {}
    said = {}
    for title, blocks in sections().items():
        for person, script in blocks:
            who = "alice" if person == "anybody" else person
            done = run(repo, who, keys.get(who, who), script.replace("sha256:...", root))
            assert done.returncode == 0, f"{title}, {person}:\n{done.stdout}{done.stderr}"
            root = root or re.search(r"^sha256:[0-9a-f]{64}$", done.stdout, re.MULTILINE).group()
            said[title] = said.get(title, "") + done.stdout + done.stderr
        if title not in LANDED:
            repo.commit(title, by="alice")
            assert repo.cli("policy", "verify", "--root", root).code == 0, title
        keys |= KEYS.get(title, {})
    assert said.keys() == set(re.findall(r"^## (.*)$", PAGE, re.MULTILINE)) - {"What is never a policy"}
    assert "0 findings" in said["Every change"]
    assert "(1 of 2)" in said["A lost root"]
    assert "(2 of 2)" in said["A lost root"]
    shown = repo.cli("policy", "show").out
    assert "git+https://example.org/new-team/prompts" in shown
    assert re.search(r"^roots +2 of alice, bob, dave$", shown, re.MULTILINE)
    assert not {"carol", "erin"} & set(re.findall(r"\w+", shown))
