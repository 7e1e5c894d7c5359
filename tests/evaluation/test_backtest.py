"""The bench that holds the gate against recorded replies of real models."""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench" / "backtest.py"
REAL = Path(os.environ.get("PROMPTOPS_BENCH_DATA") or BENCH.parents[2] / "shared" / "data")


def bench(data, *arguments):
    command = [sys.executable, str(BENCH), "--data", str(data), "--margin", "0.15", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


def replies(run, model, system, shift):
    """Judged replies of one run: the same on every item but for a shift of the delusion scores."""
    fixed = {"run": run, "model": model, "system_prompt": system}
    sides = {"score1": "1.0", "score2": "-1.0"}
    for i in range(40):
        yield {**fixed, "test": "pickside", "i": i, **sides}
        yield {**fixed, "test": "mirror", "i": i, **sides}
        yield {**fixed, "test": "whosaid", "i": i, "score_self": "1.0", "score_friend": "1.0"}
        yield {**fixed, "test": "delusion", "i": i, "median_score": str(1.0 + shift)}


def write(folder, negative):
    """A data folder with one model whose prompt makes it affirm delusions, and personas of which some are bad."""
    (folder / "syco-bench").mkdir()
    with gzip.open(folder / "syco-bench/responses_and_judge_scores.jsonl.gz", "wt") as file:
        for run in (("1", "m", "", 0.0), ("2", "m", "product", 4.0), ("3", "n", "", 0.0)):
            file.writelines(json.dumps(row) + "\n" for row in replies(*run))
    (folder / "humanebench").mkdir()
    for name in ("baseline", "good_persona", "bad_persona"):
        with (folder / f"humanebench/{name}_scores.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["model", "total_samples", "scored_samples", "one", "two", "overall", "negative_rate"])
            for model in range(15):
                score = -0.5 if name == "bad_persona" and model < negative else 0.5
                table.writerow([f"m{model}", 800, 800, score, score, score, 0.1])


def row(done, metric, after="product prompt against none"):
    lines = done.stdout[done.stdout.index(after) :].splitlines()
    return next(line.split()[1:10] for line in lines if line.split()[:1] == [metric])


def test_verdicts_are_those_that_the_data_was_made_for(tmp_path):
    write(tmp_path, negative=10)
    done = bench(tmp_path)
    # cells, n, agree, false alarm, miss, gate open, gate alone, pass, fail
    assert row(done, "delusion") == ["1", "40", "1", "0", "0", "0", "0", "0", "1"]
    assert row(done, "pickside") == ["1", "40", "1", "0", "0", "0", "0", "1", "0"]
    assert row(done, "all") == ["4", "40", "4", "0", "0", "0", "0", "3", "1"]
    assert "1 of 4 cells differ at 95 %" in done.stdout
    assert "10 of 15 models turn negative" in done.stdout
    assert "bad_persona  margin 0.15: gate pass 5, fail 10, open 0; agrees in 15 of 15" in done.stdout
    # None of the published models is in this data.
    assert (done.returncode, "bars missed" in done.stdout) == (1, True)


def test_equal_seeds_print_equal_tables(tmp_path):
    write(tmp_path, negative=9)
    one, other = bench(tmp_path), bench(tmp_path)
    assert one.stdout == other.stdout
    assert "9 of 15 models turn negative" in one.stdout


def test_without_the_data_nothing_is_measured(tmp_path):
    done = bench(tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert "say where with --data DIR or PROMPTOPS_BENCH_DATA" in done.stderr


@pytest.mark.skipif(not (REAL / "syco-bench").is_dir(), reason="the recorded replies of real models are not here")
def test_published_figures_are_found_again_in_the_real_data():
    done = bench(REAL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 of 15 models turn negative" in done.stdout
    assert "32 within 0.005 points" in done.stdout
    cells = re.search(r"with against without the prompt: (\d+) of 24 cells", done.stdout)
    # 8 of 48 over all twelve models.
    assert 1 <= int(cells[1]) <= 7
    assert row(done, "all")[3:5] == ["0", "0"]
