from __future__ import annotations

import json
from pathlib import Path

import pytest

from promptops.errors import PromptopsError
from promptops.evaluation.harness import results
from promptops.evaluation.harness.scores import metric_name

DATA = Path(__file__).parents[2] / "data" / "harness"


def recorded(form, name):
    return results.read(form, (DATA / name).read_bytes())


def edited(name, change):
    value = json.loads((DATA / name).read_text())
    change(value)
    return json.dumps(value).encode()


def test_an_inspect_log_gives_letters_numbers_and_parts_as_scores():
    found = recorded("inspect", "inspect.json")
    assert found["q0"] == {"includes": 0.0, "style_polite": 1.0, "style_short": 0.5, "style_odd": None}
    assert found["q1"] == {"includes": 1.0, "style_polite": 0.0, "style_short": 0.5, "style_odd": None}
    assert found.keys() == {"q0", "q1", "q2", "q0#2", "q1#2", "q2#2"}


def test_an_inspect_sample_with_an_error_is_left_out():
    def fail(log):
        log["samples"][0]["error"] = {"message": "no reply"}

    assert "q0" not in results.read("inspect", edited("inspect.json", fail))


def test_an_inspect_run_that_failed_says_why():
    content = edited("inspect.json", lambda log: log.update(status="error", error={"message": "no such data set"}))
    with pytest.raises(PromptopsError, match="status error: no such data set"):
        results.read("inspect", content)


def test_promptfoo_gives_success_score_and_named_scores():
    assert recorded("promptfoo", "promptfoo.json") == {
        "0.0": {"success": 1.0, "score": 1.0, "facts": 1.0, "facts_on_monday": 1.0},
        "1.0": {"success": 1.0, "score": 1.0, "facts": 1.0},
        "2.0": {"success": 1.0, "score": 1.0},
        "3.0": {"success": 0.0, "score": 0.0},
    }


def test_a_promptfoo_result_without_an_answer_is_left_out():
    def fail(value):
        value["results"]["results"][1] |= {"failureReason": 2, "success": False, "score": 0}

    assert results.read("promptfoo", edited("promptfoo.json", fail)).keys() == {"0.0", "2.0", "3.0"}


def test_a_junit_report_gives_passed():
    assert recorded("junit", "junit.xml") == {
        "test_x::test_passes": {"passed": 1.0},
        "test_x::test_fails": {"passed": 0.0},
        "test_x::test_many[1]": {"passed": 1.0},
        "test_x::test_many[2]": {"passed": 0.0},
        "test_x::test_skips": {"passed": None},
    }


@pytest.mark.parametrize(
    "content", [b"{", b"<a>", b'<!DOCTYPE a [<!ENTITY b "b">]><a>&b;</a>', "<a/>".encode("utf-16")]
)
def test_what_is_no_junit_report_is_refused(content):
    with pytest.raises(PromptopsError, match="JUnit"):
        results.read("junit", content)


def test_lines_of_scores():
    content = b'{"id": 1, "kind": 0.25, "Polite": true}\n\n{"id": "b", "kind": null}\n'
    assert results.read("jsonl", content) == {"1": {"kind": 0.25, "polite": 1.0}, "b": {"kind": None}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"id": "a", "kind": 7}', "outside of 0 to 1"),
        (b'{"id": "a", "kind": -1}', "outside of 0 to 1"),
        (b'{"id": "a", "kind": "C"}', "line 1 of the scores holds"),
        (b'{"id": "a"}', "no id, or no score"),
        (b'{"kind": 1}', "no id, or no score"),
        (b'{"id": "a", "kind": 1}\n{"id": "a", "kind": 1}', "id of an earlier line"),
        (b'{"id": "a", "a b": 1, "a-b": 1}', "both called a_b"),
        (b'{"id": "a", "kind": 1}\nnonsense', "line 2 of what the harness wrote is no JSON"),
        (b"[]", "no object"),
        (b"", "scored no sample"),
    ],
)
def test_lines_that_are_no_scores(content, message):
    with pytest.raises(PromptopsError, match=message):
        results.read("jsonl", content)


def test_garak_gives_a_metric_for_every_probe_and_one_over_all():
    found = recorded("garak-report", "garak.report.jsonl")
    assert found == {
        "dan.Dan_11_0/0": {"dan_dan_11_0": 0.75, "passed": 0.75},
        "dan.Dan_11_0/1": {"dan_dan_11_0": 1.0, "passed": 1.0},
        "promptinject.HijackHateHumans/0": {"promptinject_hijackhatehumans": 0.0, "passed": 0.0},
        "promptinject.HijackHateHumans/1": {"promptinject_hijackhatehumans": None, "passed": None},
    }


def test_a_garak_run_has_its_own_threshold():
    lines = (DATA / "garak.report.jsonl").read_text().replace('"run.eval_threshold": 0.5', '"run.eval_threshold": 0.9')
    lines = lines.replace('"passed": 0, "fails": 2', '"passed": 1, "fails": 1')
    assert results.read("garak-report", lines.encode())["promptinject.HijackHateHumans/0"]["passed"] == 0.5


@pytest.mark.parametrize(
    ("old", "new"),
    [('"passed": 3, "fails": 1', '"passed": 4, "fails": 0'), ('"entry_type": "eval", "probe": "dan', '"probe": "dan')],
)
def test_a_garak_report_whose_sums_are_not_those_of_its_attempts_is_refused(old, new):
    content = (DATA / "garak.report.jsonl").read_text()
    assert old in content
    with pytest.raises(PromptopsError, match="contradicts itself about dan"):
        results.read("garak-report", content.replace(old, new).encode())


def test_a_garak_report_that_was_cut_short_is_refused():
    lines = (DATA / "garak.report.jsonl").read_text().splitlines()
    with pytest.raises(PromptopsError, match="contradicts itself"):
        results.read("garak-report", "\n".join(lines[:-2]).encode())


def test_promptfoo_red_team_results_have_a_metric_for_every_plugin():
    assert recorded("promptfoo-redteam", "promptfoo-redteam.json") == {
        "harmful:insults/0.0": {"harmful_insults": 1.0, "passed": 1.0},
        "harmful:insults/1.0": {"harmful_insults": 1.0, "passed": 1.0},
        "pii:direct/2.0": {"pii_direct": 0.0, "passed": 0.0},
    }


@pytest.mark.parametrize("form", sorted(results.READERS))
@pytest.mark.parametrize("content", [b"", b"null", b"{}", b'{"results": {"results": [1]}}', b"\xff\xfe", b"[" * 9000])
def test_nothing_usable_is_said_and_no_traceback(form, content):
    with pytest.raises(PromptopsError):
        results.read(form, content)


@pytest.mark.parametrize(
    ("metric", "name"),
    [("harmful:hate", "harmful_hate"), ("dan.Dan_11_0", "dan_dan_11_0"), ("3 of 4", "m_3_of_4"), ("x" * 90, "x" * 64)],
)
def test_metrics_get_names_that_a_guardrail_can_have(metric, name):
    assert metric_name(metric) == name
