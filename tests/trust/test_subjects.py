from __future__ import annotations

from reviewing import PROMPT, approved, judge, reasons, requested
from support import prompt


def test_comment_and_description_do_not_void_an_approval(reviewed):
    reviewed.write(PROMPT, "# a note\n" + prompt("Be brief.", version="1.1.0"))
    reviewed.commit("Note")
    assert judge(reviewed).satisfied


def test_dropping_a_suite_needs_approval(project):
    project.write("evals/safety.yaml", "x: 1\n")
    project.write(PROMPT, prompt(extra="evals: [safety]\n"))
    project.commit("Suites")
    project.git("switch", "-q", "-c", "topic")
    project.write(PROMPT, prompt())
    project.commit("Drop")
    assert [each.name for each in judge(project).subjects] == ["prompt/support/reply"]


def test_shared_include_is_covered_by_the_prompts_that_use_it(project):
    project.write("prompts/shared/tone.md", "Be kind.\n")
    project.write("prompts/unused.md", "x\n")
    project.write(PROMPT, prompt("{% include 'shared/tone.md' %}"))
    project.commit("Include")
    project.git("switch", "-q", "-c", "topic")
    project.write("prompts/shared/tone.md", "Be short.\n")
    project.write("prompts/unused.md", "y\n")
    project.commit("Tone")
    assert [each.name for each in judge(project).subjects] == ["prompt/support/reply", "prompts/unused.md"]


def test_model_change_covers_its_prompts_and_the_file(project):
    project.git("switch", "-q", "-c", "topic")
    project.write(
        "models/gpt-4o.yaml", project.read("models/gpt-4o.yaml").replace("id: gpt-4o-2024-11-20", "id: gpt-5", 1)
    )
    project.commit("Model")
    assert [each.name for each in judge(project).subjects] == ["prompt/support/reply", "models/gpt-4o.yaml"]


def test_deleted_file_is_a_subject(project):
    project.git("switch", "-q", "-c", "topic")
    project.git("rm", "-q", PROMPT)
    project.commit("Delete")
    judged = judge(project)
    assert [each.title for each in judged.subjects] == [f"{PROMPT} (deleted)"]
    requested(project)
    approved(project)
    assert judge(project).satisfied


def test_going_back_to_an_older_file_needs_approval(project):
    for text, branch in (("a: 1\n", "one"), ("a: 2\n", "two"), ("a: 1\n", "three")):
        project.git("switch", "-q", "-c", branch, "main")
        project.write("evals/suite.yaml", text)
        project.commit("Suite")
        if branch == "three":
            assert "a request was given when it replaced nothing" in reasons(judge(project))
            return
        requested(project)
        approved(project)
        project.git("switch", "-q", "main")
        project.git("merge", "-q", "--ff-only", branch)


def test_symbolic_link_cannot_be_approved(project):
    project.git("switch", "-q", "-c", "topic")
    (project.root / "evals").mkdir()
    (project.root / "evals/suite.yaml").symlink_to("/etc/passwd")
    project.commit("Link")
    assert "cannot be approved" in reasons(judge(project))


def test_ungoverned_files_need_nothing(project):
    project.git("switch", "-q", "-c", "topic")
    project.write("README.md", "x\n")
    project.write("src/app.py", "x\n")
    project.commit("Code", sign=False)
    judged = judge(project)
    assert judged.satisfied
    assert judged.subjects == ()
