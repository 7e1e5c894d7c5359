"""log, status and diff."""

from __future__ import annotations

import itertools
import json
import sys

import releasing
from releasing import NEW, OLD, PROMPT
from support import PROMPT as PLAIN
from support import make_project, make_registry, prompt

from promptops.release import compare
from promptops.repo.git import Git


def standing(repo):
    return json.loads(repo.cli("status", "--json").out)[0]


def test_log_lists_releases_newest_first(released):
    rows = json.loads(released.cli("log", "--json").out)
    assert [row["tag"] for row in rows] == [NEW, OLD]
    assert rows[0]["object"] == released.git("rev-parse", NEW)
    assert [line.split()[0] for line in released.cli("log", "support/reply").out.splitlines()] == [NEW, OLD]


def test_log_goes_by_time_and_not_by_name(released):
    released.write("prompts/a.yaml", prompt("First of the alphabet."))
    released.commit("Another")
    with_date = {"GIT_COMMITTER_DATE": "2020-01-01T00:00:00Z"}
    released.promptops("release", "a", "--no-canary", "x", **with_date)
    tags = [row["tag"] for row in json.loads(released.cli("log", "--json").out)]
    assert tags == [NEW, OLD, "prompt/a@v1.0.0"]


def test_log_of_a_prompt_without_a_release_or_without_a_file(solo):
    assert solo.cli("log", "support/reply") == (0, "", "no releases yet; promptops release\n")
    for arguments in (("nosuch",), ("nosuch", "--json"), ("No_Such",)):
        missing = solo.cli("log", *arguments)
        assert (missing.code, missing.out) == (1, "")
        assert "prompt" in missing.err
    solo.write("prompts/support/reply.yaml", "broken")
    assert solo.cli("log", "support/reply").code == 0


def test_log_leaves_out_what_is_no_release(released):
    released.git("tag", "prompt/support/reply@v9.0.0")
    released.git("tag", "-a", "-m", "x", "prompt/support/reply@latest")
    released.git("tag", "-a", "-m", "x", "prompt/support/reply-long@v1.0.0")
    assert len(json.loads(released.cli("log", "support/reply", "--json").out)) == 2


def test_status_goes_through_the_life_of_a_version(solo):
    assert (standing(solo)["state"], standing(solo)["approved"]) == ("unreleased", True)
    assert standing(solo)["next"] == "promptops release support/reply"
    solo.promptops("release", "--no-canary", "x")
    assert standing(solo)["state"] == "released"
    assert "promptops promote" in standing(solo)["next"]
    solo.promptops("promote", "support/reply", "--env", "prod", "--reason", "x")
    assert (standing(solo)["live"], standing(solo)["next"]) == ({"prod": "1.0.0"}, None)
    solo.write(PROMPT, prompt("Same version, other text."))
    solo.commit("Forgot to bump")
    assert (standing(solo)["state"], standing(solo)["next"]) == ("changed", "promptops bump support/reply")


def test_the_way_on_after_the_only_release_was_withdrawn_leads_somewhere(tmp_path):
    repo = make_project(tmp_path, ("alice",), solo=True)
    repo.write("prompts/support/reply.yaml", prompt())
    repo.commit("Ready")
    repo.promptops("release", "--no-canary", "no suite")
    repo.promptops("withdraw", "support/reply@1.0.0", "--reason", "flatters")
    assert "next: mend prompts/support/reply.yaml; then promptops bump" in repo.promptops("status").stdout
    told = repo.promptops("promote", "support/reply", "--env", "prod", "--reason", "x", check=3).stderr
    assert "every release was withdrawn: mend the prompt" in told
    repo.write("prompts/support/reply.yaml", prompt("Answer without flattery."))
    repo.promptops("bump", "support/reply")
    repo.commit("Mend")
    done = repo.promptops("release", "--no-canary", "no suite")
    assert "released  prompt/support/reply@v" in done.stdout


def test_status_points_at_a_live_withdrawn_release(released):
    released.promptops("promote", "support/reply@1.0.0", "--env", "prod", "--reason", "x")
    released.promptops("promote", "support/reply", "--env", "prod", "--reason", "x")
    released.promptops("withdraw", NEW, "--reason", "flatters")
    found = standing(released)
    assert (found["state"], found["live"]) == ("withdrawn", {"prod": "1.1.0"})
    assert found["next"].startswith("promptops rollback support/reply --env prod")


