"""What is known about a prompt's gate itself, kept below the git directory until a release asks for it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Literal

from promptops import atomic
from promptops.errors import PromptopsError
from promptops.registry import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

    from promptops.registry.project import Canary
    from promptops.repo.git import Git

Kind = Literal["power", "sensitivity"]
_LIMIT = 1 << 22


def write(git: Git, kind: Kind, prompt: str, record: Mapping[str, Any]) -> None:
    """Keep a record in place of the last one of its kind.

    Raises:
        PromptopsError: it cannot be written.
    """
    path = _path(git, kind, prompt)
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        atomic.write(path, (json.dumps(record, indent=1) + "\n").encode("ascii"), mode=0o600)
    except OSError as error:
        raise PromptopsError(f"cannot keep what was found out: {error.strerror}", path=path) from error


def read(git: Git, kind: Kind, prompt: str) -> dict[str, Any] | None:
    """Return the last record of a prompt, or None.

    Raises:
        PromptopsError: it cannot be read.
    """
    path = _path(git, kind, prompt)
    try:
        with open(path, "rb") as file:
            value = json.loads(file.read(_LIMIT))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise PromptopsError(
            f"what is known about the gate cannot be read: {error}", path=path, hint="remove the file"
        ) from error
    return value if isinstance(value, dict) and value.get("prompt") == prompt else None


def _path(git: Git, kind: Kind, prompt: str) -> str:
    name = canonical.sha256({"type": f"promptops/gate-{kind}/1", "prompt": prompt}).removeprefix("sha256:")
    return os.path.join(git.common_dir, "promptops", "gate", kind, f"{name}.json")


def basis(settings: Canary, suites: Mapping[str, str]) -> dict[str, Any]:
    """Return what a gate's power depends on besides the prompt: budget, minimum and the suites' digests."""
    return {"minimum": settings.minimum, "budget": dict(settings.budget), "suites": dict(suites)}


def shortfall(git: Git, prompt: str, settings: Canary, suites: Mapping[str, str]) -> str | None:
    """Say why the plan's floor forbids to call a prompt's canary a gate; None where it may, or no floor is set.

    Args:
        git: the repository.
        prompt: its name.
        settings: of the canary.
        suites: digest by name of the suites that judge.

    Raises:
        PromptopsError: the record cannot be read.
    """
    floor = settings.power
    if floor is None:
        return None
    known = read(git, "power", prompt)
    if known is None or known["basis"] != basis(settings, suites) or known["harm"] != floor.harm:
        return f"no gate: its power is not known for these suites and this budget: promptops gate power {prompt}"
    if known["caught"] < floor.least:
        return f"not a gate: {_told(known['caught'], floor.harm)}; canary.power asks for {floor.least:.0%}"
    if known["assumed"]:
        return f"no proven gate: {_told(known['caught'], floor.harm)} by assumption; nothing was measured yet"
    return None


def _told(caught: float, harm: float) -> str:
    return f"a harm of {harm:g} is caught in {caught:.0%} of canaries"
