"""``promptops show``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from promptops.cli.opening import at_option, echo_json, json_option, open_registry
from promptops.repo import tags
from promptops.repo.git import Git
from promptops.text import printable

if TYPE_CHECKING:
    from promptops.registry.configuration import Configuration


@click.command(
    epilog="\b\nExamples:\n  promptops show support/reply --at HEAD~3\n  promptops show support/reply@1.3.0 --json"
)
@click.argument("prompt", metavar="PROMPT|RELEASE")
@at_option
@json_option
def command(prompt: str, revision: str | None, as_json: bool) -> None:
    """Show a PROMPT as the work tree or a revision has it, or the manifest of a RELEASE.

    A release is named NAME@VERSION or prompt/NAME@vVERSION. Its signatures are not judged; promptops verify does that.
    """
    with Git() as git:
        if "@" in prompt:
            _show_release(git, prompt, as_json=as_json)
            return
        configuration = open_registry(git, revision).configuration(prompt)
        released = [tag.tag for tag in tags.releases(git, prompt)]
    described = _described(configuration, released)
    if as_json:
        echo_json(described)
        return
    _report(configuration, described)


def _show_release(git: Git, name: str, *, as_json: bool) -> None:
    from promptops.release import bundle, stored

    found = stored.read(git, stored.short_name(name))
    if as_json:
        echo_json(found.manifest.statement())
        return
    message = found.tag.message.partition(bundle.BEGIN)[0]
    click.echo(printable(message.decode("utf-8", "replace").rstrip(), keep_newlines=True))
    click.echo(f"  next: promptops verify {found.manifest.tag}", err=True)


def _described(configuration: Configuration, released: list[str]) -> dict[str, Any]:
    prompt = configuration.prompt
    return {
        "name": prompt.name,
        "version": prompt.version,
        "description": prompt.description,
        "owners": list(prompt.owners),
        "digest": configuration.digest,
        "model": {"name": prompt.model, **configuration.model_identity},
        "parameters": configuration.parameters(),
        "variables": prompt.variables,
        "messages": prompt.messages,
        "includes": configuration.includes,
        "output": prompt.output,
        "tools": prompt.tools,
        "context": prompt.context,
        "evals": list(prompt.evals),
        "releases": released,
    }


def _report(configuration: Configuration, described: dict[str, Any]) -> None:
    rows = {
        "prompt": f"{described['name']} {described['version']}",
        "about": described["description"],
        "owners": ", ".join(described["owners"]),
        "digest": described["digest"],
        "model": f"{described['model']['name']} ({configuration.model.provider} {configuration.model.id})",
        "parameters": " ".join(f"{name}={value}" for name, value in described["parameters"].items()),
        "variables": " ".join(described["variables"]),
        "includes": " ".join(described["includes"]),
        "evals": " ".join(described["evals"]),
        "releases": " ".join(described["releases"]) or "none",
    }
    for label, text in rows.items():
        if text:
            click.echo(f"{label:<11} {printable(text)}")
    for message in described["messages"]:
        click.echo(click.style(f"\n[{message['role']}]", bold=True))
        click.echo(printable(message["content"], keep_newlines=True))
