"""The quick start of the README, line by line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from support import make_repo

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_the_quick_start_runs(tmp_path):
    block = next(body for body in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "promptops init --solo" in body)
    lines = [line for line in block.splitlines() if not line.startswith("pip install")]
    person = make_repo(tmp_path)
    # A function stands for the installed command, so that the package under test is the one that runs.
    script = f'set -eu\npromptops() {{ "{sys.executable}" -m promptops "$@"; }}\n' + "\n".join(lines)
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=person.env(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Is my plan good?" in done.stdout
    assert "assistant 1.0.0  unreleased, approved" in done.stdout
    assert "0 findings" in done.stdout + done.stderr
