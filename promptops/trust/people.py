"""Who is in the policy, who decides, by how many and under which name. The roots sign what comes out."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import PromptopsError, RefusedError, UsageError
from promptops.registry.governed import POLICY
from promptops.repo.source import WorktreeSource
from promptops.trust import files, keys, lint, policy, signers, sshsig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class Removed(NamedTuple):
    """What somebody lost.

    Attributes:
        keys: fingerprints of their keys, which are not revoked.
        roles: the roles that they held.
        root: whether they were a root.
    """

    keys: tuple[str, ...]
    roles: tuple[str, ...]
    root: bool


def remove(root: str, name: str) -> Removed:
    """Take a person or bot out of the policy, with keys, roles and root membership.

    Raises:
        RefusedError: the name is unknown, or what is left could not decide: too few roots, or a role without a holder.
    """
    trust = policy.load(WorktreeSource(root))
    lines = keys.lines_of(trust, name)
    value = trust.policy
    roles = tuple(role for role, names in value.get("roles", {}).items() if name in names)
    groups = [("roots", "of"), *(("roles", role) for role in roles)]
    with _unharmed(root, f"without {name}: "):
        for key, group in groups:
            members = value[key][group]
            if members == [name]:
                _refuse_last(name, group if key == "roles" else "root")
            if name in members:
                files.take_out(root, key, group, name)
        files.take_out(root, "people", name)
        files.drop(root, {line.number for line in lines})
    fingerprints = tuple(sshsig.fingerprint(line.public_key) for line in lines)
    return Removed(fingerprints, roles, name in value["roots"]["of"])


def set_roots(root: str, threshold: int | None, names: Sequence[str] | None) -> dict[str, Any]:
    """Say who signs the next versions and how many of them must; return the roots as the policy has them now.

    Raises:
        RefusedError: somebody is unknown or has no key, or there are fewer than the threshold.
    """
    with _unharmed(root):
        if names is not None:
            _set_members(root, "roots", "of", names)
        if threshold is not None:
            files.edit(root, lambda value: value["roots"].__setitem__("threshold", threshold))
    found: dict[str, Any] = files.value(root)["roots"]
    return found


def set_role(root: str, role: str, names: Sequence[str]) -> None:
    """Say who holds a role; nobody takes it out of the policy.

    Raises:
        RefusedError: somebody is unknown, or a rule needs the role.
    """
    with _unharmed(root):
        if names:
            _set_members(root, "roles", role, names)
        elif role in files.value(root).get("roles", {}):
            _regranted(root, lambda: files.take_out(root, "roles", role))


def set_approvals(root: str, count: int) -> None:
    """Say how many people besides the author must approve a change.

    Raises:
        RefusedError: there are not that many.
    """
    with _unharmed(root):
        files.edit(root, lambda value: value["approvals"].__setitem__("default", count))


def move(root: str, repository: str) -> str:
    """Give the repository another name in every later signature; return the name before.

    Raises:
        UsageError: it has that name already.
        InputError: it is no name.
    """
    before = policy.load(WorktreeSource(root)).repository
    if repository == before:
        raise UsageError(f"the policy calls this repository {before} already")
    with _unharmed(root):
        files.edit(root, lambda value: value.__setitem__("repository", repository))
    return before


def _refuse_last(name: str, role: str) -> None:
    if role == "root":
        raise RefusedError(f"{name} is the only root", hint="promptops policy roots --of NAME,... names others first")
    hint = f"promptops policy role {role} --of NAME,... names others first; --nobody takes the role away"
    raise RefusedError(f"nobody else has the role {role}", hint=hint)


def _set_members(root: str, key: str, group: str, names: Sequence[str]) -> None:
    now = files.value(root).get(key, {}).get(group, [])

    def add(document: Any) -> None:
        members = document.setdefault(key, {}).setdefault(group, [])
        members.extend(name for name in dict.fromkeys(names) if name not in members)

    def change() -> None:
        # First the new ones: a list that is empty for a moment would be written in another style.
        files.edit(root, add)
        for name in now:
            if name not in names:
                files.take_out(root, key, group, name)

    _regranted(root, change)


def _regranted(root: str, change: Callable[[], None]) -> None:
    before = files.value(root)
    change()
    files.regrant(root, before)


@contextlib.contextmanager
def _unharmed(root: str, prefix: str = "") -> Iterator[None]:
    """Undo a change that leaves the policy with a problem that it did not have before.

    Raises:
        RefusedError: naming the problem.
    """
    before = {problem.message for problem in lint.problems(WorktreeSource(root))}
    kept = {}
    for path in (POLICY, signers.ALLOWED):
        with open(os.path.join(root, path), "rb") as file:
            kept[path] = file.read()
    try:
        yield
        for problem in lint.problems(WorktreeSource(root)):
            if problem.message not in before:
                raise RefusedError(prefix + problem.message, hint=problem.hint, path=problem.path)
    except PromptopsError:
        for path, data in kept.items():
            files.write(root, path, data)
        raise
