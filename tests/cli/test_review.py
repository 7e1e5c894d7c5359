from __future__ import annotations

import json

from reviewing import PROMPT, approved, change, judge, requested
from support import prompt


def test_status_and_verify_say_the_same(project):
    change(project)
    assert "promptops review request" in project.promptops("review", "status").stderr
    document = json.loads(project.promptops("review", "verify", "--json", check=1).stdout)
    assert document["missing"]
    assert not document["satisfied"]
    requested(project)
    assert "somebody other than alice" in project.promptops("review", "status").stderr
    approved(project)
    document = json.loads(project.promptops("review", "verify", "--json").stdout)
    assert document["satisfied"]
    assert document["subjects"][0]["approved_by"] == ["bob"]


def test_approve_by_file_and_by_branch(project):
    change(project)
    path = project.promptops("review", "request", "-m", "why").stdout.strip()
    shown = project.promptops("review", "approve", path, by="bob").stderr
    assert "prompt/support/reply 1.1.0" in shown
    assert "alice: why" in shown
    project.commit("Both at once")
    assert judge(project).satisfied
    project.git("switch", "-q", "main")
    project.promptops("review", "approve", "topic", by="carol")


def test_approve_without_request_or_with_an_outdated_one(project):
    change(project)
    assert "nobody has requested" in project.promptops("review", "approve", by="bob", check=1).stderr
    requested(project)
    project.write(PROMPT, prompt("Other.", version="1.1.0"))
    project.write("models/gpt-4o.yaml", project.read("models/gpt-4o.yaml") + "# new\n")
    project.write("promptops.yaml", "version: 1\n# new\n")
    project.commit("Change again")
    refused = project.promptops("review", "approve", by="bob", check=1).stderr
    assert "a request is for other content" in refused
    assert "not in allowed_signers" in project.promptops("review", "approve", by="mallory", check=1).stderr


def test_a_link_names_nobody_who_could_approve_it(project):
    project.git("switch", "-q", "-c", "topic")
    (project.root / "prompts/link.md").symlink_to("../README.md")
    project.commit("Link")
    done = project.promptops("review", "verify", check=1)
    assert "commit the file itself" in done.stdout
    assert "somebody other than" not in done.stderr
