"""Following a remote: its live refs, its releases and the policy that judges them, brought into this clone."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from typing import TYPE_CHECKING

from promptops.errors import PromptopsError, RefusedError
from promptops.release import live
from promptops.repo import git as running

if TYPE_CHECKING:
    from promptops.repo.git import Git

# Seconds that a remote has: one that is slow for ever must not keep a watch from saying so.
PATIENCE = 60
_GRACE = 5
# Where the branches of a remote go that has no name in this clone.
_UNNAMED = "promptops"
# No hook of the clone runs, and a fetch is not told of a file that nobody has.
_QUIET = ("-c", f"core.hooksPath={os.devnull}", "-c", "advice.graftFileDeprecated=false")
_CREDENTIALS = re.compile(r"//[^/@\s]*@")


def fetch(git: Git, remote: str, environment: str, *, patience: float = PATIENCE) -> None:
    """Fetch what a snapshot of an environment is made from.

    Live refs and release tags only move forward: whoever turns one back on the remote changes nothing here. Branches
    become remote-tracking branches, where `promptops.release.clone` looks for the newest policy and revocations.

    Args:
        git: the clone.
        remote: name of a remote, or a URL.
        environment: whose live refs.
        patience: seconds after which the remote counts as gone.

    Raises:
        RefusedError: the remote turned a ref back; everything else was fetched.
        PromptopsError: the remote does not answer, or not in time.
    """
    named = remote in git.text("remote").splitlines()
    specs = [f"{ref}*:{ref}*" for ref in (live.ref_of(environment, "").removesuffix("/HEAD"), "refs/tags/prompt/")] + [
        f"+refs/heads/*:refs/remotes/{remote if named else _UNNAMED}/*"
    ]
    options = ["--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--refmap="]
    command = [
        "git",
        "-C",
        git.directory,
        "-c",
        f"core.hooksPath={os.devnull}",
        "fetch",
        *options,
        "--",
        remote,
        *specs,
    ]
    code, said = _finish(command, patience, remote)
    if code == 0:
        return
    lines = [_CREDENTIALS.sub("//", line.strip()) for line in said.splitlines() if line.strip()]
    turned = [line.removeprefix("! ") for line in lines if line.startswith("! [")]
    shown = _CREDENTIALS.sub("//", remote)
    if turned:
        raise RefusedError(
            f"{shown} differs from what this clone had: {turned[0]}",
            hint=f"git fetch {shown} and look at both; what this clone had stays in service",
        )
    fatal = [line for line in lines if line.startswith(("fatal:", "error:", "ssh:"))]
    cause = (fatal or lines or [f"exit code {code}"])[0]
    raise PromptopsError(f"cannot fetch from {shown}: {cause}", hint=f"git ls-remote {shown}")


def _finish(command: list[str], patience: float, remote: str) -> tuple[int, str]:
    """Run a command that talks to a remote, and end it with all that it started when it takes too long."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=running.environment(),
        start_new_session=True,
    )
    try:
        _, said = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        shown = _CREDENTIALS.sub("//", remote)
        raise PromptopsError(f"{shown} did not answer within {patience:g} s", hint=f"git ls-remote {shown}") from None
    finally:
        _end(process)
    return process.returncode, said.decode("utf-8", "replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is not None:
        return
    # Asked to end, git takes its locks away; and what it started holds the pipe open.
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_GRACE)
            return
