"""Editing policy files in the work tree, and nothing in them that was not asked for."""

from __future__ import annotations

import io
import os
import re
from typing import TYPE_CHECKING, Any

from promptops.errors import PromptopsError
from promptops.registry import schemas, yaml
from promptops.registry.governed import POLICY
from promptops.repo.source import on_disk
from promptops.trust import lint, signers, sshsig

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DECIDING_ROLES = ("release", "override", "rollback")


def namespaces(value: dict[str, Any], name: str) -> tuple[str, ...]:
    """Return what the keys of ``name`` may sign for, by the roles that a policy gives."""
    found = [sshsig.GIT, sshsig.REQUEST]
    if not lint.is_bot(value["people"][name]):
        found.append(sshsig.APPROVAL)
    if name in value["roots"]["of"]:
        found.append(sshsig.POLICY)
    if any(name in value.get("roles", {}).get(role, ()) for role in DECIDING_ROLES):
        found.append(sshsig.RELEASE)
    return tuple(found)


def raise_version(root: str) -> int:
    """Raise the version in ``policy.yaml`` by one, leaving every other byte; return it."""
    path = os.path.join(root, POLICY)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    raised = re.sub(r"(?m)^(version:[ \t]*)(\d+)", lambda match: f"{match[1]}{int(match[2]) + 1}", text, count=1)
    if raised == text:
        raise PromptopsError("cannot find the line `version: N`", hint="raise it by hand", path=POLICY)
    write(root, POLICY, raised)
    return int(value(root)["version"])


def edit(root: str, change: Callable[[Any], None]) -> None:
    """Change ``policy.yaml`` in place, keeping comments, order and styles."""
    from ruamel.yaml import YAML

    editor = YAML(typ="rt")
    editor.preserve_quotes = True
    editor.width = 4096
    with open(os.path.join(root, POLICY), encoding="utf-8") as file:
        document = editor.load(file)
    change(document)
    out = io.StringIO()
    editor.dump(document, out)
    write(root, POLICY, out.getvalue())


def line(principal: str, allowed: Sequence[str], public_key: bytes) -> str:
    """Return a line of an allowed signers file, with its newline."""
    return f'{principal} namespaces="{",".join(allowed)}" {signers.key_text(public_key)}\n'


def value(root: str) -> dict[str, Any]:
    """Return the policy of the work tree, checked against its schema."""
    with open(os.path.join(root, POLICY), "rb") as file:
        document = yaml.load(file.read(), POLICY)
    schemas.check_document("policy", document)
    found: dict[str, Any] = document.value
    return found


def append(root: str, path: str, text: str) -> None:
    """Add lines to the end of a file."""
    with open(os.path.join(root, path), "rb") as file:
        before = file.read().decode()
    write(root, path, before + ("" if before.endswith("\n") or not before else "\n") + text)


def drop(root: str, numbers: set[int]) -> None:
    """Remove lines, by 1-based number, from the allowed signers."""
    with open(os.path.join(root, signers.ALLOWED), "rb") as file:
        lines = file.read().decode().split("\n")
    write(root, signers.ALLOWED, "\n".join(text for number, text in enumerate(lines, 1) if number not in numbers))


def write(root: str, path: str, content: str | bytes) -> None:
    """Write a file below ``root``, folders included.

    Raises:
        InputError: a symbolic link leads away from there.
    """
    full = on_disk(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
