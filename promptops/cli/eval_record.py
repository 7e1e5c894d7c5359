"""``promptops eval record``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from promptops.cli import evaluating
from promptops.cli.opening import echo_json, json_option, open_registry
from promptops.errors import UsageError
from promptops.evaluation.recording import growing
from promptops.evaluation.recording.duplicates import NEAR
from promptops.registry import yaml
from promptops.repo import source
from promptops.repo.git import Git
from promptops.text import counted, printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from promptops.evaluation.recording.growing import Growth
    from promptops.registry.registry import Registry


@click.command(
    "record",
    epilog="\b\nExamples:\n  promptops eval record real-tickets --prompt support/reply\n"
    "  promptops eval record real-tickets --prompt support/reply --count 200 --plan",
)
@click.argument("suite")
@click.option("--prompt", metavar="PROMPT", required=True, help="Whose recorded requests become cases.")
@click.option("--from", "folder", metavar="DIR", help="Folder of recorded traffic; default: that of promptops.yaml.")
@click.option("--count", type=click.IntRange(1, 5000), default=50, show_default=True, help="Most cases to add.")
@click.option(
    "--near",
    type=click.FloatRange(0.1, 1.0),
    default=NEAR,
    show_default=True,
    help="Leave out what shares so many of its runs of three words with a case.",
)
@click.option("--keep-names", is_flag=True, help="Leave names of people in; without it the extra `record` is needed.")
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be added, and write nothing.")
@json_option
def command(suite: str, *, prompt: str, folder: str | None, only_plan: bool, as_json: bool, **options: Any) -> None:
    """Add recorded requests to SUITE in evals/, without e-mail addresses, long numbers and names.

    Cases and comments that are there stay as they are. Read what was added before you commit it: no program finds all
    that gives a person away.
    """
    with Git() as git:
        registry = open_registry(git, None)
        variables = registry.prompt(prompt).variables
        path = f"evals/{suite}.yaml"
        there = registry.source.read(path)
        known = evaluating.read_suites(registry, [suite])[0] if there is not None else None
        grown = growing.grow(
            _folder(git, registry, folder),
            prompt,
            variables,
            known,
            count=options["count"],
            near=options["near"],
            names=not options["keep_names"],
        )
        if grown.cases and not only_plan:
            data = (
                growing.new_file(prompt, grown.cases)
                if there is None
                else growing.grown(yaml.load(there, path), grown.cases)
            )
            growing.check(data, path)
            source.replace(git.root, path, data)
    _report(path, grown, written=bool(grown.cases) and not only_plan, as_json=as_json)


def _folder(git: Git, registry: Registry, given: str | None) -> str:
    if given is not None:
        return os.path.abspath(given)
    recorded: Mapping[str, Any] = registry.project.traffic or {}
    if not recorded.get("path"):
        raise UsageError(
            "no traffic is recorded", hint="set traffic: {path: ...} in promptops.yaml, or give --from DIR"
        )
    return os.path.normpath(os.path.join(git.root, recorded["path"]))


def _report(path: str, grown: Growth, *, written: bool, as_json: bool) -> None:
    if as_json:
        kept = {"cases": grown.cases, "looked_at": grown.looked_at, "total": grown.total}
        echo_json({"path": path, "written": written, **kept, "left_out": grown.left_out, "redacted": grown.redacted})
        return
    verb = "added to" if written else "to add to"
    click.echo(f"{counted(len(grown.cases), 'case')} {verb} {printable(path)}")
    click.echo(f"looked at {grown.looked_at:,} of {counted(grown.total, 'recorded request')}")
    for title, counts in (("left out", grown.left_out), ("redacted", grown.redacted)):
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) or "nothing"
        click.echo(f"{title}: {told}")
