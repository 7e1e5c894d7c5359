"""The report of a bug."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import tempfile
import traceback

from promptops import __version__
from promptops.text import printable

_SECRET_NAME = re.compile("KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH")
_SHORTEST_SECRET = 8


def report(error: BaseException) -> str:
    """Write a crash log and return what to print: one sentence and the log's place, or the log where it has none."""
    body = "\n".join(
        [
            "### promptops crash",
            f"- promptops {__version__}",
            f"- Python {platform.python_version()} on {platform.platform()}",
            f"- {_git_version()}",
            f"- command: {sys.argv[1] if len(sys.argv) > 1 else ''}",
            "```",
            # Frames without values: locals could hold a key.
            "".join(traceback.format_exception(error)).rstrip(),
            "```",
        ]
    )
    body = _without_secrets(body)
    sentence = f"error: this is a bug in promptops ({type(error).__name__})"
    try:
        with tempfile.NamedTemporaryFile("wb", prefix="promptops-crash-", suffix=".md", delete=False) as file:
            # Names of files and words of the command line may hold bytes that are no text.
            file.write(body.encode("utf-8", "backslashreplace") + b"\n")
    except OSError:
        return f"{sentence}\n  next: report it with what follows\n{printable(body, keep_newlines=True)}"
    return f"{sentence}\n  next: report it with {file.name}"


def _without_secrets(text: str) -> str:
    """Return ``text`` without passwords in addresses and without values of variables whose names speak of secrets.

    The message of an error that nobody foresaw may quote anything.
    """
    text = re.sub(r"(\w://)[^\s/@]+@", r"\1***@", text)
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name.upper()) and len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, "***")
    return text


def _git_version() -> str:
    try:
        return subprocess.run(["git", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    except OSError as error:
        return f"git cannot be run: {error.strerror}"
