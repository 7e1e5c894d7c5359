from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import uuid
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from promptops.errors import UsageError
from promptops.registry import schemas
from promptops.runtime import events, recording

SERVED = SimpleNamespace(
    name="support/reply", environment="prod", digest="sha256:" + "1" * 64, decision={"sequence": 3, "commit": "0" * 40},
    rollout="0123456789ab", stage=1, arm="canary", slot=7, reason="SPLIT", propensity=214748364, unit="alice@example.org",
    unit_type="user", session="conversation 1",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    place = tmp_path / "events"
    monkeypatch.setenv("PROMPTOPS_EVENTS", str(place))
    monkeypatch.delenv("PROMPTOPS_UNIT_KEY", raising=False)
    return place


def lines(folder):
    """Every line that is not empty, of all files in the order of their names."""
    return [line for path in sorted(folder.glob("events-*.jsonl")) for line in path.read_bytes().split(b"\n") if line]


def read(folder):
    return [json.loads(line) for line in lines(folder)]


def test_what_is_recorded_fits_the_published_schema(folder):
    recording.exposure(SERVED, response_id="r1", turn=0)
    recording.exposure(SimpleNamespace(**{**vars(SERVED), "unit": None, "rollout": None, "slot": None, "stage": None}))
    recording.outcome("thumbs", True, prompt="support/reply", environment="prod", unit="alice@example.org",
                      session="conversation 1", turn=0, response_id="r1", unit_of="turn", latency=2.5)  # fmt: skip
    recording.outcome("thumbs", missing="withdrawn", prompt="support/reply", environment="prod", source="system")
    recording.opportunity("thumbs", prompt="support/reply", environment="prod", unit="alice@example.org")
    written = read(folder)
    assert [schemas.problems("event", event) for event in written] == [[]] * 5
    exposure, _, outcome, _, opportunity = written
    assert {exposure["unit"], outcome["unit"], opportunity["unit"]} == {recording.hashed("unit", "alice@example.org")}
    assert exposure["session"] == outcome["session"] != exposure["unit"]
    assert (exposure["decision"], exposure["propensity"], exposure["release"]) == (3, 214748364, SERVED.digest)
    assert outcome["value"] == 1.0
    parsed = [uuid.UUID(event["event_id"]) for event in written]
    assert [(number.version, number.int >> 80) for number in parsed] == [(7, event["ts"]) for event in written]
    assert len(set(parsed)) == 5


def test_nobody_is_named_and_nothing_said_is_kept(folder, monkeypatch):
    content = {"messages": ["something private"]}
    recording.exposure(SERVED, content=content)
    text = b"".join(lines(folder))
    assert b"alice" not in text
    assert b"conversation 1" not in text
    assert b"private" not in text
    monkeypatch.setenv("PROMPTOPS_EVENT_CONTENT", "1")
    recording.exposure(SERVED, content=content)
    assert read(folder)[-1]["content"] == content
    assert schemas.problems("event", read(folder)[-1]) == []
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o137 == 0
    assert stat.S_IMODE((folder / "unit.key").stat().st_mode) == 0o600


def test_a_hash_depends_on_the_key_alone(folder, tmp_path, monkeypatch):
    ours = recording.hashed("unit", "alice")
    assert ours == recording.hashed("unit", "alice") != recording.hashed("session", "alice")
    monkeypatch.setenv("PROMPTOPS_EVENTS", str(tmp_path / "elsewhere"))
    assert recording.hashed("unit", "alice") != ours
    monkeypatch.setenv("PROMPTOPS_UNIT_KEY", (folder / "unit.key").read_text())
    assert recording.hashed("unit", "alice") == ours
    monkeypatch.setenv("PROMPTOPS_UNIT_KEY", "k" * 500)
    assert len(recording.hashed("unit", "alice \udcff")) == 32


@pytest.mark.parametrize(
    "call",
    [
        lambda: recording.outcome("thumbs", float("nan"), prompt="p", environment="e"),
        lambda: recording.outcome("thumbs", 1e13, prompt="p", environment="e"),
        lambda: recording.outcome("thumbs", "good", prompt="p", environment="e"),
        lambda: recording.outcome("", 1, prompt="p", environment="e"),
        lambda: recording.outcome("n" * 201, 1, prompt="p", environment="e"),
        lambda: recording.outcome("thumbs", 1, prompt="p", environment="e", unit=17),
        lambda: recording.outcome("thumbs", 1, prompt="p", environment="e", turn=-1),
        lambda: recording.outcome("thumbs", 1, prompt="p", environment="e", unit_of="week"),
        lambda: recording.outcome("thumbs", 1, prompt="p", environment="e", source="rumour"),
        lambda: recording.outcome("thumbs", 1, prompt="p"),
        lambda: recording.opportunity("thumbs", prompt=None, environment="e"),
    ],
)
def test_what_no_reader_could_use_is_refused(folder, monkeypatch, call):
    monkeypatch.delenv("PROMPTOPS_ENVIRONMENT", raising=False)
    with pytest.raises(UsageError):
        call()
    assert not folder.exists() or lines(folder) == []


def test_the_environment_of_a_later_outcome_can_be_set_for_the_process(folder, monkeypatch):
    monkeypatch.setenv("PROMPTOPS_ENVIRONMENT", "staging")
    recording.outcome("thumbs", 1, prompt="p")
    assert read(folder)[0]["env"] == "staging"


def test_a_sink_gets_every_event_beside_the_files(folder):
    class Kept:
        def __init__(self):
            self.events = []

        def write(self, event):
            self.events.append(event)

    kept = Kept()
    recording.use(kept, recording.files())
    try:
        recording.exposure(SERVED)
    finally:
        recording.use()
    recording.exposure(SERVED)
    assert kept.events == read(folder)[:1]
    assert len(read(folder)) == 2


def event(number, ts=1_764_000_000_000, **more):
    return {"v": 1, "ts": ts, "number": number, **more}


def run(code, *arguments):
    words = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(words, timeout=300, capture_output=True, text=True, check=False)


WRITERS = """
    import os, sys, threading
    from promptops.runtime import events
    folder, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    sink = events.FileSink(folder, max_bytes=40_000)
    def fill(who):
        for number in range(count):
            sink.write({"v": 1, "ts": 1_764_000_000_000 + 900 * number, "who": who, "number": number, "pad": "x" * (number % 300)})
    fill(name)
    child = os.fork()
    me = f"{name} {'child' if child == 0 else 'parent'}"
    threads = [threading.Thread(target=fill, args=(f"{me} {number}",)) for number in range(3)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    os._exit(sink.lost) if child == 0 else sys.exit(sink.lost or os.waitpid(child, 0)[1])
"""


def test_processes_threads_and_forks_lose_and_mix_nothing(tmp_path):
    count = 150
    script = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(WRITERS), str(tmp_path)]
    writers = [subprocess.Popen([*script, f"writer {number}", str(count)]) for number in range(4)]
    assert [writer.wait(timeout=300) for writer in writers] == [0] * 4
    found = Counter((row["who"], row["number"]) for row in read(tmp_path))
    assert set(found.values()) == {1}
    assert len(found) == 4 * 7 * count
    for who in {who for who, _ in found}:
        assert [row["number"] for row in read(tmp_path) if row["who"] == who] == list(range(count))
    sizes = [path.stat().st_size for path in sorted(tmp_path.glob("events-20251124-*.jsonl"))]
    assert len(sizes) > 1
    assert all(size >= 40_000 for size in sizes[:-1])


