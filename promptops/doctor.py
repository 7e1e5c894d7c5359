"""What a machine and a clone lack to use promptops, each with the command that mends it."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from importlib import metadata
from importlib.util import find_spec

from promptops import repair as leftovers
from promptops.errors import PromptopsError
from promptops.inference import weights
from promptops.probe import Probe
from promptops.repo import tags
from promptops.repo.git import MINIMUM_VERSION, Git

DISTRIBUTION = "promptops-git"
# Extra -> a module that only it brings.
_EXTRAS = {"release": ("openai", "aiohttp", "numpy"), "local": ("xllamacpp",)}
_HOOK_TYPES = ("pre-commit", "pre-merge-commit", "pre-push")
_INSTALL = f"pre-commit install {' '.join(f'-t {name}' for name in _HOOK_TYPES)}"
# A commit from further ahead means that one of two clocks is wrong.
_CLOCK_TOLERANCE_S = 300


def examine(git: Git, *, repair: bool = False) -> list[Probe]:
    """Return every probe of this machine, and of the repository when there is one.

    Args:
        git: the repository.
        repair: mend what a killed run left, too.

    Raises:
        GitError: git cannot be run at all.
    """
    probes = [Probe("python", "ok", platform.python_version()), _git(git), _ssh_keygen(), *_extras(), *_owners()]
    try:
        probes.append(Probe("repository", "ok", git.root))
    except PromptopsError as error:
        probes.append(Probe("repository", "missing", error.message, error.hint or "git init"))
        return probes
    left = leftovers.examine(git, mend=repair)
    return [*probes, _identity(git), _signing_key(git), *_set_up(git), *_hooks(git), *_history(git), _clock(git), *left]


def _git(git: Git) -> Probe:
    found = git.text("--version").removeprefix("git version ")
    version = tuple(int(number) for number in re.findall(r"[0-9]+", found)[:2])
    needed = ".".join(map(str, MINIMUM_VERSION))
    return (
        Probe("git", "ok", found)
        if version >= MINIMUM_VERSION
        else Probe("git", "missing", f"{found}, older than {needed}", f"install git {needed} or newer")
    )


def _ssh_keygen() -> Probe:
    mend = "install OpenSSH 8.9 or newer"
    try:
        # The operation came with 8.9; an older ssh-keygen does not know its name. It reads an empty list of signers.
        done = subprocess.run(
            ["ssh-keygen", "-Y", "match-principals", "-I", "nobody", "-f", os.devnull],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        return Probe("ssh-keygen", "missing", "not on PATH", mend)
    if re.search(r"unknown option|unsupported|illegal option|usage:", done.stderr, re.IGNORECASE):
        return Probe("ssh-keygen", "missing", "older than 8.9", mend)
    return Probe("ssh-keygen", "ok", "signs and verifies")


def _extras() -> list[Probe]:
    probes = []
    for extra, modules in _EXTRAS.items():
        absent = [module for module in modules if find_spec(module) is None]
        if absent:
            mend = f"pip install '{DISTRIBUTION}[{extra}]'"
            probes.append(Probe(f"extra {extra}", "warn", f"no {', '.join(absent)}", mend))
        else:
            probes.append(Probe(f"extra {extra}", "ok", "installed"))
    if not os.path.exists(weights.location()):
        probes.append(Probe("model", "warn", f"no weights of {weights.MODEL}", "promptops model fetch"))
    return probes


def _owners() -> list[Probe]:
    """Return who else claims the command or the package, which makes the winner a matter of install order."""
    commands, packages = set(), set()
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if any(point.group == "console_scripts" and point.name == "promptops" for point in distribution.entry_points):
            commands.add(name)
        if any(file.parts[:2] == ("promptops", "__init__.py") for file in distribution.files or ()):
            packages.add(name)
    probes = []
    for what, owners in (("command", commands), ("package", packages)):
        others = sorted(owners - {DISTRIBUTION})
        if others:
            mend = f"pip uninstall {' '.join(others)} && pip install --force-reinstall --no-deps {DISTRIBUTION}"
            probes.append(Probe(what, "warn", f"promptops also belongs to {', '.join(others)}", mend))
    return probes or [Probe("command", "ok", f"promptops belongs to {DISTRIBUTION}")]


def _identity(git: Git) -> Probe:
    email = git.try_run("config", "user.email").stdout.decode("utf-8", "replace").strip()
    if not email:
        return Probe("identity", "missing", "no user.email", "git config --global user.email YOU@EXAMPLE.ORG")
    return Probe("identity", "ok", email)


def _signing_key(git: Git) -> Probe:
    from promptops.trust import sshsig

    try:
        return Probe("signing key", "ok", sshsig.signing_key(git, None))
    except PromptopsError as error:
        return Probe("signing key", "missing", error.message, error.hint or "git config user.signingkey KEY.pub")


def _set_up(git: Git) -> list[Probe]:
    probes = []
    for name, path in (("project", "promptops.yaml"), ("policy", ".promptops/policy.yaml")):
        present = os.path.exists(os.path.join(git.root, path))
        probes.append(Probe(name, "ok", path) if present else Probe(name, "missing", f"no {path}", "promptops init"))
    return probes


def _hooks(git: Git) -> list[Probe]:
    override = git.try_run("config", "core.hooksPath").stdout.decode("utf-8", "surrogateescape").strip()
    folder = git.text("rev-parse", "--path-format=absolute", "--git-path", "hooks")
    absent = [name for name in _HOOK_TYPES if not os.access(os.path.join(folder, name), os.X_OK)]
    if not absent:
        return [Probe("hooks", "ok", folder)]
    if override:
        # pre-commit refuses to install while it is set.
        mend = f"git config --unset-all core.hooksPath, then: {_INSTALL}"
        return [Probe("hooks", "warn", f"core.hooksPath is {override}, without {' and '.join(absent)}", mend)]
    return [Probe("hooks", "warn", f"no {' and '.join(absent)} hook", _INSTALL)]


def _history(git: Git) -> list[Probe]:
    if git.shallow:
        return [Probe("history", "warn", "this clone is shallow", "git fetch --unshallow --tags")]
    remotes = git.text("remote").split()
    if remotes and not tags.releases(git):
        return [Probe("history", "warn", "complete, but no release tag is here", f"git fetch --tags {remotes[0]}")]
    return [Probe("history", "ok", "complete")]


def _clock(git: Git) -> Probe:
    done = git.try_run("log", "-1", "--all", "--format=%ct")
    newest = int(done.stdout.split()[0]) if done.stdout.split() else 0
    ahead = newest - time.time()
    if ahead > _CLOCK_TOLERANCE_S:
        mend = "set the clock (timedatectl set-ntp true); signatures and expiry dates depend on it"
        return Probe("clock", "warn", f"the newest commit is {ahead / 60:.0f} minutes ahead of this machine", mend)
    return Probe("clock", "ok", "not behind the newest commit")
