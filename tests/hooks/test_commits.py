"""What the hooks stop and let pass, under the runners that people use."""

from __future__ import annotations

import pytest
from hooking import Hooked
from support import PROMPT, make_registry

REPLY = "prompts/reply.yaml"
TEXT = PROMPT.replace("Answer the ticket.", "Answer it well.")
GOOD = TEXT.replace("1.0.0", "1.0.1")
BAD = PROMPT.replace("{{ ticket }}", "{{ tiket }}")
INCLUDING = PROMPT.replace("Answer the ticket.", "{% include 'shared/tone of voice.md' %}").replace("1.0.0", "1.0.1")
TONE = "prompts/shared/tone of voice.md"


def test_stops_a_bad_commit_and_passes_a_good_one(hooked):
    stopped = hooked.commit(**{REPLY: TEXT})
    assert stopped.returncode == 1
    assert "PO301" in stopped.stdout + stopped.stderr
    assert hooked.commit(**{REPLY: GOOD}).returncode == 0


def test_stops_deletion_and_renaming_of_what_others_use(hooked):
    assert hooked.commit(**{REPLY: INCLUDING, TONE: "Kind."}).returncode == 0
    assert hooked.commit(**{TONE: None}).returncode == 1
    hooked.repo.git("reset", "-q", "--hard")
    hooked.repo.git("mv", TONE, "prompts/shared/other.md")
    assert hooked.commit().returncode == 1
    hooked.repo.git("reset", "-q", "--hard")
    hooked.repo.git("mv", "models/gpt.yaml", "models/new.yaml")
    assert hooked.commit().returncode == 1


def test_stops_a_change_of_a_shared_file_alone(hooked):
    hooked.commit(**{REPLY: INCLUDING, TONE: "Kind."})
    assert hooked.commit(**{TONE: "Rude."}).returncode == 1
    assert hooked.commit(**{TONE: "Rude.", REPLY: INCLUDING.replace("1.0.1", "1.0.2")}).returncode == 0


def test_judges_what_is_staged_and_not_what_lies_about(hooked):
    hooked.repo.write(REPLY, TEXT)
    hooked.repo.git("add", "-A")
    hooked.repo.write(REPLY, GOOD)
    assert hooked.run("git", "commit", "-q", "-m", "x").returncode == 1
    hooked.repo.git("add", "-A")
    hooked.repo.write(REPLY, BAD)
    assert hooked.run("git", "commit", "-q", "-m", "x").returncode == 0
    assert hooked.repo.read(REPLY) == BAD


@pytest.mark.parametrize("folder", ["with space", "ünï", "new\nline", 'quote" and \t tab'])
def test_stops_secrets_at_odd_paths(hooked, folder):
    assert hooked.commit(**{f"prompts/{folder}/x.md": "AKIA" + "IOSFODNN7EXAMPLE"}).returncode == 1


def test_a_path_with_a_newline_hides_nothing_and_is_never_included(hooked):
    odd = "prompts/shared/tone\nof voice.md"
    assert hooked.commit(**{REPLY: INCLUDING, TONE: "Kind.", odd: "Kind."}).returncode == 0
    hooked.repo.git("rm", "-q", odd)
    hooked.repo.git("mv", TONE, odd)
    renamed = hooked.commit()
    assert (renamed.returncode, "PO107" in renamed.stdout + renamed.stderr) == (1, True)
    named = hooked.commit(**{REPLY: INCLUDING.replace("shared/tone of voice.md", "shared/tone\\nof voice.md")})
    assert named.returncode == 1
    assert "is not a plain path below prompts/" in named.stdout + named.stderr


def test_stops_a_prompt_whose_name_has_a_newline_and_tells_it_on_one_line(hooked):
    stopped = hooked.commit(**{"prompts/reply\n.yaml": PROMPT})
    assert stopped.returncode == 1
    assert "prompts/reply\\n.yaml:1:1: PO102 not a prompt name" in stopped.stdout + stopped.stderr


def test_stops_a_merge_that_breaks_what_each_side_kept_whole(hooked):
    hooked.commit(**{TONE: "Kind."})
    hooked.repo.git("switch", "-q", "-c", "topic")
    assert hooked.commit(**{REPLY: INCLUDING}).returncode == 0
    hooked.repo.git("switch", "-q", "main")
    assert hooked.commit(**{TONE: None}).returncode == 0
    merged = hooked.run("git", "merge", "--no-edit", "topic")
    assert merged.returncode != 0
    assert "PO107" in merged.stdout + merged.stderr


