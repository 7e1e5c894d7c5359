"""Editing policy files in the work tree, and nothing in them that was not asked for."""

from __future__ import annotations

import io
import os
import re
from typing import TYPE_CHECKING, Any

from promptops.errors import PromptopsError
from promptops.registry import schemas, yaml
from promptops.registry.governed import POLICY
from promptops.repo.source import replace
from promptops.trust import lint, signers, sshsig

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DECIDING_ROLES = ("release", "override", "rollback")

_KEY = re.compile(r"^([A-Za-z_][\w-]*):", re.MULTILINE)
_LISTED = re.compile(r"^(?P<key> *)[^\s#-].*:[ \t]*(?:#.*)?\n(?:[ \t]*(?:#.*)?\n)*(?P<indent> *)- ", re.MULTILINE)
_INDENTED = re.compile(r"^( +)[^\s#-]", re.MULTILINE)
_NAMESPACES = re.compile(r'namespaces="([^"]*)"')


def namespaces(value: dict[str, Any], name: str, *, plain: bool = False) -> tuple[str, ...]:
    """Return what the keys of ``name`` may sign for, by the roles that a policy gives.

    Git and policies take SSH signatures, which ``plain`` keys do not make.
    """
    found = [sshsig.REQUEST] if plain else [sshsig.GIT, sshsig.REQUEST]
    if not lint.is_bot(value["people"][name]):
        found.append(sshsig.APPROVAL)
    if name in value["roots"]["of"] and not plain:
        found.append(sshsig.POLICY)
    if any(name in value.get("roles", {}).get(role, ()) for role in DECIDING_ROLES):
        found.append(sshsig.RELEASE)
    return tuple(found)


def regrant(root: str, before: dict[str, Any]) -> None:
    """Let keys sign for what became their owners' part since the policy was ``before``, and for nothing that ended.

    Namespaces that go with neither roots nor roles stay as they are, in case somebody narrowed them by hand.
    """
    after = value(root)
    with open(os.path.join(root, signers.ALLOWED), "rb") as file:
        data = file.read()
    lines = data.decode().split("\n")
    for each in signers.parse(data):
        name = next((name for name, entry in after["people"].items() if each.principal in lint.principals(entry)), "")
        if name not in before["people"]:
            continue
        was, now = set(namespaces(before, name)), set(namespaces(after, name))
        kept = [*(own for own in each.namespaces if own not in was - now), *sorted(now - was - set(each.namespaces))]
        text = lines[each.number - 1]
        found = _NAMESPACES.search(text)
        if found:
            lines[each.number - 1] = text[: found.start(1)] + ",".join(kept) + text[found.end(1) :]
    write(root, signers.ALLOWED, "\n".join(lines))


def raise_version(root: str) -> int:
    """Raise the version in ``policy.yaml`` by one, leaving every other byte; return it."""
    text = _policy_text(root)
    raised = re.sub(r"(?m)^(version:[ \t]*)(\d+)", lambda match: f"{match[1]}{int(match[2]) + 1}", text, count=1)
    if raised == text:
        raise PromptopsError("cannot find the line `version: N`", hint="raise it by hand", path=POLICY)
    write(root, POLICY, raised)
    return int(value(root)["version"])


def edit(root: str, change: Callable[[Any], object]) -> None:
    """Change ``policy.yaml`` in place, keeping comments, order and styles; what does not change stays byte for byte."""
    text = _policy_text(root)
    editor, document = _editor(text)
    change(document)
    out = io.StringIO()
    editor.dump(document, out)
    write(root, POLICY, _spliced(text, out.getvalue()))


def take_out(root: str, *pointer: str) -> None:
    """Remove one member of a mapping or a list of ``policy.yaml``: the keys that lead there, then its name."""
    *path, name = pointer
    text = _policy_text(root)
    _, parent = _editor(text)
    for key in path:
        parent = parent[key]
    listed = isinstance(parent, list)
    if parent.fa.flow_style():
        edit(root, lambda document: _remove(document, path, name))
        return
    # The library ties a comment to the entry above it, and would remove the one on the next entry.
    line, column = parent.lc.item(parent.index(name)) if listed else parent.lc.key(name)
    write(root, POLICY, _without_entry(text, line, column - 2 if listed else column))


def _remove(document: Any, path: list[str], name: str) -> None:
    for key in path:
        document = document[key]
    if isinstance(document, list):
        document.remove(name)
    else:
        del document[name]


def _without_entry(text: str, start: int, column: int) -> str:
    lines = text.splitlines(keepends=True)
    item = lines[start].lstrip().startswith("- ")
    end = start + 1
    for number, line in enumerate(lines[end:], end):
        content = line.strip()
        if not content or content.startswith("#"):
            continue
        indent = len(line) - len(line.lstrip(" "))
        # A list may stand in the column of the key that it belongs to.
        if indent < column or (indent == column and (item or not content.startswith("- "))):
            break
        end = number + 1
    return "".join(lines[:start] + lines[end:])


def _policy_text(root: str) -> str:
    with open(os.path.join(root, POLICY), encoding="utf-8") as file:
        return file.read()


def _editor(text: str) -> tuple[Any, Any]:
    """Return a round-trip editor that indents as the text does, and its document."""
    from ruamel.yaml import YAML

    editor = YAML(typ="rt")
    editor.preserve_quotes = True
    editor.width = 4096
    dash = _LISTED.search(text)
    offset = len(dash["indent"]) - len(dash["key"]) if dash else 0
    step = _INDENTED.search(text)
    editor.indent(mapping=len(step[1]) if step else 2, sequence=offset + 2, offset=offset)
    return editor, editor.load(text)


def _spliced(old: str, new: str) -> str:
    """Return ``old`` with only those top-level sections of ``new`` that say something else."""
    before, after = _sections(old), _sections(new)
    was, now = (yaml.load(text.encode(), POLICY).value for text in (old, new))
    made = "".join(
        before[key] if key in before and (not key or was.get(key) == now.get(key)) else text
        for key, text in after.items()
    )
    # Keys may be written in ways that the split does not know.
    return made if yaml.load(made.encode(), POLICY).value == now else new


def _sections(text: str) -> dict[str, str]:
    """Split a mapping's text by its top-level keys; what comes before the first has the key ``""``."""
    starts = [(match[1], match.start()) for match in _KEY.finditer(text)]
    ends = [start for _, start in starts[1:]] + [len(text)]
    head = text[: starts[0][1]] if starts else text
    return {"": head} | {key: text[start:end] for (key, start), end in zip(starts, ends, strict=True)}


def line(principal: str, allowed: Sequence[str], public_key: bytes) -> str:
    """Return a line of an allowed signers file, with its newline."""
    return f'{principal} namespaces="{",".join(allowed)}" {signers.key_text(public_key)}\n'


def value(root: str) -> dict[str, Any]:
    """Return the policy of the work tree, checked against its schema."""
    with open(os.path.join(root, POLICY), "rb") as file:
        return checked(file.read())


def checked(data: bytes) -> dict[str, Any]:
    """Return the policy that a file's bytes say, checked against its schema."""
    document = yaml.load(data, POLICY)
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
    """Write a file below ``root`` as a whole, folders included.

    Raises:
        InputError: a symbolic link leads away from there.
    """
    replace(root, path, content if isinstance(content, bytes) else content.encode())