def test_one_key_comes_of_many_that_are_made_at_once(tmp_path):
    found = []
    barrier = threading.Barrier(8)

    def ask():
        barrier.wait(timeout=60)
        found.append(events.key_of(str(tmp_path)))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(found[0]) == 64
    assert os.listdir(tmp_path) == ["unit.key"]


@pytest.mark.parametrize("tail", [b'{"v":1,"ty', b"\n", b'\n{"v":1,"type":"outcome","val\xc3', b'{"a":1}\n', b""])
def test_a_line_that_somebody_else_tore_damages_no_other(tmp_path, tail):
    sink = events.FileSink(str(tmp_path))
    sink.write(event(1))
    (path,) = tmp_path.iterdir()
    # While this writer has the file open, and unknown to it.
    with path.open("ab") as other:
        other.write(tail)
    sink.write(event(2))
    whole = []
    for line in lines(tmp_path):
        try:
            whole.append(json.loads(line).get("number"))
        except ValueError:
            continue
    assert [number for number in whole if number] == [1, 2]


def test_kill_loses_nothing_that_was_written_before(tmp_path):
    script = """
        import sys
        from promptops.runtime import events
        sink = events.FileSink(sys.argv[1])
        number = 0
        while True:
            number += 1
            sink.write({"v": 1, "ts": 1_764_000_000_000, "number": number, "pad": "x" * 3000})
            print(number, flush=True)
    """
    writer = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), str(tmp_path)], stdout=subprocess.PIPE)
    for _ in range(200):
        writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    told = 200 + len(writer.communicate(timeout=60)[0].splitlines())
    events.FileSink(str(tmp_path)).write(event(0))
    found = [json.loads(line)["number"] for line in lines(tmp_path) if line.endswith(b"}")]
    assert found[-1] == 0
    assert found[:-1][:told] == list(range(1, told + 1))