def test_lets_a_clean_merge_pass(hooked):
    hooked.repo.git("switch", "-q", "-c", "topic")
    hooked.commit(**{REPLY: GOOD})
    hooked.repo.git("switch", "-q", "main")
    hooked.commit(**{"prompts/second.yaml": PROMPT})
    assert hooked.run("git", "merge", "--no-edit", "topic").returncode == 0


def test_stops_a_push_of_what_a_hook_did_not_see(hooked):
    assert hooked.push("main").returncode == 0
    assert hooked.commit("--no-verify", **{REPLY: TEXT}).returncode == 0
    hooked.repo.write(REPLY, GOOD)
    hooked.repo.git("add", "-A")
    assert hooked.push("main").returncode != 0
    hooked.run("git", "commit", "-q", "-m", "Mend")
    assert hooked.push("main").returncode == 0


def test_stops_a_first_push(hooked):
    hooked.commit("--no-verify", **{"prompts/new.yaml": BAD})
    assert hooked.push("main").returncode != 0


def test_judges_everything_when_asked_for_all_files(hooked):
    command = (hooked.runner, "run", "--all-files")
    assert hooked.run(*command).returncode == 0
    hooked.commit("--no-verify", **{"prompts/new.yaml": BAD})
    assert hooked.run(*command).returncode == 1


def test_judges_a_range_when_asked_for_one(hooked):
    before = hooked.repo.git("rev-parse", "HEAD")
    hooked.commit("--no-verify", **{"prompts/new.yaml": BAD})
    bad = hooked.repo.git("rev-parse", "HEAD")
    hooked.repo.git("tag", "--no-sign", "-a", "-m", "x", "marked")
    hooked.commit("--no-verify", **{"prompts/new.yaml": PROMPT})
    command = (hooked.runner, "run", "--from-ref", before, "--to-ref")
    assert hooked.run(*command, bad).returncode == 1
    assert hooked.run(*command, "marked").returncode == 1
    assert hooked.run(*command, "HEAD").returncode == 0


def test_what_a_client_hook_cannot_see(hooked):
    """Why `promptops check --base` runs in CI and `release` and `verify` check again."""
    hooked.push("main")
    assert hooked.commit("--no-verify", **{REPLY: TEXT}).returncode == 0
    assert hooked.run("git", "push", "-q", "--no-verify", "origin", "main").returncode == 0
    hooked.repo.git("tag", "--no-sign", "-a", "-m", "x", "prompt/reply@v9.0.0")
    assert hooked.push("prompt/reply@v9.0.0").returncode == 0
    hooked.repo.git("switch", "-q", "-c", "other", "HEAD~1")
    assert hooked.run("git", "cherry-pick", "main").returncode == 0
    assert hooked.repo.cli("check", "--base", "HEAD~1").code == 1


def test_the_fixer_writes_the_version_stages_nothing_and_passes_the_second_time(tmp_path, runner):
    hooked = Hooked(make_registry(tmp_path), runner, "promptops-bump", "promptops-check")
    stopped = hooked.commit(**{REPLY: TEXT})
    assert stopped.returncode == 1
    assert "1.0.0 -> 1.0.1" in stopped.stdout + stopped.stderr
    assert hooked.repo.read(REPLY) == GOOD
    assert hooked.repo.git("show", f":{REPLY}") + "\n" == TEXT
    assert hooked.commit().returncode == 0


def test_reviews_are_asked_for_where_a_push_reaches_a_protected_branch(pending, runner):
    pending.git("switch", "-q", "main")
    hooked = Hooked(pending, runner, "promptops-reviewed")
    pending.git("push", "-q", "--no-verify", "origin", "main")
    pending.git("switch", "-q", "topic")
    pending.git("merge", "-q", "--no-edit", "main")
    assert hooked.push("topic").returncode == 0
    refused = hooked.push("topic:main")
    assert refused.returncode != 0
    assert "PO401" in refused.stdout + refused.stderr
    pending.promptops("review", "approve", by="bob")
    pending.commit("Approve", by="bob")
    assert hooked.push("topic:main").returncode == 0


def test_a_policy_that_nobody_signed_is_stopped(project, runner):
    hooked = Hooked(project, runner, "promptops-policy")
    text = project.read(".promptops/policy.yaml").replace("default: 1", "default: 0")
    assert hooked.commit(**{".promptops/policy.yaml": text}).returncode == 1
