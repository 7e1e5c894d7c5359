"""What is judged, and how it is told."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from support import PROMPT, changed, make_repo

REPLY = "prompts/reply.yaml"
BAD = PROMPT.replace("{{ ticket }}", "{{ tiket }}")
TEXT = PROMPT.replace("Answer the ticket.", "Answer it well.")


def test_an_empty_repository_has_nothing_to_find(tmp_path):
    assert make_repo(tmp_path).cli("check").code == 0


def test_before_the_first_commit_the_whole_index_is_judged(tmp_path):
    repo = make_repo(tmp_path)
    repo.write(REPLY, PROMPT)
    repo.git("add", "-A")
    done = repo.cli("check")
    assert (done.code, "PO201" in done.out) == (1, True)


def test_outside_a_repository_it_could_not_check(tmp_path):
    from support import invoke

    done = invoke("check", cwd=tmp_path)
    assert (done.code, done.out) == (3, "")
    assert "next: " in done.err


def test_nothing_staged_means_everything(judge):
    judge.repo.write("prompts/bad.yaml", BAD)
    judge.repo.commit("Bad", sign=False)
    judge.repo.write(REPLY, PROMPT + "# changed in the work tree only\n")
    assert {each.path for each in judge.check()} == {"prompts/bad.yaml"}
    assert judge.check("--staged") == []


def test_something_else_staged_means_that_alone(judge):
    judge.repo.write("prompts/bad.yaml", BAD)
    judge.repo.commit("Bad", sign=False)
    judge.stage(**{"README.md": "x"})
    assert judge.check() == []


def test_works_from_a_folder_below_the_root(judge):
    from support import invoke

    judge.stage(**{REPLY: BAD})
    done = invoke("check", cwd=judge.repo.root / "models")
    assert done.code == 1
    assert done.out.startswith(REPLY)


def test_an_unmerged_file_cannot_be_judged(judge):
    judge.repo.git("switch", "-q", "-c", "topic")
    judge.repo.write(REPLY, TEXT)
    judge.repo.commit("Theirs", sign=False)
    judge.repo.git("switch", "-q", "main")
    judge.repo.write(REPLY, TEXT.replace("well", "fast"))
    judge.repo.commit("Ours", sign=False)
    judge.repo.git("merge", "-q", "topic", check=1)
    assert judge.repo.cli("check").code == 3
    assert judge.repo.cli("check", "--all").code == 3


@pytest.mark.parametrize(
    "name", ["prompts/with space/x.md", "prompts/new\nline.md", "prompts/ünï.md", 'prompts/"q".md']
)
def test_odd_paths_are_found_and_printed_safely(judge, name):
    judge.stage(**{name: "sk-" + "proj-" + "a1B2c3D4e5" * 3})
    done = judge.repo.cli("check")
    assert done.code == 1
    assert len([line for line in done.out.splitlines() if "PO109" in line]) == 2
    assert [each.rule for each in judge.check()] == ["PO109"]


def test_a_path_that_is_no_utf8_is_found(judge):
    path = os.fsencode(judge.repo.root) + b"/prompts/b\xffd.md"
    with open(path, "wb") as file:
        file.write(b"AKIA" + b"IOSFODNN7EXAMPLE")
    judge.repo.git("add", "-A")
    done = judge.repo.cli("check")
    assert (done.code, done.out.count("PO109")) == (1, 2)


def test_base_judges_the_committed_change_and_not_the_index(judge):
    judge.repo.git("switch", "-q", "-c", "topic")
    judge.repo.write(REPLY, BAD)
    judge.repo.commit("Bad", sign=False)
    judge.stage(**{REPLY: PROMPT})
    assert "PO104" in {each.rule for each in judge.check("--base", "main")}
    assert judge.check("--base", "HEAD") == []


def test_base_compares_with_the_merge_base_and_not_with_the_target(judge):
    judge.repo.git("switch", "-q", "-c", "topic")
    judge.repo.write("README.md", "x")
    judge.repo.commit("Docs", sign=False)
    judge.repo.git("switch", "-q", "main")
    judge.repo.write(REPLY, TEXT.replace("1.0.0", "1.0.1"))
    judge.repo.commit("Moves on", sign=False)
    judge.repo.git("switch", "-q", "topic")
    assert judge.check("--base", "main") == []


def test_base_finds_users_of_what_changed(judge):
    judge.stage(**{REPLY: PROMPT.replace("Answer the ticket.", "{% include 'tone.md' %}"), "prompts/tone.md": "x"})
    judge.repo.git("commit", "-q", "-m", "Include")
    judge.repo.git("switch", "-q", "-c", "topic")
    judge.stage(**{"prompts/tone.md": None})
    judge.repo.git("commit", "-q", "-m", "Delete")
    assert "PO107" in {each.rule for each in judge.check("--base", "main")}


@pytest.mark.parametrize("args", [("--base", "nowhere"), ("--base", "main", "--head", "nowhere")])
def test_unknown_revisions_cannot_be_judged(judge, args):
    done = judge.repo.cli("check", *args)
    assert (done.code, done.out) == (3, "")


def test_unrelated_histories_cannot_be_judged(judge):
    judge.repo.git("switch", "-q", "--orphan", "other")
    judge.repo.commit("Alone", sign=False)
    assert judge.repo.cli("check", "--base", "main").code == 3


def test_a_shallow_clone_without_tags_cannot_be_judged(judge, tmp_path):
    judge.release("1.0.0")
    judge.repo.write("README.md", "x")
    judge.repo.commit("More", sign=False)
    clone = tmp_path / "clone"
    subprocess.run(
        ["git", "clone", "-q", "--depth=1", "--no-tags", f"file://{judge.repo.root}", str(clone)], check=True
    )
    (clone / REPLY).write_text(TEXT)
    subprocess.run(["git", "-C", str(clone), "add", "-A"], check=True)
    from support import invoke

    done = invoke("check", cwd=clone)
    assert (done.code, "git fetch --unshallow --tags" in done.err) == (3, True)
    done = invoke("check", "--base", "origin/main~5", cwd=clone)
    assert (done.code, "git fetch --unshallow --tags" in done.err) == (3, True)


@pytest.mark.parametrize(
    "args", [("--base", "main", "--all"), ("--rules", "PO9"), ("--format", "xml"), ("--nonsense",), ("explain",)]
)
def test_wrong_usage(judge, args):
    assert judge.repo.cli("check", *args).code == 2


def test_rules_can_be_chosen(judge):
    judge.stage(**{REPLY: BAD})
    assert {each.rule for each in judge.check("--staged")} == {"PO104", "PO105", "PO301"}
    assert {each.rule for each in judge.check("--staged", "--rules", "PO3")} == {"PO301"}
    assert {each.rule for each in judge.check("--staged", "--rules", "PO104, PO105")} == {"PO104", "PO105"}


def test_text_names_place_rule_and_next_step(judge):
    judge.stage(**{REPLY: TEXT})
    lines = judge.repo.cli("check").out.splitlines()
    assert lines[0].startswith(f"{REPLY}:1:1: PO301 ")
    assert lines[1] == "  next: promptops bump reply   (writes 1.0.1)"
    assert "\033" not in "".join(lines)


def test_text_is_neutral(judge):
    judge.stage(**{REPLY: changed(model='"\\u202e\\e[2J"')})
    out = judge.repo.cli("check").out
    assert "\033" not in out
    assert "\u202e" not in out


def test_github_annotations_are_escaped_and_capped(judge, monkeypatch, tmp_path):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    forged = {f"prompts/a,b:{number}\n::error ::x.yaml": PROMPT for number in range(12)}
    judge.stage(**forged)
    lines = judge.repo.cli("check", "--format", "github").out.splitlines()
    annotations = [line for line in lines if line.startswith("::")]
    assert len(annotations) == 10
    assert all(line.startswith("::error file=prompts/a%2Cb%3A") for line in annotations)
    assert "2 more" in lines[10]
    assert (tmp_path / "summary.md").read_text().count("PO102") == 12


def test_enforcement_off_and_warn(judge):
    judge.stage(**{REPLY: BAD, "promptops.yaml": "version: 1\nenforcement: {PO301: warn, PO104: 'off'}\n"})
    assert {(each.rule, each.severity) for each in judge.check("--staged")} == {("PO301", "warn"), ("PO105", "block")}


def test_accepted_findings_stay_accepted_when_lines_move_and_new_ones_do_not(judge):
    settings = "version: 1\nenforcement: {baseline: .promptops/accepted.json}\n"
    judge.stage(**{"prompts/old.yaml": BAD, "promptops.yaml": settings})
    judge.repo.git("commit", "-q", "-m", "Old")
    assert judge.check("--all", "--write-baseline") == []
    judge.stage(**{"prompts/old.yaml": "# moved\n" + BAD})
    assert judge.check("--staged") == []
    found = judge(**{"prompts/old.yaml": BAD.replace("Answer the", "{{ other }}")})
    assert [each.message.split()[1] for each in found if each.rule == "PO104"] == ["other"]


def test_accepting_needs_a_file_inside_the_repository(judge):
    assert judge.repo.cli("check", "--all", "--write-baseline").code == 2
    judge.stage(**{"promptops.yaml": "version: 1\nenforcement: {baseline: ../outside.json}\n"})
    assert judge.repo.cli("check", "--all", "--write-baseline").code == 2


def test_a_clean_state_is_remembered_but_nothing_hides_behind_it(judge):
    assert judge.check("--all") == []
    memory = judge.repo.root / ".git" / "promptops" / "passed"
    assert memory.exists()
    judge.stage(**{"prompts/bad.yaml": BAD})
    assert judge.check("--all") != []
    judge.stage(**{"prompts/bad.yaml": PROMPT})
    assert judge.check("--all") == []
    judge.repo.git("commit", "-q", "-m", "Second")
    judge.repo.git("tag", "--no-sign", "-a", "-m", "x", "prompt/reply@v2.0.0")
    judge.stage(**{REPLY: TEXT})
    assert [each.rule for each in judge.check("--all")] == ["PO302"]


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b"\0" * 5000])
def test_a_damaged_memory_is_ignored(judge, damage):
    assert judge.check("--all") == []
    memory = judge.repo.root / ".git" / "promptops" / "passed"
    memory.write_bytes(damage)
    assert judge.check("--all") == []
    judge.stage(**{REPLY: BAD})
    assert judge.check("--all") != []


def test_many_prompts_on_all_cores_give_the_same_findings(judge):
    judge.stage(**{f"prompts/p{number}.yaml": BAD if number % 100 == 7 else PROMPT for number in range(420)})
    judge.repo.git("commit", "-q", "-m", "Many")
    expected = {f"prompts/p{number}.yaml" for number in range(7, 420, 100)}
    assert {each.path for each in judge.check("--all")} == expected


def test_the_short_way_into_a_hook_and_the_long_one_agree(judge):
    judge.stage(**{REPLY: BAD})
    assert judge.repo.cli("check") == judge.repo.cli("check", "--format", "text")
    assert judge.repo.cli("check", "--staged").out == judge.repo.cli("check", "--staged", "--head", "HEAD").out


def test_explain_covers_every_rule(registry):
    from promptops.checks import rules

    listed = registry.cli("explain").out.splitlines()
    assert [line.split()[0] for line in listed] == list(rules.ALL)
    for rule in rules.ALL:
        page = registry.cli("explain", rule.lower()).out
        assert page.startswith(f"{rule}: ")
        assert all(part in page for part in ("Why: ", "How to fix: ", "Example:"))
    assert [each["rule"] for each in json.loads(registry.cli("explain", "PO301", "--json").out)] == ["PO301"]
    assert registry.cli("explain", "PO999").code == 2


def test_more_changed_includes_than_fit_on_a_command_line(judge):
    judge.stage(**{REPLY: PROMPT.replace("Answer the ticket.", "{% include 'tone.md' %}"), "prompts/tone.md": "x"})
    judge.repo.commit("Include", sign=False)
    blob = judge.repo.git("hash-object", "-w", "--stdin", stdin="y")
    deep = "/".join(["prompts", *["d" * 200] * 10])
    names = ["prompts/tone.md", *(f"{deep}/{number}.md" for number in range(1200))]
    judge.repo.git("update-index", "--add", "--index-info", stdin="".join(f"100644 {blob}\t{name}\n" for name in names))
    assert {each.rule for each in judge.check("--staged") if each.path == REPLY} == {"PO301"}
