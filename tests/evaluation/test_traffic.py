from __future__ import annotations

import json
import os

import pytest

from promptops.errors import InputError, PromptopsError
from promptops.evaluation import traffic

P = "support/reply"


def line(case, prompt=P, **variables):
    return json.dumps({"id": case, "prompt": prompt, "variables": variables})


def write(folder, name, *lines):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def choose(folder, share=1.0, minimum=1, prompt=P):
    return traffic.choose(str(folder), prompt, share=share, minimum=minimum)


def test_slots_are_stable_across_releases():
    # First four bytes of SHA-256("traffic" NUL "case-1"), as sha256sum prints them.
    assert traffic.slot("case-1") == 0x3527E19F


def test_share_picks_every_request_below_it_and_no_other(tmp_path):
    write(tmp_path, "a.jsonl", *[line(f"c{n}", ticket=str(n)) for n in range(2000)])
    picked = choose(tmp_path, share=0.05)
    expected = {f"c{n}" for n in range(2000) if traffic.slot(f"c{n}") < 0.05 * 2**32}
    assert {record.id for record in picked.records} == expected
    assert 60 < len(expected) < 140
    assert picked.total == 2000


def test_a_larger_share_holds_the_smaller_one(tmp_path):
    write(tmp_path, "a.jsonl", *[line(f"c{n}") for n in range(500)])
    small, large = (choose(tmp_path, share=share).records for share in (0.1, 0.3))
    assert set(map(str, small)) < set(map(str, large))


def test_minimum_fills_up_with_the_smallest_slots(tmp_path):
    cases = [f"c{n}" for n in range(3000)]
    write(tmp_path, "a.jsonl", *[line(case) for case in cases])
    picked = [record.id for record in choose(tmp_path, share=0.0001, minimum=40).records]
    assert picked == sorted(cases, key=traffic.slot)[:40]


def test_minimum_beyond_what_is_recorded_takes_everything(tmp_path):
    write(tmp_path, "a.jsonl", line("a"), line("b"))
    assert len(choose(tmp_path, share=0.01, minimum=150).records) == 2


def test_other_prompts_are_left_out_of_selection_and_digest(tmp_path):
    write(tmp_path, "a.jsonl", line("a"))
    before = choose(tmp_path)
    write(tmp_path, "b.jsonl", line("b", prompt="other"))
    assert choose(tmp_path) == before


def test_digest_follows_content_and_not_layout(tmp_path):
    write(tmp_path, "a.jsonl", line("a", ticket="x"), "", line("b"))
    first = choose(tmp_path).digest
    write(tmp_path, "a.jsonl", '{"variables": {"ticket": "x"}, "prompt": "support/reply", "id": "a"}', line("b"))
    assert choose(tmp_path).digest == first
    write(tmp_path, "a.jsonl", line("a", ticket="y"), line("b"))
    assert choose(tmp_path).digest != first


def test_nested_folders_are_read_and_other_files_are_not(tmp_path):
    write(tmp_path, "2026/11/a.jsonl", line("a"))
    write(tmp_path, "README.md", "not JSON")
    assert [record.id for record in choose(tmp_path).records] == ["a"]


@pytest.mark.parametrize(
    "bad",
    [
        "{",
        "[]",
        '{"prompt": "support/reply", "variables": {}}',
        '{"id": "", "prompt": "support/reply", "variables": {}}',
        '{"id": 7, "prompt": "support/reply", "variables": {}}',
        '{"id": "a", "prompt": "support/reply", "variables": []}',
        '{"id": "a", "prompt": "support/reply"}',
        '{"id": "a", "id": "b", "prompt": "support/reply", "variables": {}}',
        '{"id": "\\ud800", "prompt": "support/reply", "variables": {}}',
        '{"id": "a", "prompt": "support/reply", "variables": {"x": ' + "[" * 490 + "]" * 490 + "}}",
    ],
)
def test_a_malformed_line_is_named(tmp_path, bad):
    path = write(tmp_path, "a.jsonl", line("a"), bad)
    with pytest.raises(InputError) as caught:
        choose(tmp_path)
    assert (caught.value.path, caught.value.line) == (str(path), 2)


def test_one_id_for_two_requests_is_refused_and_a_repeated_line_is_not(tmp_path):
    path = write(tmp_path, "a.jsonl", line("a", ticket="x"), line("a", ticket="x"))
    assert len(choose(tmp_path).records) == 1
    path.write_text(line("a", ticket="x") + "\n" + line("a", ticket="y") + "\n")
    with pytest.raises(InputError, match="two different requests"):
        choose(tmp_path)


def test_a_missing_folder_is_no_empty_folder(tmp_path):
    with pytest.raises(PromptopsError, match="does not exist"):
        choose(tmp_path / "nowhere")
    assert choose(tmp_path) == traffic.Traffic((), 0, None)


def test_a_named_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.jsonl")
    with pytest.raises(InputError, match="no regular file"):
        choose(tmp_path, share=1.0)
