"""What authors' commands share: which files they look at, how results are printed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from promptops.registry.registry import Registry
    from promptops.repo.git import Git

at_option: Callable[[Any], Any] = click.option(
    "--at", "revision", metavar="REV", help="Read a commit, branch or tag instead of the work tree."
)
json_option: Callable[[Any], Any] = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on standard output."
)


def open_registry(git: Git, revision: str | None) -> Registry:
    """Return the registry at ``revision``, or of the work tree when it is None.

    Raises:
        GitError: not a repository, a bare one without ``revision``, or no such commit.
    """
    # Commands that print JSON and open no registry, such as log, start without a YAML reader.
    from promptops.registry.registry import Registry
    from promptops.repo.source import TreeSource, WorktreeSource

    return Registry(WorktreeSource(git.root) if revision is None else TreeSource(git, revision))


def echo_json(value: Any) -> None:
    """Print ``value`` as indented JSON in ASCII, so that no text in it can steer a terminal."""
    click.echo(json.dumps(value, indent=2))
