"""PO102: a file of this name or kind is never read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.checks.finding import Finding
from promptops.checks.rule import File, Text
from promptops.errors import InputError
from promptops.registry.governed import schema_of
from promptops.registry.prompt import EVALS, MODELS, PROMPTS, is_model, is_prompt, prompt_name
from promptops.registry.yaml import MAX_BYTES
from promptops.repo.source import SUBMODULE, SYMLINK

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = "PO102"
TEXT = Text(
    title="The name or kind of the file is not allowed",
    why=(
        "A prompt's name is its path. It becomes a tag, so it holds lower case letters, digits, - and / only; a"
        " file that nothing reads looks released and is not. A link or a submodule brings in text that no review of"
        " this repository has seen."
    ),
    fix="Rename the file with `git mv`, or commit the file itself in place of a link.",
    example="prompts/Support Reply.yml      # never read\nprompts/support/reply.yaml     # the prompt support/reply",
)
_FOLDERS = (PROMPTS, MODELS, EVALS, "rollouts/")


def check(file: File) -> Iterator[Finding]:
    """Yield at most one finding on name, kind or size."""
    found = _problem(file)
    if found:
        yield Finding(file.path, 1, 1, ID, *found)


_SPECIAL = {
    SYMLINK: ("a symbolic link is not followed here", "commit the file itself"),
    SUBMODULE: ("a submodule is not read here", "commit the files themselves"),
}


def _problem(file: File) -> tuple[str, str] | None:
    if file.entry.mode in _SPECIAL:
        return _SPECIAL[file.entry.mode]
    if file.path.startswith(_FOLDERS) and file.path.endswith((".yml", ".YAML", ".YML")):
        return "the suffix must be .yaml, or the file is never read", f"git mv to {file.path.rpartition('.')[0]}.yaml"
    if is_prompt(file.path):
        try:
            prompt_name(file.path)
        except InputError as error:
            return error.message, error.hint or ""
    if is_model(file.path) and "/" in file.path.removeprefix(MODELS):
        return "model files lie directly in models/", "git mv it there"
    # Reading a file that has a schema says the same, as PO101.
    if file.data is not None and len(file.data) > MAX_BYTES and schema_of(file.path) is None:
        return f"the file has {len(file.data):,} bytes; the limit is {MAX_BYTES:,}", "split it, or move data elsewhere"
    return None
