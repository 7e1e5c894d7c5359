from __future__ import annotations

import pytest
from reviewing import PROMPT, change, judge
from support import Repo, prompt

from promptops.errors import PromptopsError
from promptops.repo.git import Git
from promptops.trust.landings import Landings


def used_up(repo, base, *, tip="main", head="HEAD"):
    with Git(str(repo.root)) as git:
        (subject,) = judge(repo, target=tip, head=head).subjects
        return Landings(git, git.commit(tip), git.commit(head)).used_up(subject, base)


def taken_back(repo):
    """Main held the prompt of the branch ``topic`` and holds the one before it again; return its first commit."""
    start = change(repo)
    repo.git("switch", "-q", "main")
    repo.git("merge", "-q", "--squash", "topic")
    repo.commit("Squashed")
    repo.git("revert", "--no-edit", "HEAD")
    repo.git("switch", "-q", "-c", "again")
    repo.git("revert", "--no-edit", "HEAD")
    return repo.git("rev-parse", f"{start}~1")


def test_content_that_was_taken_back_since_is_used_up(project):
    base = taken_back(project)
    project.git("config", "log.showRoot", "false")
    project.git("config", "diff.relative", "true")
    assert used_up(project, base)
    assert not used_up(project, project.git("rev-parse", "main"))
    assert used_up(project, project.git("rev-parse", "main~1"))


@pytest.mark.parametrize("base", [None, "", "0" * 40, "HEAD", "main", "--output=made", "x" * 40])
def test_what_is_no_commit_stands_for_the_beginning(project, base):
    """The base is read before the signature over it is verified."""
    taken_back(project)
    assert used_up(project, base)
    assert not (project.root / "made").exists()


def test_a_side_branch_and_what_only_a_merge_made_are_the_branchs_past(project):
    base = project.git("rev-parse", "main")
    change(project, branch="side")
    project.write(PROMPT, prompt("Be brief, then.", version="1.1.0"))
    project.commit("Think again")
    project.git("switch", "-q", "main")
    project.git("merge", "-q", "--no-ff", "--no-commit", "side")
    project.write(PROMPT, prompt("Made by the merge.", version="1.1.0"))
    project.commit("Merge side")
    project.write(PROMPT, prompt())
    project.commit("Take it back")
    for text, expected in (("Be brief.", True), ("Made by the merge.", True), ("Never seen.", False)):
        project.git("switch", "-q", "-C", "again", "main")
        project.write(PROMPT, prompt(text, version="1.1.0"))
        project.commit("Once more")
        assert used_up(project, base) is expected, text


def test_a_file_that_shapes_the_prompt_makes_it_other_content(project):
    """The prompt's own file may be as it was; its model decides too."""
    base = taken_back(project)
    project.write("models/gpt-4o.yaml", project.read("models/gpt-4o.yaml").replace("\nid: gpt-4o", "\nid: gpt-5"))
    project.commit("Another model")
    with Git(str(project.root)) as git:
        judged = judge(project).subjects
        landings = Landings(git, git.commit("main"), git.commit("HEAD"))
        assert [each.name for each in judged] == ["prompt/support/reply", "models/gpt-4o.yaml"]
        assert not any(landings.used_up(each, base) for each in judged)


def test_a_shallow_clone_does_not_guess(project, tmp_path):
    base = taken_back(project)
    clone = Repo(tmp_path / "clone", project.home, project.people)
    project.git("clone", "-q", "--depth=2", "--no-single-branch", f"file://{project.root}", str(clone.root))
    clone.git("switch", "-q", "again")
    with pytest.raises(PromptopsError, match="shallow clone") as caught:
        used_up(clone, base, tip="origin/main")
    assert "--unshallow" in caught.value.hint
