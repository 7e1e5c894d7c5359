"""PO117: a plan is for a prompt or an environment that does not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.checks.finding import Finding
from promptops.checks.rule import ChangeSubject, Text, exists
from promptops.errors import InputError
from promptops.registry.governed import PROJECT, ROLLOUTS, schema_of
from promptops.registry.prompt import PROMPTS, is_name, is_prompt, prompt_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promptops.registry.project import Project

ID = "PO117"
TEXT = Text(
    title="A rollout plan is for nothing that exists",
    why="A rollout finds its plan by the prompt's name, so that a plan with another name protects nobody.",
    fix="Name the file as the prompt (rollouts/support/reply.yaml), or correct `prompt` or `environment`.",
    example="prompt: suport/reply     # there is prompts/support/reply.yaml",
)


def check(subject: ChangeSubject) -> Iterator[Finding]:
    """Yield a finding for each plan whose prompt or environment does not exist, where a change touches any of them."""
    plans = sorted(_plans(subject))
    if not plans:
        return
    from promptops.registry.project import parse_project

    try:
        project = parse_project(PROJECT, subject.source.read(PROJECT))
    except InputError:
        # PO101 reports what is wrong with it.
        return
    for path in plans:
        yield from _plan(subject, project, path)


def _plans(subject: ChangeSubject) -> set[str]:
    """Return the plans that a change may concern."""
    if PROJECT in subject.paths:
        return {path for path in subject.source.entries(ROLLOUTS) if schema_of(path) == "rollout"}
    # Listing a large repository would slow every hook; asking for a file does not.
    named = {f"{ROLLOUTS}{path.removeprefix(PROMPTS)}" for path in subject.paths if is_prompt(path)}
    named |= {path for path in subject.paths if schema_of(path) == "rollout"}
    return {path for path in named if exists(subject.source, path)}


def _plan(subject: ChangeSubject, project: Project, path: str) -> Iterator[Finding]:
    from promptops.registry import schemas, yaml

    try:
        document = yaml.load(subject.source.read(path) or b"", path)
        schemas.check_document("rollout", document)
    except InputError:
        return
    own = path.removeprefix(ROLLOUTS).removesuffix(".yaml")
    prompt = document.value.get("prompt", own)
    if prompt != own:
        hint = f"name the file {ROLLOUTS}{prompt}.yaml" if is_name(prompt) else "leave it out"
        yield Finding(path, *document.where(("prompt",)), ID, f"the plan is for {prompt}, and its file is not", hint)
    elif not is_name(prompt) or not exists(subject.source, prompt_path(prompt)):
        yield Finding(path, *document.where(("prompt",)), ID, f"there is no prompt {prompt}", "promptops list")
    environment = document.value.get("environment", "prod")
    if environment not in project.environments:
        known = ", ".join(sorted(project.environments))
        place = document.where(("environment",))
        yield Finding(path, *place, ID, f"promptops.yaml has no environment {environment}", f"one of: {known}")
