"""Evaluators and cases that a team writes in Python: found by name, pinned by digest, run on request only."""

from __future__ import annotations

import hashlib
import re
from contextlib import contextmanager
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from promptops.errors import InputError, PromptopsError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from promptops.evaluation.case import Case
    from promptops.inference.reply import Reply

Function: TypeAlias = "Callable[[Case, Reply], float]"
# Returns a file of a trusted revision by its path, or None.
Code: TypeAlias = "Callable[[str], bytes | None]"
_TARGET = re.compile(r"([a-zA-Z_]\w*(?:\.[a-zA-Z_]\w*)*):([a-zA-Z_]\w*)", re.ASCII)


class Location(NamedTuple):
    """Where a callable is: path of its file relative to the repository, and its name there."""

    path: str
    name: str


def location(target: str) -> Location:
    """Return where ``package.module:function`` lives.

    Raises:
        InputError: ``target`` has another form.
    """
    match = _TARGET.fullmatch(target)
    if not match:
        raise InputError(f"{target!r} names no function", hint="write package.module:function")
    return Location(match[1].replace(".", "/") + ".py", match[2])


def no_code(path: str) -> bytes | None:
    """Know no file, where no Python code may run."""
    del path
    return None


def score(code: Code, target: str, sha256: str, case: Case, reply: Reply) -> float:
    """Return what the function ``target`` gives for a reply.

    The file stands alone: it may import installed packages but not its neighbours, which no digest would cover.

    Args:
        code: reads the files of the revision that the suite comes from.
        target: ``package.module:function``; the function takes the case and the reply and returns a number in [0, 1].
        sha256: hex digest of the module's file, as reviewed with the suite.
        case: what was asked.
        reply: what came back.

    Raises:
        RefusedError: the file has another digest.
        InputError: the function fails or returns something else.
        PromptopsError: the file cannot be read.
    """
    function: Function = _load(code, target, sha256)
    with _blamed(f"{target} failed on case {case.id}"):
        value = float(function(case, reply))
    if not 0.0 <= value <= 1.0:
        raise InputError(f"{target} returned {value} for case {case.id}", hint="a score lies between 0 and 1")
    return value


def call(code: Code, target: str, sha256: str) -> Any:
    """Return what the function ``target`` gives when it is called without arguments, under the rules of ``score``.

    Raises:
        RefusedError: the file has another digest.
        InputError: the function fails.
        PromptopsError: the file cannot be read.
    """
    function: Callable[[], Any] = _load(code, target, sha256)
    with _blamed(f"{target} failed"):
        return function()


@contextmanager
def _blamed(what: str, path: str | None = None) -> Iterator[None]:
    """Turn whatever somebody else's code raises into an InputError that says ``what`` went wrong."""
    try:
        yield
    except (Exception, SystemExit) as error:
        raise InputError(f"{what}: {type(error).__name__}: {error}", path=path) from error


@lru_cache(maxsize=64)
def _load(code: Code, target: str, sha256: str) -> Callable[..., Any]:
    path, name = location(target)
    source = code(path)
    if source is None:
        hint = "commit the file, or mend `callable` in the suite"
        raise PromptopsError(f"cannot read the code of {target}: there is no such file", hint=hint, path=path)
    actual = hashlib.sha256(source).hexdigest()
    if actual != sha256:
        raise RefusedError(
            f"the code of {target} is not the reviewed one", hint=f"review it and write sha256: {actual}", path=path
        )
    module = ModuleType(path.removesuffix(".py").replace("/", "."))
    with _blamed(f"{target} cannot be loaded", path):
        # What runs is the text that was hashed, whatever happens to the file meanwhile.
        exec(compile(source, path, "exec"), module.__dict__)  # noqa: S102  pinned code of a trusted revision
    function = getattr(module, name, None)
    if not callable(function):
        raise InputError(f"there is no function {name}", path=path)
    loaded: Callable[..., Any] = function
    return loaded
