"""What commands that sign or judge share: the key, and the branch that takes the change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from promptops.errors import UsageError
from promptops.repo.git import GitError

if TYPE_CHECKING:
    from collections.abc import Callable

    from promptops.repo.git import Git

# What follows a change of the policy in the work tree.
SIGN = "  next: a root runs `promptops policy sign`; then commit .promptops and have the change reviewed"

key_option: Callable[[Any], Any] = click.option(
    "--key",
    metavar="FILE",
    help="SSH key to sign with, or kms:URI#PUBLIC_KEY_FILE for envelopes; "
    "default: PROMPTOPS_SIGNING_KEY, else git's user.signingkey.",
)
base_option: Callable[[Any], Any] = click.option(
    "--base", metavar="REV", help="The branch that takes the change; default: the protected one, the remote's if known."
)


def people_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --solo and --person, which say whose policy is set up."""
    person = click.option(
        "--person",
        "people",
        multiple=True,
        metavar="NAME=PRINCIPAL[=KEY.pub]",
        help="Somebody who may change prompts; repeatable; default: you. "
        "Without a file the key is yours, or comes later.",
    )
    solo = click.option("--solo", is_flag=True, help="Ask for no approvals; every release says so.")
    return solo(person(command))


def known_target(git: Git) -> str | None:
    """Return the protected branch, or None in a repository that has none yet."""
    from promptops.trust import requests

    try:
        return requests.default_target(git)
    except (GitError, UsageError):
        return None
