"""One bump from a plan to an exit code; needs no command line library."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from promptops.checks import bump
from promptops.repo.git import Git
from promptops.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable


def run(plan: Callable[[Git], list[bump.Bump]], *, dry_run: bool = False, found: int = 0) -> int:
    """Carry a plan out, say what was written and return the exit code.

    Args:
        plan: returns what is to be written in a repository.
        dry_run: write nothing.
        found: the exit code where there is something to write.
    """
    with Git() as git:
        planned = plan(git)
        if not dry_run:
            bump.write(planned, git.root)
    verb = "would write" if dry_run else "wrote"
    lines = [printable(f"{verb} {each.path}: {each.old} -> {each.new} ({each.reason})") for each in planned]
    sys.stdout.writelines(f"{line}\n" for line in lines or ["every version is legal as it stands; nothing to do"])
    return found if planned else 0
