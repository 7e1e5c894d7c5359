"""The command line; nothing below imports it."""

from __future__ import annotations

import gc
import os
import sys
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with its documented code."""
    run = _plain(sys.argv[1:] if argv is None else argv)
    if run is None:
        from promptops.cli import app

        app.main(argv)
    from promptops.cli.guard import guarded

    if argv is None:
        # Loading makes objects that stay; looking among them for cycles all the time would be a twentieth of the whole.
        gc.set_threshold(50_000)
    try:
        guarded(run)
    except SystemExit as stop:
        if argv is None and not stop.code:
            # All is written and every child has ended; taking the modules apart would be a tenth of the whole time.
            os._exit(0)
        raise


def _plain(words: Sequence[str]) -> Callable[[], int] | None:
    """Return what a plain command line means, or None for all others.

    What hooks call on every commit and jobs for every release starts without the command line library, which would be
    a third of their time.
    """
    run: Callable[[], int] | None = None
    match words:
        case ["check"]:
            run = partial(_check, "")
        case ["check", ("--staged" | "--all" | "--reviewed") as mode]:
            run = partial(_check, mode[2:])
        case ["check", "--rules", rule] if rule.isalnum():
            run = partial(_check, "", rule)
        case ["bump", "--staged"]:
            run = _bump
        case ["verify", tag] if not tag.startswith("-"):
            run = partial(_verify, tag)
        case ["verify", tag, "--root", root] if not tag.startswith("-"):
            run = partial(_verify, tag, root)
    return run


def _check(mode: str, *rules: str) -> int:
    from promptops.checks.main import check
    from promptops.checks.request import Request

    return check(Request(mode, rules=rules))


def _bump() -> int:
    from promptops.checks.bump import staged
    from promptops.cli import bumping

    return bumping.run(staged, found=1)


def _verify(tag: str, root: str | None = None) -> int:
    from promptops.cli import verifying
    from promptops.release.verify import Options

    return verifying.run(tag, Options(root))