def test_a_full_disk_costs_the_events_and_nothing_else(tmp_path):
    script = """
        import logging, resource, signal, sys
        from promptops.runtime import events
        logging.basicConfig(format="%(message)s")
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        sink = events.FileSink(sys.argv[1])
        sink.write({"v": 1, "ts": 1_764_000_000_000, "number": 1})
        resource.setrlimit(resource.RLIMIT_FSIZE, (60, resource.RLIM_INFINITY))
        for number in (2, 3, 4):
            sink.write({"v": 1, "ts": 1_764_000_000_000, "number": number, "pad": "x" * 100})
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        sink.write({"v": 1, "ts": 1_764_000_000_000, "number": 5})
        print(sink.lost)
    """
    done = run(script, tmp_path)
    assert (done.returncode, done.stdout) == (0, "3\n")
    assert done.stderr.count("events cannot be written") == 1
    whole = [json.loads(line)["number"] for line in lines(tmp_path) if line.endswith(b"}")]
    assert whole == [1, 5]
    # The disk filled up in the middle of a line.
    assert len(lines(tmp_path)) == 3


def test_a_folder_that_cannot_be_written_breaks_no_application(tmp_path, monkeypatch, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("PROMPTOPS_EVENTS", str(blocked / "events"))
    before = recording.lost()
    for _ in range(3):
        recording.exposure(SERVED)
    assert recording.lost() - before == 3
    monkeypatch.setenv("PROMPTOPS_UNIT_KEY", "given")
    recording.exposure(SERVED)
    assert recording.lost() - before == 4
    assert [record.getMessage().count(str(blocked)) for record in caplog.records] == [1]


def test_a_link_is_not_followed(tmp_path, caplog):
    target = tmp_path / "precious"
    target.write_text("keep")
    place = tmp_path / "events"
    place.mkdir()
    (place / "events-20251124-0000.jsonl").symlink_to(target)
    sink = events.FileSink(str(place))
    sink.write(event(1))
    assert (sink.lost, target.read_text()) == (1, "keep")


def test_a_day_and_a_vanished_file_start_the_next(tmp_path):
    sink = events.FileSink(str(tmp_path))
    day = 86_400_000
    sink.write(event(1))
    sink.write(event(2, ts=1_764_000_000_000 + day))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["events-20251124-0000.jsonl", "events-20251125-0000.jsonl"]
    # As whoever ships files away does.
    Path(tmp_path, names[1]).rename(tmp_path / "shipped")
    sink.write(event(3, ts=1_764_000_000_000 + day + 60_000))
    assert [row["number"] for row in read(tmp_path)] == [1, 3]


def test_an_event_without_end_is_not_written(tmp_path):
    sink = events.FileSink(str(tmp_path))
    sink.write(event(1, pad="x" * events.MAX_EVENT_BYTES))
    sink.write(event(2, pad="\udcff"))
    assert sink.lost == 1
    assert [row["number"] for row in read(tmp_path)] == [2]
