from __future__ import annotations

import gzip
import json
import os
import tracemalloc

import pytest
from support import invoke

from promptops.telemetry import checking

NOW = 1_764_000_000_000
UNIT, OTHER = "0" * 32, "1" * 32


def exposure(number, ts=NOW - 60_000, **more):
    return {
        "v": 1, "type": "exposure", "event_id": f"e{number}", "ts": ts, "env": "prod", "prompt": "reply", "unit": UNIT,
        "session": None, "turn": None, "response_id": f"r{number}", "release": "sha256:" + "0" * 64, "rollout": "ramp",
        "decision": 1, "stage": 0, "arm": "canary", "slot": 1, "hash": "sha256-u32/1", "unit_type": "user",
        "reason": "SPLIT", "propensity": 1, "shadow": False, "sdk": "test", **more,
    }  # fmt: skip


def outcome(number, ts=NOW - 50_000, **more):
    return {
        "v": 1, "type": "outcome", "event_id": f"o{number}", "ts": ts, "env": "prod", "prompt": "reply", "unit": UNIT,
        "session": None, "turn": None, "response_id": f"r{number}", "name": "thumbs", "value": 1, "unit_of": None,
        "source": "user", "evaluator": None, "latency": None, "missing": None, **more,
    }  # fmt: skip


def write(path, *rows):
    path.write_bytes(b"".join(row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows))
    return str(path)


GOOD = (exposure(1), outcome(1), exposure(2, unit=OTHER, arm="baseline"))


def only(report):
    (found,) = report.findings
    assert sum(report.counts.values()) == 1
    return found.kind, found.line, found.message


def test_good_events_give_no_finding(tmp_path):
    opportunity = {key: outcome(3)[key] for key in exposure(1) if key in outcome(1)} | {
        "type": "opportunity",
        "name": "x",
    }
    path = write(tmp_path / "a.jsonl", *GOOD, b"\n\n", opportunity, exposure(4, unit=None, slot=None, content={"a": 1}))
    report = checking.check([path], now=NOW)
    assert (report.events, report.findings) == (5, ())
    packed = tmp_path / "a.jsonl.gz"
    packed.write_bytes(gzip.compress((tmp_path / "a.jsonl").read_bytes()))
    assert checking.check([str(packed)], now=NOW) == report


@pytest.mark.parametrize(
    ("row", "kind", "words"),
    [
        (b'{"v":1,"type":"out\n', "torn", "no JSON object"),
        (b"[1]\n", "torn", "no JSON object"),
        (b"\xff\xfe\n", "torn", "no JSON object"),
        (b"[" * 100_000 + b"\n", "torn", "no JSON object"),
        (outcome(9, v=2), "drift", "version 2"),
        ({key: value for key, value in outcome(9).items() if key != "v"}, "drift", "version None"),
        (outcome(9, type="click"), "drift", "type 'click'"),
        (outcome(9, type=["outcome"]), "drift", "type"),
        (outcome(9, more=1), "drift", "'more'"),
        ({key: value for key, value in outcome(9).items() if key != "latency"}, "drift", '"latency"'),
        (outcome(9, value="good"), "drift", "good"),
        (outcome(9, value=1e13), "drift", "10000000000000"),
        (outcome(9, value=10**400), "drift", "greater than the maximum"),
        (outcome(9, unit="alice"), "drift", "alice"),
        (outcome(9, ts=1.5), "drift", "1.5"),
        (exposure(9, arm="third"), "drift", "third"),
        (exposure(9, content={"a": ["\ud800"]}), "drift", "surrogate"),
        (exposure(9, content={"\ud800": 1}), "drift", "surrogate"),
        *((outcome(9, **{name: "\ud800"}), "drift", "") for name in outcome(9)),
        (outcome(1), "duplicate", "copy of"),
        (outcome(1, value=0), "duplicate", "other content"),
        (exposure(9, arm="baseline"), "crossover", "other arm"),
        (outcome(9, unit="2" * 32), "orphan", "no exposure"),
        (outcome(9, ts=NOW + 600_000), "skew", "600.0 s after now"),
        (outcome(1, event_id="o9", ts=NOW - 70_000), "skew", "10.0 s before the use"),
    ],
)
def test_what_is_wrong_is_found_at_its_line(tmp_path, row, kind, words):
    path = write(tmp_path / "a.jsonl", *GOOD, row)
    found = only(checking.check([path], now=NOW))
    assert found[:2] == (kind, 4)
    assert words in found[2]
    assert len(found[2]) <= 200


