"""The bench that says how often canaries pass, in small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parents[2] / "bench" / "operating_characteristics.py"


def bench(*arguments):
    return subprocess.run([sys.executable, str(BENCH), *arguments], capture_output=True, text=True, check=False)


def test_without_recorded_replies_it_measures_nothing_in_their_place(tmp_path):
    done = bench("--data", str(tmp_path / "missing.jsonl.gz"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "there are no recorded replies" in done.stderr
    assert "--synthetic" in done.stderr


def test_canaries_on_recorded_replies_are_reproducible_and_tell_flattery():
    one, other = (bench("--canaries", "3", "--budget", "400") for _ in range(2))
    assert one.returncode == 0, one.stdout + one.stderr

    def rows(done):
        return {line[:24].strip(): line[24:].split()[:5] for line in done.stdout.splitlines() if "%  " in line}

    assert rows(one) == rows(other)
    assert rows(one)["same as baseline (A/A)"][:3] == ["100.0%", "0.0%", "0.0%"]
    assert rows(one)["flattering"][:3] == ["0.0%", "100.0%", "0.0%"]
    assert float(rows(one)["same as baseline (A/A)"][3]) >= 150


def test_replies_of_a_model_are_used_when_asked_for():
    done = bench("--synthetic", "--canaries", "2", "--budget", "400")
    assert done.stdout.startswith("synthetic: alpha 0.05")
