"""One verification from a tag to an exit code; needs no command line library."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from promptops.release import verify
from promptops.repo.git import Git
from promptops.text import printable

if TYPE_CHECKING:
    from promptops.release.verify import Options, Report

_MARKS = {True: ("ok", 32), False: ("FAILED", 31), None: ("UNKNOWN", 33)}


def run(tag: str, options: Options, *, verbose: bool = False, as_json: bool = False) -> int:
    """Verify what ``tag`` names, print what was found and return the exit code.

    Args:
        tag: a release of this clone, or a file, as `promptops.release.verify.open_release` takes it.
        options: what the verifier knows by itself.
        verbose: print every check, not only those that do not hold.
        as_json: print one JSON document instead.
    """
    with Git(strict=True) as git:
        report = verify.open_release(git, tag, options)
    if as_json:
        sys.stdout.write(json.dumps(_document(report), indent=2) + "\n")
    else:
        _print(report, pinned=options.root is not None, verbose=verbose)
    return report.exit_code


def _document(report: Report) -> dict[str, Any]:
    return {
        "tag": report.tag,
        "verified": report.good,
        "root": report.trust.root if report.trust else None,
        "object": report.stored.oid if report.stored else None,
        "manifest": report.stored.manifest.statement() if report.stored else None,
        "checks": [check._asdict() for check in report.checks],
    }


def _print(report: Report, *, pinned: bool, verbose: bool) -> None:
    coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    for check in report.checks:
        if verbose or not check.ok:
            mark, colour = _MARKS[check.ok]
            mark = f"\033[{colour}m{mark}\033[0m" if coloured else mark
            sys.stdout.write(f"{mark}  {check.name}: {printable(check.detail)}\n")
    if report.good and report.stored and report.trust:
        sys.stdout.write(f"verified {printable(report.tag)}  {report.stored.manifest.configuration}\n")
        if not pinned:
            sys.stderr.write(f"root not pinned; pin it with --root {report.trust.root}\n")
