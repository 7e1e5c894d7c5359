"""All governed files of one state: includes, models, suites, and the same answer from every source."""

from __future__ import annotations

import os

import pytest
from support import MODEL, PROMPT, changed, make_registry

from promptops.errors import InputError
from promptops.registry.registry import Registry
from promptops.registry.templates import include_path
from promptops.repo.git import Git
from promptops.repo.source import IndexSource, TreeSource, WorktreeSource


def registry_of(repo, kind="worktree"):
    git = Git(str(repo.root))
    if kind == "worktree":
        return Registry(WorktreeSource(git.root))
    return Registry(IndexSource(git) if kind == "index" else TreeSource(git, "HEAD"))


def with_message(text: str) -> str:
    return changed(messages=f"[{{role: system, content: {text!r}}}]")


@pytest.fixture
def project(tmp_path):
    repo = make_registry(tmp_path, **{"support/reply": with_message("{% include 'shared/a.md' %}"), "other": PROMPT})
    repo.write("prompts/shared/a.md", "A{% include 'shared/b.md' %}\r\n")
    repo.write("prompts/shared/b.md", "B")
    repo.write("prompts/Bad Name.yaml", PROMPT)
    repo.commit("Add")
    return repo


@pytest.mark.parametrize("kind", ["worktree", "index", "tree"])
def test_every_source_gives_the_same_configuration(project, kind):
    registry = registry_of(project, kind)
    assert registry.names() == ["other", "support/reply"]
    configuration = registry.configuration("support/reply")
    assert configuration.includes == {"shared/a.md": "A{% include 'shared/b.md' %}\n", "shared/b.md": "B"}
    assert configuration.render({"ticket": "x"})["messages"][0]["content"] == "AB\n"
    assert configuration.digest == registry_of(project).configuration("support/reply").digest
    assert registry.model("gpt").id == "gpt-4o-2024-11-20"
    assert registry.project.canary.share == 0.05


def test_sources_differ_exactly_in_what_was_not_staged_or_committed(project):
    before = registry_of(project, "tree").configuration("other").digest
    project.write("prompts/other.yaml", with_message("new"))
    assert registry_of(project).configuration("other").digest != before
    assert registry_of(project, "index").configuration("other").digest == before
    project.git("add", "-A")
    assert registry_of(project, "index").configuration("other").digest != before
    assert registry_of(project, "tree").configuration("other").digest == before


@pytest.mark.parametrize("kind", ["worktree", "index", "tree"])
@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"prompts/x.yaml": with_message("{% include 'x/a.md' %}"), "prompts/x/a.md": "{% include 'x/b.md' %}", "prompts/x/b.md": "{% include 'x/a.md' %}"}, "circle"),
        ({"prompts/x.yaml": with_message("{% include 'nowhere.md' %}")}, "does not exist"),
        ({"prompts/x.yaml": with_message("{% include '../promptops.yaml' %}")}, "not a plain path"),
        ({"prompts/x.yaml": with_message("{% include 'other.yaml' %}")}, "a prompt of its own"),
        ({"prompts/x.yaml": with_message("{% include 'latin.md' %}"), "prompts/latin.md": b"\xe9"}, "not UTF-8"),
        ({"prompts/x.yaml": with_message("{{ }}")}, "template"),
        ({"prompts/x.yaml": with_message("{% include 'bad.md' %}"), "prompts/bad.md": "a\n{% if %}"}, "template"),
        ({"prompts/x.yaml": changed(model="missing")}, "no model missing"),
        ({"prompts/x.yaml": changed(model="broken"), "models/broken.yaml": "id: x\n"}, "provider"),
        ({"prompts/x.yaml": "just text\n"}, "object"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_broken_configuration_is_refused_with_its_file(project, kind, files, words):
    for path, content in files.items():
        project.write(path, content)
    project.commit()
    with pytest.raises(InputError, match=words) as caught:
        registry_of(project, kind).configuration("x")
    assert caught.value.path in files


def test_a_chain_of_includes_has_a_limit(project):
    for number in range(101):
        project.write(f"prompts/c/{number}.md", f"{{% include 'c/{number + 1}.md' %}}")
    project.write("prompts/c/101.md", "end")
    project.write("prompts/x.yaml", with_message("{% include 'c/0.md' %}"))
    with pytest.raises(InputError, match="more than 100 included files"):
        registry_of(project).configuration("x")


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../x", "a/../../x", "a/../b", "./a", "a//b", "a\\b", "", ".", "a\0b", "a\nb"]
)
def test_includes_stay_below_prompts(name):
    with pytest.raises(InputError, match="not a plain path"):
        include_path(name)


def test_links_are_not_followed_in_the_work_tree(project, tmp_path):
    (tmp_path / "secret.md").write_text("secret")
    (tmp_path / "secret.yaml").write_text(PROMPT)
    os.symlink(tmp_path / "secret.md", project.root / "prompts" / "link.md")
    os.symlink(tmp_path, project.root / "prompts" / "folder")
    os.symlink(tmp_path / "secret.yaml", project.root / "prompts" / "secret.yaml")
    registry = registry_of(project)
    with pytest.raises(InputError, match="symbolic links are not followed"):
        registry.configuration("secret")
    for name in ("link.md", "folder/secret.md"):
        project.write("prompts/x.yaml", with_message(f"{{% include '{name}' %}}"))
        with pytest.raises(InputError, match="symbolic links are not followed"):
            registry_of(project).configuration("x")
    with pytest.raises(InputError, match="symbolic links are not followed"):
        registry.prompt("folder/secret")


def test_links_are_not_read_as_prompts_from_git(project):
    os.symlink("other.yaml", project.root / "prompts" / "link.yaml")
    os.symlink("shared/b.md", project.root / "prompts" / "link.md")
    project.write("prompts/x.yaml", with_message("{% include 'link.md' %}"))
    project.commit()
    for kind in ("index", "tree"):
        for name in ("link", "x"):
            with pytest.raises(InputError, match="symbolic links are not followed"):
                registry_of(project, kind).configuration(name)


def test_a_missing_suite_and_a_missing_prompt_say_what_to_do(project):
    with pytest.raises(InputError, match="no suite nope") as caught:
        registry_of(project).suite_document("nope")
    assert caught.value.hint == "create evals/nope.yaml"
    with pytest.raises(InputError, match="no prompt nope") as caught:
        registry_of(project).prompt("nope")
    assert caught.value.hint == "promptops list"
    with pytest.raises(InputError, match="not a prompt name"):
        registry_of(project).prompt("../x")
    assert MODEL
