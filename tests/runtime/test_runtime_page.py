"""docs/runtime.md: its Python runs from top to bottom, and what it says of variables and arguments is so."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

from serving import ramp

from promptops.runtime import Snapshot, choosing, document, snapshot

PAGE = (Path(__file__).parents[2] / "docs" / "runtime.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_runs(tmp_path):
    made = ramp("50%")
    data = document.serialize("prod", 1000, {"support/reply": made})
    (tmp_path / "snapshot.json").write_bytes(data)
    assert len(BLOCKS) == 4
    code = "\n".join([*BLOCKS, "assert healthy", "print(request['messages'][0]['content'])"])
    env = os.environ | {"PROMPTOPS_SNAPSHOT": str(tmp_path / "snapshot.json")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].endswith("My parcel has not arrived.")
    assert (tmp_path / "promptops-events").is_dir()


def test_the_page_names_every_variable_argument_and_reason():
    rows = dict(re.findall(r"^\| `(PROMPTOPS_\w+)`, `(\w+)` \|", PAGE, re.MULTILINE))
    assert set(rows) == {snapshot.VARIABLE, snapshot.MAX_AGE, snapshot.SIGNERS, snapshot.GOOD}
    assert set(rows.values()) == set(inspect.signature(Snapshot).parameters) - {"sessions"}
    reasons = {choosing.SPLIT, choosing.DEFAULT, choosing.STICKY, choosing.OVERRIDE}
    assert set(re.findall(r"^\| `([A-Z]+)` \|", PAGE, re.MULTILINE)) == reasons
    assert f"{inspect.signature(Snapshot).parameters['sessions'].default:,} sessions" in PAGE