def test_status_says_what_a_review_lacks(project):
    found = standing(project)
    assert (found["state"], found["approved"]) == ("unreleased", False)
    assert found["missing"]
    assert "promptops review" in project.cli("status").out


def test_status_of_a_broken_prompt_does_not_hide_the_others(released):
    released.write("prompts/broken.yaml", "version: 1\n")
    released.commit("Broken")
    found = {row["name"]: row["state"] for row in json.loads(released.cli("status", "--json").out)}
    assert found == {"broken": "broken", "support/reply": "released"}


def test_diff_tells_grade_settings_and_text(released):
    text = prompt("Be brief.", version="2.0.0", parameters="{temperature: 1}", extra="evals: [style]\n")
    released.write(PROMPT, text.replace("ticket:", "request:").replace("{{ ticket }}", "{{ request }}"))
    released.commit("More")
    (found,) = json.loads(released.cli("diff", "support/reply@1.1.0", "HEAD", "--json").out)
    assert found["grade"] == "major"
    assert found["new"]["version"] == "2.0.0"
    fields = {change["field"]: (change["old"], change["new"]) for change in found["changes"]}
    assert fields["parameters.temperature"] == (0, 1)
    assert fields["evals"] == ([], ["style"])
    assert {"variables.ticket", "variables.request"} <= fields.keys()
    assert "-{{ ticket }}" in found["text"]


def test_diff_of_revisions_lists_what_differs_and_nothing_else(released):
    released.write("prompts/other.yaml", prompt("Other."))
    released.commit("Another")
    found = json.loads(released.cli("diff", OLD, "HEAD", "--json").out)
    assert [item["grade"] for item in found] == ["patch"]
    found = json.loads(released.cli("diff", "HEAD~1", "HEAD", "--json").out)
    assert [(item["prompt"], item["grade"], item["old"]) for item in found] == [("other", "new", None)]
    assert released.cli("diff", "HEAD", "HEAD").out == ""


def test_diff_of_two_prompts_or_of_nothing_is_refused(released):
    assert released.cli("diff", "support/reply@1.0.0", "other@1.0.0").code == 2
    assert released.cli("diff", "HEAD", "HEAD", "nothing").code == 1
    assert released.cli("diff", "HEAD", "no-such-revision").code == 3


def test_hostile_text_is_printed_harmlessly(released):
    released.write(PROMPT, prompt("x", version="1.2.0").replace("'x'", '"\\e[31mred"'))
    released.commit("Escape")
    assert "\x1b[31m" not in released.cli("diff", NEW, "HEAD").out


def test_manifest_is_published_as_a_schema(released):
    from promptops.registry import schemas

    assert schemas.problems("manifest", releasing.manifest_of(released).statement()) == []


def calls(action):
    """Return how many functions ``action`` calls."""
    count = itertools.count()
    sys.setprofile(lambda _, event, __: next(count) if event in {"call", "c_call"} else None)
    try:
        action()
    finally:
        sys.setprofile(None)
    return next(count)


def test_diff_of_many_prompts_looks_at_each_once(tmp_path):
    def compare_all(count):
        folder = tmp_path / str(count)
        folder.mkdir()
        repo = make_registry(folder, **{f"p{number}": PLAIN for number in range(count)})
        repo.git("commit", "-q", "--allow-empty", "-m", "Next")
        with Git(str(repo.root)) as git:
            old, new = compare.side(git, "HEAD~1"), compare.side(git, "HEAD")
            return calls(lambda: compare.compare_all(git, old, new, ()))

    few, some, many = (compare_all(count) for count in (1, 50, 99))
    assert many - some < 1.2 * (some - few)


def test_status_of_many_unreleased_prompts_starts_no_more_processes(solo, tmp_path):
    def traced(name):
        trace = tmp_path / name
        solo.promptops("status", GIT_TRACE=str(trace))
        return sum("trace: built-in: git" in line for line in trace.read_text().splitlines())

    one = traced("one")
    for number in range(5):
        solo.write(f"prompts/support/more{number}.yaml", prompt("More."))
    solo.commit("More")
    assert traced("six") == one
