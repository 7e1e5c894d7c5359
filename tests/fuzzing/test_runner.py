"""The fuzzer finds what it is for: a planted fault of each kind, and the same inputs for the same number."""

from __future__ import annotations

import subprocess
import sys
from argparse import Namespace
from itertools import count
from pathlib import Path

import mutation
import pytest
import run
import targets
import worker
from oracle import ViolationError

from promptops.errors import InputError

RUN = Path(run.__file__)


def runner(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(RUN), *arguments], capture_output=True, text=True, check=False)


def raising(error: BaseException):
    def target(_: bytes) -> None:
        raise error

    return target


def endless(_: bytes) -> None:
    for _ in count():
        pass


@pytest.fixture
def judge(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "SECONDS", 0.1)
    made = []

    def start(target) -> worker.Judge:
        made.append(worker.Judge(target, str(tmp_path / "current")))
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.mark.parametrize(
    ("target", "found"),
    [
        (raising(ViolationError("wrong")), ViolationError),
        (raising(KeyError("x")), KeyError),
        (raising(RecursionError()), RecursionError),
        (raising(MemoryError()), MemoryError),
        (endless, worker.HangError),
    ],
)
def test_a_broken_promise_is_found(judge, target, found):
    judging = judge(target)
    assert isinstance(judging.judge(b"x")[1], found)
    assert judging.counts == {"accepted": 0, "refused": 0, "violations": 1}


def test_a_refusal_that_hides_a_full_memory_is_found(judge):
    refusal = InputError("too much")
    refusal.__cause__ = MemoryError()
    assert isinstance(judge(raising(refusal)).judge(b"x")[1], MemoryError)


def test_what_is_accepted_or_refused_is_counted(judge):
    judging = judge(lambda data: None if data else raising(InputError("no"))(data))
    assert [judging.judge(data)[1] for data in (b"x", b"", b"y")] == [None] * 3
    assert judging.counts == {"accepted": 2, "refused": 1, "violations": 0}


def test_memory_beyond_the_limit_ends_as_a_finding():
    code = "import worker; worker._limit_memory(); bytearray(worker.MEGABYTES + 100 << 20)"
    done = subprocess.run([sys.executable, "-c", code], cwd=RUN.parent, capture_output=True, text=True, check=False)
    assert "MemoryError" in done.stderr


def test_a_process_that_dies_of_an_input_is_a_violation_of_that_input(tmp_path, monkeypatch):
    (tmp_path / "worker.py").write_text(
        "import os, sys\n"
        "with open(f'{sys.argv[4]}/current-{os.getpid()}', 'wb') as file:\n"
        "    file.write((6).to_bytes(8, 'big') + b'deadly' + bytes(100))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    monkeypatch.setattr(run, "HERE", tmp_path)
    totals = run.campaign(["version"], Namespace(jobs=1, inputs=5, seed="1", crashes=str(tmp_path)))
    assert totals["version"].violations == 1
    assert [path.read_bytes() for path in tmp_path.glob("version-*")] == [b"deadly"]


def test_the_same_number_gives_the_same_inputs():
    module = targets.load("policy")
    one, two, other = (
        mutation.Mutator(number, mutation.seeds("policy"), module.PIECES, module.SPLIT) for number in ("1", "1", "2")
    )
    drawn = [one.next() for _ in range(50)]
    assert drawn == [two.next() for _ in range(50)] != [other.next() for _ in range(50)]


def test_a_campaign_ends_with_a_table(tmp_path):
    done = runner("version", "tag", "--inputs", "400", "--jobs", "2", "--crashes", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()[-2:]}
    for name in ("version", "tag"):
        inputs, accepted, refused, *_, violations = rows[name]
        assert (inputs, violations) == ("400", "0")
        assert int(accepted) + int(refused) == 400
    assert list(tmp_path.iterdir()) == []


def test_one_input_is_judged_by_name(tmp_path):
    (tmp_path / "input").write_text("1.0")
    assert runner("version", "--input", str(tmp_path / "input")).stdout.startswith(
        "refused: '1.0' is not a semantic version"
    )
    assert runner("nothing").returncode == 2
