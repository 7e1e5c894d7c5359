from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptops.errors import PromptopsError
from promptops.inference.journal import Journal, read
from promptops.inference.reply import Reply


def reply(key, text="hello"):
    return Reply(key, text, "m", "fp", "stop", 10, 5, 0.25, 0.125, 2, [{"id": "c"}])


def test_what_is_added_is_there_again_in_order(tmp_path):
    with Journal(tmp_path / "j") as journal:
        for key in "cab":
            journal.add(reply(key, "ünï\ncode\u2028"))
    with Journal(tmp_path / "j") as journal:
        assert [kept.key for kept in journal.replies()] == ["c", "a", "b"]
        assert journal.get("a") == reply("a", "ünï\ncode\u2028")
        assert journal.get("z") is None
    assert len((tmp_path / "j").read_bytes().splitlines()) == 3
    assert (tmp_path / "j").stat().st_mode & 0o077 == 0


@given(cut=st.integers(1, 400))
def test_a_torn_end_is_cut_off_and_what_stands_before_it_stays(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("torn") / "j"
    with Journal(path) as journal:
        for key in "abc":
            journal.add(reply(key))
    content = path.read_bytes()
    path.write_bytes(content[:-cut])
    whole = content[:-cut].count(b"\n")
    with Journal(path) as journal:
        assert [kept.key for kept in journal.replies()] == list("abc")[:whole]
        journal.add(reply("d"))
    with Journal(path) as journal:
        assert [kept.key for kept in journal.replies()] == [*"abc"[:whole], "d"]


def altered(**members) -> bytes:
    return json.dumps({"key": "b", "text": "t", "model": "m"} | members).encode()


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b'{"key": "a"}',
        altered(key=1),
        b"[]",
        b"",
        altered(model=None),
        altered(cost="5"),
        altered(cost=float("nan")),
        altered(latency=float("inf")),
        altered(latency=-1),
        altered(prompt_tokens=1.5),
        altered(attempts=True),
        altered(fingerprint=[]),
        altered(tool_calls=["x"]),
        altered()[:-1] + b', "key": "c"}',
    ],
)
def test_a_line_that_is_no_reply_is_pointed_at(tmp_path, line):
    with Journal(tmp_path / "j") as journal:
        journal.add(reply("a"))
    with (tmp_path / "j").open("ab") as file:
        file.write(line + b"\n")
    for opened in (Journal, read):
        with pytest.raises(PromptopsError) as caught:
            opened(tmp_path / "j")
        assert (caught.value.path, caught.value.line) == (str(tmp_path / "j"), 2)


def test_reading_needs_no_lock_and_changes_nothing(tmp_path):
    assert read(tmp_path / "j") == {}
    with Journal(tmp_path / "j") as journal:
        for text in ("old", "new"):
            journal.add(reply("a", text))
        with (tmp_path / "j").open("ab") as file:
            file.write(b'{"key": "still being wr')
        content = (tmp_path / "j").read_bytes()
        assert read(tmp_path / "j") == {"a": reply("a", "new")}
        assert (tmp_path / "j").read_bytes() == content
    with pytest.raises(PromptopsError, match="cannot read the journal"):
        read(tmp_path)


def test_two_runs_do_not_share_a_journal(tmp_path):
    with Journal(tmp_path / "j"), pytest.raises(PromptopsError, match="another run"):
        Journal(tmp_path / "j")
    Journal(tmp_path / "j").close()


def test_a_folder_that_is_not_there_is_said_clearly(tmp_path):
    with pytest.raises(PromptopsError, match="cannot open the journal"):
        Journal(tmp_path / "missing" / "j")


def test_a_full_disk_leaves_whole_lines_and_room_lets_it_go_on(tmp_path):
    with Journal(tmp_path / "j") as journal:
        journal.add(reply("a"))
        size = (tmp_path / "j").stat().st_size
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            # The next line fits by half, then not at all.
            for room in (size + size // 2, size):
                resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
                with pytest.raises(PromptopsError, match="cannot write the journal"):
                    journal.add(reply("b"))
                resource.setrlimit(resource.RLIMIT_FSIZE, before)
                assert (tmp_path / "j").stat().st_size == size
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, ignored)
        journal.add(reply("c"))
    with Journal(tmp_path / "j") as journal:
        assert [kept.key for kept in journal.replies()] == ["a", "c"]


def test_kill_9_in_the_middle_of_writing_keeps_every_whole_reply(tmp_path):
    program = (
        "import sys\n"
        "from promptops.inference.journal import Journal\n"
        "from promptops.inference.reply import Reply\n"
        "journal = Journal(sys.argv[1])\n"
        "for i in range(10**9):\n"
        "    journal.add(Reply(str(i), 'x' * 5000, 'm'))\n"
        "    print(i, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "j")], stdout=subprocess.PIPE)
    seen = [int(process.stdout.readline()) for _ in range(50)]
    process.kill()
    process.communicate()
    with Journal(tmp_path / "j") as journal:
        assert {str(i) for i in seen} <= {kept.key for kept in journal.replies()}
    assert os.path.getsize(tmp_path / "j") > 250_000
