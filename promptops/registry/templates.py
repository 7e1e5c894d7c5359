"""The templates of one prompt and everything that they include, with places in files."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from promptops.errors import InputError, PromptopsError
from promptops.registry import template
from promptops.registry.prompt import PROMPTS, is_prompt
from promptops.registry.yaml import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from promptops.registry.prompt import Prompt
    from promptops.registry.yaml import Document

    Read = Callable[[str], bytes | None]

_MAX_INCLUDES = 100
Failed = TypeVar("Failed", bound=PromptopsError)


class Part(NamedTuple):
    """One template: a message's content, or an included file.

    Attributes:
        path: the file that it stands in.
        text: the template.
        pointer: where in that file's YAML it stands; empty for an included file, which is the template.
        shape: its variables and includes, or None when it cannot be parsed.
        error: why it cannot be parsed.
    """

    path: str
    text: str
    document: Document | None
    pointer: tuple[str | int, ...]
    shape: template.Shape | None
    error: InputError | None

    def place(self, needle: str = "", line: int = 1) -> tuple[int, int]:
        """Return line and column in the file of ``needle``, or else of the template's line ``line``."""
        return _place(self.document, self.text, self.pointer, needle, line)


def _place(
    document: Document | None, text: str, pointer: tuple[str | int, ...], needle: str, line: int
) -> tuple[int, int]:
    first, column = (1, 1) if document is None else document.where(pointer)
    data = text if document is None else document.data.decode("utf-8")
    lines = data.split("\n")
    if needle:
        word = re.compile(rf"(?<!\w){re.escape(needle)}(?!\w)" if needle.isidentifier() else re.escape(needle))
        for number in range(first - 1, len(lines)):
            # A key may be spelt like the variable that its value uses.
            found = word.search(lines[number], _value_start(lines[number]) if number == first - 1 else 0)
            if found:
                return number + 1, found.start() + 1
    if document is None:
        return line, 1
    # Only below a block indicator do lines of the template and of the file run in step.
    block = re.search(r"[|>][-+0-9]*\s*(#.*)?$", lines[first - 1])
    return (first + line, 1) if block else (first, column)


def placed(error: Failed, prompt: Prompt, index: int) -> Failed:
    """Return an error of rendering a prompt's message with the number of the message and its place in the files."""
    path, line, column = error.path, error.line, None
    if path is None:
        text, pointer = prompt.messages[index]["content"], ("messages", index, "content")
        path, (line, column) = prompt.path, _place(prompt.document, text, pointer, "", error.line or 1)
    message = f"message {index + 1}: {error.message}"
    return type(error)(message, hint=error.hint, path=path, line=line, column=column)


def _value_start(line: str) -> int:
    found = re.search(r"content['\"]?\s*:", line)
    return found.end() if found else 0


class Problem(NamedTuple):
    """Why a template cannot be used: the template, the include that cannot be followed or else "", and the error."""

    part: Part
    name: str
    error: InputError


class Templates(NamedTuple):
    """All templates of a prompt.

    Attributes:
        parts: the messages and every included file.
        problems: in the order in which they were met.
        includes: text of every included file by name, as far as they exist.
    """

    parts: list[Part]
    problems: list[Problem]
    includes: dict[str, str]

    @property
    def whole(self) -> bool:
        """Whether every template could be parsed and every include followed."""
        return not self.problems


def collect(prompt: Prompt, read: Read) -> Templates:
    """Return the prompt's templates and everything that they include; problems are data, not errors.

    Args:
        prompt: whose templates.
        read: returns the bytes at a path, or None where there is no file.
    """
    found = Templates([], [], {})
    for index, message in enumerate(prompt.messages):
        part = _part(prompt.path, message["content"], prompt.document, ("messages", index, "content"))
        _follow(part, (), read, found)
    return found


def _part(path: str, text: str, document: Document | None, pointer: tuple[str | int, ...]) -> Part:
    try:
        return Part(path, text, document, pointer, template.shape(text), None)
    except InputError as error:
        return Part(path, text, document, pointer, None, error)


def _follow(part: Part, chain: tuple[str, ...], read: Read, found: Templates) -> None:
    found.parts.append(part)
    if part.error is not None:
        found.problems.append(Problem(part, "", part.error))
    for name in part.shape.includes if part.shape else ():
        if name in found.includes and name not in chain:
            continue
        try:
            _check_room(name, chain, found)
            text = _text(name, read)
        except InputError as error:
            found.problems.append(Problem(part, name, error))
            continue
        found.includes[name] = text
        _follow(_part(PROMPTS + name, text, None, ()), (*chain, name), read, found)


def _check_room(name: str, chain: tuple[str, ...], found: Templates) -> None:
    if name in chain:
        raise InputError(f"includes form a circle: {' -> '.join((*chain, name))}", hint="take one of them out")
    if len(found.includes) >= _MAX_INCLUDES:
        raise InputError(f"more than {_MAX_INCLUDES} included files", hint="join some of them into one file")


def _text(name: str, read: Read) -> str:
    path = include_path(name)
    if is_prompt(path):
        hint = "put shared text into a file with another suffix, such as .md"
        raise InputError(f"included file {name} is a prompt of its own", hint=hint)
    data = read(path)
    if data is None:
        raise InputError(f"included file {name} does not exist", hint=f"git add {path}, or remove the include")
    if len(data) > MAX_BYTES:
        raise InputError(f"included file {name} has {len(data):,} bytes; the limit is {MAX_BYTES:,}")
    try:
        # The same file must have the same digest on every platform.
        return data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise InputError(f"included file {name} is not UTF-8 text", hint=f"save {path} as UTF-8") from error


def include_path(name: str) -> str:
    """Return the repository path of an included file.

    Raises:
        InputError: the name points outside ``prompts/``.
    """
    path = posixpath.normpath(PROMPTS + name)
    plain = name.isprintable() and not name.startswith("/") and "\\" not in name
    if not plain or not path.startswith(PROMPTS) or path != PROMPTS + name:
        raise InputError(f"include {name!r} is not a plain path below prompts/", hint="write it relative to prompts/")
    return path
