"""Prompts from a snapshot file: one stat per call, the last good content when the file breaks.

Templates are rendered by `promptops.registry.template`, which imports nothing but Jinja2, so that an application sends
exactly what the canary judged.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from typing import TYPE_CHECKING, Any

from promptops.errors import InputError, PromptopsError, UsageError
from promptops.registry import template

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = 2
# Entries of format 1 lack `rollout`; an application that was updated before its watch goes on reading them.
_READABLE = frozenset({1, FORMAT})
VARIABLE = "PROMPTOPS_SNAPSHOT"
DEFAULT_PATH = "promptops-snapshot.json"
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


class Resolved:
    """One prompt as an environment serves it.

    Attributes:
        name: the prompt.
        version: its live version.
        tag: its release tag.
        digest: ``sha256:<hex>`` of the configuration.
        decision: ``{commit, sequence, action}`` of the decision that made it live.
    """

    __slots__ = ("_arguments", "_defaults", "_includes", "_messages", "_variables", "decision", "digest", "name",
                 "tag", "version")  # fmt: skip

    def __init__(self, name: str, entry: Mapping[str, Any]) -> None:
        self.name = name
        self.version: str = entry["version"]
        self.tag: str = entry["tag"]
        self.digest: str = entry["digest"]
        self.decision: dict[str, Any] = entry["decision"]
        self._messages: list[dict[str, Any]] = entry["messages"]
        self._includes: dict[str, str] = entry["includes"]
        self._variables: dict[str, dict[str, Any]] = entry["variables"]
        self._arguments: dict[str, Any] = entry["arguments"]
        self._defaults = {key: schema["default"] for key, schema in self._variables.items() if "default" in schema}

    def render(self, **variables: Any) -> dict[str, Any]:
        """Return the arguments of ``chat.completions.create``.

        Names, types and string lengths of variables are checked; the rest of their schemas is left to tests.

        Args:
            variables: JSON values by variable name; optional variables take their default.

        Raises:
            UsageError: a variable is missing, unknown or of another type.
            InputError: the template fails on these values.
        """
        values = {key: template.neutral(value) for key, value in self._complete(variables).items()}
        messages = []
        for index, message in enumerate(self._messages):
            try:
                content = template.render(message["content"], values, self._includes)
            except (InputError, UsageError) as error:
                place = f"{self.name}, message {index + 1}, line {error.line or 1}"
                raise type(error)(f"{place}: {error.message}", hint=error.hint, path=error.path) from error
            messages.append({**message, "content": content})
        return {**self._arguments, "messages": messages}

    def _complete(self, variables: dict[str, Any]) -> dict[str, Any]:
        declared = self._variables
        for key, value in variables.items():
            schema = declared.get(key)
            if schema is None:
                raise UsageError(
                    f"{self.name} has no variable {key}", hint=f"declared: {', '.join(declared) or 'none'}"
                )
            kinds = _TYPES[schema["type"]]
            if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
                raise UsageError(f"variable {key} is {type(value).__name__}, not {schema['type']}")
            if isinstance(value, str) and len(value) > schema.get("maxLength", len(value)):
                raise UsageError(f"variable {key} has {len(value):,} characters, more than {schema['maxLength']:,}")
        values = {**self._defaults, **variables}
        if len(values) != len(declared):
            missing = next(key for key in declared if key not in values)
            raise UsageError(f"{self.name} needs the variable {missing}")
        return values


class Snapshot:
    """A snapshot file, re-read when it changes.

    Args:
        path: the file that ``promptops snapshot -o`` writes.
        max_age: seconds after which `stale` is true; None for never. A watch renews the file at least once a minute,
            unless a prompt no longer verifies.
    """

    def __init__(self, path: str, *, max_age: float | None = None) -> None:
        self.path = path
        self.max_age = max_age
        self.error: PromptopsError | None = None
        self.environment = ""
        self.created = 0
        self._seen: tuple[int, int, int] | None = None
        # Entries, and what became of them: swapped as one, so that a reader never mixes two files.
        self._content: tuple[dict[str, dict[str, Any]], dict[str, Resolved]] = ({}, {})
        self._lock = threading.Lock()

    @property
    def stale(self) -> bool:
        """Whether the content is older than ``max_age``, or the file is broken and older content is served."""
        self._refresh()
        too_old = self.max_age is not None and time.time() - self.created > self.max_age
        return too_old or self.error is not None

    def load(self, name: str) -> Resolved:
        """Return a prompt as it is live now.

        Raises:
            PromptopsError: there is no readable snapshot and there never was one, or it serves no such prompt.
        """
        self._refresh()
        entries, resolved = self._content
        found = resolved.get(name)
        if found is not None:
            return found
        if name not in entries:
            if self.error is not None and not entries:
                raise self.error
            raise PromptopsError(
                f"{self.environment or self.path} serves no prompt {name}",
                hint=f"promptops promote {name} --env {self.environment or 'ENV'} --reason REASON",
            )
        return resolved.setdefault(name, Resolved(name, entries[name]))

    def _refresh(self) -> None:
        try:
            status = os.stat(self.path)
        except OSError as error:
            self.error = PromptopsError(
                f"there is no snapshot at {self.path}: {error.strerror}",
                hint=f"promptops snapshot --env ENV -o {self.path}",
            )
            # The very same file may come back, and only reading it ends the alarm.
            self._seen = None
            return
        seen = (status.st_mtime_ns, status.st_size, status.st_ino)
        if seen != self._seen:
            with self._lock:
                if seen != self._seen:
                    self._read()
                    self._seen = seen

    def _read(self) -> None:
        try:
            with open(self.path, "rb") as file:
                document = parse(file.read())
        except (OSError, InputError) as error:
            # What was good stays in service; `stale` and `error` tell.
            self.error = InputError(f"the snapshot cannot be read: {error}", path=self.path)
            return
        self.environment = document["environment"]
        self.created = document["created"]
        self._content = (document["prompts"], {})
        self.error = None


def parse(data: bytes) -> dict[str, Any]:
    """Parse the bytes of a snapshot file.

    Raises:
        InputError: another format, or content that does not match its checksum.
    """
    try:
        document: dict[str, Any] = json.loads(data)
        stated = document.pop("sha256")
        if document["format"] not in _READABLE or stated != _checksum(document):
            raise InputError("the file is damaged or of another format")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError("the file is damaged or no snapshot") from error
    return document


def serialize(environment: str, created: int, prompts: Mapping[str, Any]) -> bytes:
    """Return the bytes of a snapshot file: one JSON document with a checksum over the rest of it.

    Args:
        environment: what the prompts are live in.
        created: seconds since 1970.
        prompts: by name, what `Resolved` is made of.
    """
    document = {"format": FORMAT, "environment": environment, "created": created, "prompts": prompts}
    text = json.dumps({**document, "sha256": _checksum(document)}, ensure_ascii=False, indent=1)
    return text.encode() + b"\n"


def _checksum(document: Mapping[str, Any]) -> str:
    # Keys in their order: templates and models see the order of a default and of a schema.
    return hashlib.sha256(json.dumps(document, separators=(",", ":")).encode()).hexdigest()


_open: dict[str, Snapshot] = {}


def load(name: str, *, snapshot: str | None = None) -> Resolved:
    """Return a prompt as its environment serves it now.

    Args:
        name: the prompt, such as ``support/reply``.
        snapshot: path of the snapshot file; without it PROMPTOPS_SNAPSHOT, or ``promptops-snapshot.json``.

    Raises:
        PromptopsError: there is no snapshot, or it serves no such prompt.
    """
    path = snapshot or os.environ.get(VARIABLE, DEFAULT_PATH)
    opened = _open.get(path)
    if opened is None:
        opened = _open.setdefault(path, Snapshot(path))
    return opened.load(name)