@pytest.mark.parametrize(
    "row",
    [
        exposure(9, arm="baseline", stage=1),
        exposure(9, arm="baseline", reason="STICKY"),
        exposure(9, arm="baseline", rollout="another"),
        exposure(9, arm="baseline", prompt="other"),
        exposure(9, arm="stable"),
        outcome(9, ts=NOW + 200_000),
        outcome(1, event_id="o9", ts=NOW - 64_000),
    ],
)
def test_what_a_rollout_does_by_design_is_no_finding(tmp_path, row):
    assert not checking.check([write(tmp_path / "a.jsonl", *GOOD, row)], now=NOW).findings


def test_findings_name_lines_of_other_files_and_are_all_counted(tmp_path):
    one = write(tmp_path / "a.jsonl", *GOOD)
    two = write(tmp_path / "b.jsonl", b"\n", *(outcome(n, unit=f"{n:032x}") for n in range(50, 80)), outcome(1))
    report = checking.check([one, two], now=NOW, most=3)
    assert report.counts == {**dict.fromkeys(checking.KINDS, 0), "orphan": 30, "duplicate": 1}
    assert [(found.kind, found.path, found.line) for found in report.findings] == [
        ("duplicate", two, 32), ("orphan", two, 2), ("orphan", two, 3), ("orphan", two, 4),
    ]  # fmt: skip
    assert report.findings[0].message == f"copy of {one}:2"


def test_memory_does_not_grow_with_the_files(tmp_path):
    def peak(count):
        path = write(tmp_path / f"{count}.jsonl", *(outcome(n, unit=f"{n:032x}") for n in range(count)))
        tracemalloc.start()
        try:
            assert checking.check([path], now=NOW).counts["orphan"] == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)
    assert peak(4000) < peak(1000) + 100_000


def test_files_that_cannot_be_checked_are_named_and_the_others_are_checked(tmp_path):
    broken, packed, pipe = tmp_path / "a.jsonl.gz", tmp_path / "b.jsonl.zst", tmp_path / "c.jsonl"
    broken.write_bytes(gzip.compress(b"{}\n" * 1000)[:-10])
    packed.write_bytes(b"(\xb5/\xfd")
    os.mkfifo(pipe)
    gone, good = str(tmp_path / "d.jsonl"), write(tmp_path / "e.jsonl", *GOOD)
    report = checking.check([str(broken), str(packed), str(pipe), gone, good], now=NOW)
    assert report.events == len(GOOD)
    assert [path for path, _ in report.unread] == [str(broken), str(packed), str(pipe), gone]
    for (_, reason), words in zip(
        report.unread, ("cannot be read", "gzip", "regular file", "No such file"), strict=True
    ):
        assert words in reason


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_line_that_is_too_long_is_one_finding(tmp_path, suffix):
    data = b'{"a":"' + b"a" * (50 << 20) + b'"}\n' + json.dumps(outcome(1)).encode() + b"\ntorn\n"
    path = tmp_path / f"b.jsonl{suffix}"
    path.write_bytes(gzip.compress(data, 1) if suffix else data)
    report = checking.check([write(tmp_path / "a.jsonl", exposure(1)), str(path)], now=NOW)
    assert report.events == 2
    assert [(found.kind, found.path, found.line) for found in report.findings] == [
        ("torn", str(path), 1), ("torn", str(path), 3),
    ]  # fmt: skip
    assert "longer than 16,777,216 bytes" in report.findings[0].message


def test_the_command_says_where_and_how_much(tmp_path):
    write(tmp_path / "events-1.jsonl", *GOOD)
    done = invoke("telemetry", "check", str(tmp_path), cwd=tmp_path)
    assert (done.code, done.out, done.err) == (0, "", "3 events, 0 findings\n")
    write(tmp_path / "events-2.jsonl", b'{"v":1,"\x1b[31m\n', *(outcome(n, unit=f"{n:032x}") for n in range(50, 80)))
    done = invoke("telemetry", "check", str(tmp_path), "--most", "2", cwd=tmp_path)
    assert done.code == 1
    assert "events-2.jsonl:1: torn:" in done.out
    assert "\x1b" not in done.out
    assert "orphan: 28 more" in done.out
    assert done.err.endswith("33 events, 31 findings\n")
    done = invoke("telemetry", "check", "events-*.jsonl", "--json", "--most", "1", cwd=tmp_path)
    assert done.code == 1
    told = json.loads(done.out)
    assert (told["events"], told["counts"]["orphan"], len(told["findings"])) == (33, 30, 2)
    (tmp_path / "events-3.jsonl.zst").write_bytes(b"")
    done = invoke("telemetry", "check", ".", "--json", cwd=tmp_path)
    assert done.code == 3
    told = json.loads(done.out)
    assert (told["events"], [file["path"] for file in told["unread"]]) == (33, ["./events-3.jsonl.zst"])
    done = invoke("telemetry", "check", ".", cwd=tmp_path)
    assert (done.code, "events-3.jsonl.zst: not checked:" in done.err) == (3, True)
    assert invoke("telemetry", "check", "nothing-*", cwd=tmp_path).code == 2
