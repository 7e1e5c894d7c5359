"""What a suite says about its harness."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from promptops.errors import InputError

RECORDED = ("garak-report", "promptfoo-redteam")
FORMATS = ("jsonl", "inspect", "promptfoo", "junit", *RECORDED)
_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_. -]*(?:/[A-Za-z0-9_-][A-Za-z0-9_. -]*)*")
_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Report:
    """A recorded report: the digest of the configuration that it is about, its path, and its file's SHA-256 (hex)."""

    configuration: str
    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Spec:
    """A harness.

    Attributes:
        type: ``inspect``, ``promptfoo``, ``pytest``, ``command``, or a recorded report's format.
        target: what is run: ``path@task``, a configuration's path or a test file's; empty for the others.
        argv: of a command.
        arguments: further arguments of the harness's own program.
        scores: path of what a command writes, below the folder that it runs in.
        format: how that is read.
        files: SHA-256 (hex) by path of all that the harness may read from the repository.
        seconds: how long it may run in one arm.
        variables: values of the prompt's variables that the harness does not fill.
        reports: recorded reports, at most one per configuration.
    """

    type: str
    target: str = ""
    argv: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    scores: str = ""
    format: str = "jsonl"
    files: dict[str, str] = field(default_factory=dict)
    seconds: float = _SECONDS
    variables: dict[str, Any] = field(default_factory=dict)
    reports: tuple[Report, ...] = ()

    @property
    def recorded(self) -> bool:
        """Whether nothing is run: the scores are in files of the repository."""
        return self.type in RECORDED

    @property
    def target_path(self) -> str:
        """The file in ``target``."""
        return self.target.partition("@")[0] if self.type == "inspect" else self.target


def parse(value: dict[str, Any]) -> Spec:
    """Build a harness from a value that fits the JSON Schema.

    Raises:
        InputError: a path leads out of the repository, or the file that is run is not pinned.
    """
    kind = value["type"]
    spec = Spec(
        type=kind,
        target=str(value.get("task") or value.get("config") or value.get("path") or ""),
        argv=tuple(value.get("argv", ())),
        arguments=tuple(value.get("arguments", ())),
        scores=value.get("scores", ""),
        format=value.get("format", "jsonl"),
        files=dict(value.get("files", {})),
        seconds=float(value.get("seconds", _SECONDS)),
        variables=dict(value.get("variables", {})),
        reports=tuple(Report(**item) for item in value.get("reports", ())),
    )
    named = [*spec.files, *(report.path for report in spec.reports), *([spec.scores] if spec.scores else [])]
    for path in named:
        if not _PATH.fullmatch(path):
            raise InputError(
                f"{path!r} is no plain path below the repository",
                hint="letters, digits, _ - . and spaces, parts joined by /, none starting with a dot",
            )
    if spec.target and spec.target_path not in spec.files:
        raise InputError(
            f"the harness runs {spec.target_path}, which `files` does not pin",
            hint=f"add to files: {{{spec.target_path}: SHA-256 of the file}}, and every other file that it reads",
        )
    if len({report.configuration for report in spec.reports}) < len(spec.reports):
        raise InputError("two reports are of one configuration", hint="keep one per configuration")
    return spec
