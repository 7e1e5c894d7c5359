from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from promptops.errors import PromptopsError
from promptops.evaluation.evidence import Store, Subject, find

SUBJECT = Subject("reply", "sha256:c", "sha256:b", {"safety": "sha256:s"})


def store(root, **changes):
    made = Store(str(root), SUBJECT._replace(**changes))
    made.create()
    return made


@pytest.mark.parametrize(
    "changes", [{"prompt": "x"}, {"candidate": "x"}, {"baseline": None}, {"suites": {"safety": "x"}}, {"suites": {}}]
)
def test_every_part_of_the_subject_has_its_own_folder(tmp_path, changes):
    assert store(tmp_path).path == store(tmp_path).path != store(tmp_path, **changes).path


def test_folders_are_for_their_owner_only(tmp_path):
    assert stat.S_IMODE(Path(store(tmp_path).path).stat().st_mode) == 0o700


def test_starts_are_counted_and_kept(tmp_path):
    store(tmp_path).begin("2026-01-01T00:00:00Z")
    store(tmp_path).begin("2026-01-02T00:00:00Z")
    assert store(tmp_path).attempts() == 2


def test_only_the_last_start_is_taken_back(tmp_path):
    store(tmp_path).begin("2026-01-01T00:00:00Z")
    store(tmp_path).begin("2026-01-02T00:00:00Z")
    store(tmp_path).take_back("2026-01-01T00:00:00Z")
    assert store(tmp_path).attempts() == 2
    store(tmp_path).take_back("2026-01-02T00:00:00Z")
    assert store(tmp_path).attempts() == 1
    store(tmp_path, candidate="sha256:d").take_back("2026-01-01T00:00:00Z")
    assert store(tmp_path).attempts() == 1


def test_other_candidates_against_the_same_baseline_count_too(tmp_path):
    for candidate in ("sha256:c", "sha256:d", "sha256:e"):
        store(tmp_path, candidate=candidate).begin("2026-01-01T00:00:00Z")
    store(tmp_path, suites={}).begin("2026-01-01T00:00:00Z")
    store(tmp_path, baseline="sha256:other").begin("2026-01-01T00:00:00Z")
    store(tmp_path, prompt="other").begin("2026-01-01T00:00:00Z")
    assert store(tmp_path).attempts() == 4
    assert store(tmp_path, baseline="sha256:other").attempts() == 1


def test_plan_and_result_come_back(tmp_path):
    made = store(tmp_path)
    assert made.plan() is None
    assert made.result() is None
    plan = {"seed": "a", "share": 0.05, "traffic": {}, "records": []}
    made.write_plan(plan)
    made.write_result({"b": "é"})
    assert (store(tmp_path).plan(), store(tmp_path).result()) == (plan, {"b": "é"})


def test_a_failed_write_leaves_the_old_content_and_no_litter(tmp_path):
    made = store(tmp_path)
    made.write_result({"a": 1})
    with pytest.raises(TypeError):
        made.write_result({"a": object()})
    assert made.result() == {"a": 1}
    assert [path.name for path in Path(made.path).iterdir()] == ["result.json"]


@pytest.mark.parametrize("content", ["{", "[]", "", "{}"])
def test_damaged_evidence_is_said_to_be_damaged(tmp_path, content):
    made = store(tmp_path)
    (Path(made.path) / "plan.json").write_text(content)
    with pytest.raises(PromptopsError) as caught:
        made.plan()
    assert caught.value.exit_code == 3
    assert "plan.json" in caught.value.path


def test_a_folder_that_cannot_be_created_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PromptopsError, match="cannot create"):
        store(tmp_path / "file")


def test_results_are_found_by_configuration(tmp_path):
    for candidate in ("sha256:c", "sha256:d"):
        made = store(tmp_path, candidate=candidate)
        made.write_result({"prompt": "reply", "candidate": candidate, "verdict": "pass"})
    found = find(str(tmp_path), prompt="reply", candidate="sha256:d")
    assert [item["candidate"] for item in found] == ["sha256:d"]
    assert json.loads((Path(found[0]["path"]) / "result.json").read_text())["verdict"] == "pass"
    assert find(str(tmp_path / "none"), prompt="reply", candidate="sha256:d") == []
