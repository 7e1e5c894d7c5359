"""Which prompts a change reaches."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from promptops.errors import InputError
from promptops.registry.prompt import EVALS, MODELS, PROMPTS, is_model, is_prompt, prompt_name
from promptops.repo.git import failure
from promptops.repo.source import SUBMODULE, SYMLINK

if TYPE_CHECKING:
    from promptops.checks.scope import Scope

# YAML and Jinja2 can spell a name with escapes, or break it over lines, where a search for its text finds nothing.
_ESCAPED = r"\\([0-9xuUN/]|$)"
_SPECIAL = re.compile(r"([][.*+?(){}|^$\\])")


def prompts(scope: Scope) -> list[str]:
    """Return the names of the prompts to judge, sorted: the changed ones and those that use a changed file."""
    paths = [
        path
        for path, entry in scope.changed.items()
        if is_prompt(path) and entry is not None and entry.mode not in {SYMLINK, SUBMODULE}
    ]
    if not scope.whole:
        paths += _users(scope)
    return sorted({name for path in paths if (name := _name(path))})


def _name(path: str) -> str | None:
    try:
        return prompt_name(path)
    except InputError:
        return None


def _users(scope: Scope) -> set[str]:
    """Return prompt files that mention a changed include or model, or a deleted suite; some may not use it at all."""
    wanted = {needle for path, entry in scope.changed.items() if (needle := _needle(path, gone=entry is None))}
    found: set[str] = set()
    searched: set[str] = set()
    while wanted:
        searched |= wanted
        hits = _grep(scope, wanted)
        found |= {path for path in hits if is_prompt(path)}
        # An include that mentions a changed include changes as well.
        wanted = {needle for path in hits if (needle := _needle(path, gone=False))} - searched
    return found


def _needle(path: str, *, gone: bool) -> str | None:
    """Return what a file that uses ``path`` must contain, or None when nothing can use it."""
    if is_model(path):
        return path.removeprefix(MODELS).removesuffix(".yaml")
    if path.startswith(EVALS):
        return path.removeprefix(EVALS).removesuffix(".yaml") if gone and path.endswith(".yaml") else None
    if not path.startswith(PROMPTS) or is_prompt(path):
        return None
    # A folded scalar may break a name at its spaces.
    return max(path.removeprefix(PROMPTS).split(), key=len, default=None)


def _grep(scope: Scope, needles: set[str]) -> list[str]:
    patterns = [_SPECIAL.sub(r"\\\1", needle) for needle in sorted(needles)] + [_ESCAPED]
    # Not as arguments, whose size the system limits. A line break in a needle makes two patterns, which find more.
    command = ("grep", "-l", "-z", "-a", "-E", "--full-name", "--no-color", "--no-recurse-submodules", "-f", "-")
    stdin = os.fsencode("\n".join(patterns) + "\n")
    done = scope.git.try_run(*command, *scope.grep, "--", f":(top){PROMPTS}", stdin=stdin)
    if done.returncode > 1:
        raise failure(command, done)
    names = [os.fsdecode(name) for name in done.stdout.split(b"\0")[:-1]]
    return [name.removeprefix(f"{scope.head}:") for name in names] if scope.head else names
